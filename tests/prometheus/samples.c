/* SPDX-License-Identifier: MIT */
/*
 * samples FORMAT ROUND: the points of support/points.h as a scrape finds them, on stdout. FORMAT is one
 * of `enum cmds_telemetry_format`, as a number.
 */
#include <stdio.h>
#include <stdlib.h>

#include "support/points.h"
#include "telemetry/format.h"

int main(int argc, char **argv)
{
    static char out[1 << 20];
    struct cmdi_format format;
    if (argc != 3 || !cmdi_format_begin(&format, (enum cmds_telemetry_format)atoi(argv[1]), 0, out,
                             sizeof(out))) {
        fprintf(stderr, "usage: samples FORMAT ROUND\n");
        return 2;
    }
    cmdi_points_tell((uint32_t)atoi(argv[2]), cmdi_format_point, &format);
    int64_t size = cmdi_format_end(&format);
    if (size >= (int64_t)sizeof(out)) {
        return 1;
    }
    return fwrite(out, 1, (size_t)size, stdout) == (size_t)size && fflush(stdout) == 0 ? 0 : 1;
}
