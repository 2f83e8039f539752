/* SPDX-License-Identifier: MIT */
/* All metrics of a runtime in one format: reading, with a format as what is told the points. */
#include <errno.h>

#include "telemetry/format.h"

int64_t cmds_telemetry_write(const struct cmds_runtime *runtime, enum cmds_telemetry_format format,
        uint32_t flags, char *out, size_t size)
{
    struct cmdi_format run;
    if ((out == NULL && size > 0) || !cmdi_format_begin(&run, format, flags, out, size)) {
        return -EINVAL;
    }
    int code = cmds_telemetry_read(runtime, flags, cmdi_format_point, &run);
    return code < 0 ? code : cmdi_format_end(&run);
}
