/* SPDX-License-Identifier: MIT */
/* CMDS_STRING is for literals; cmds_string_from measures. */
#include "calc.h"

void f(const char *text);
void f(const char *text)
{
#ifdef RIGHT
    struct cmds_string string = CMDS_STRING("text");
#else
    struct cmds_string string = CMDS_STRING(text);
#endif
    (void)string, (void)text;
}
