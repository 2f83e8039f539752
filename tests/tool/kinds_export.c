/* SPDX-License-Identifier: MIT */
/* What `cmdstream --protocol` loads; and, with a macro each, what it must refuse. */
#include <cmdstream/tool.h>

#include "kinds.h"

#if defined(KINDS_LATER) || defined(KINDS_OTHER)
extern const struct cmds_protocol_export cmds_protocol_exported;
#endif
#if defined(KINDS_LATER)
const struct cmds_protocol_export cmds_protocol_exported = {
        sizeof(struct cmds_protocol_export), 99, CMDS_VERSION, &kinds};
#elif defined(KINDS_OTHER)
const struct cmds_protocol_export cmds_protocol_exported = {
        sizeof(struct cmds_protocol_export), CMDS_PROTOCOL_EXPORT_VERSION, "9.9.0", &kinds};
#elif defined(KINDS_NONE)
extern const struct cmds_protocol *const kinds_only;
const struct cmds_protocol *const kinds_only = &kinds;
#else
CMDS_EXPORT_PROTOCOL(kinds);
#endif
