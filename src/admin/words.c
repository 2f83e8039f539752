/* SPDX-License-Identifier: MIT */
/* See words.h. */
#include "admin/words.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *cmdi_admin_bytes(char text[CMDI_ADMIN_WORD_SIZE], double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(text, CMDI_ADMIN_WORD_SIZE, "%.*f %s", unit == 0 || bytes >= 100 ? 0 : 1, bytes,
            units[unit]);
    return text;
}

const char *cmdi_admin_time(char text[CMDI_ADMIN_WORD_SIZE], double seconds)
{
    static const struct {
        double below, factor;
        const char *unit;
    } rows[] = {{1e-6, 1e9, "ns"}, {1e-3, 1e6, "us"}, {1, 1e3, "ms"}, {100, 1, "s"}};
    if (isnan(seconds)) {
        return strcpy(text, "-");
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (seconds < rows[i].below) {
            double value = seconds * rows[i].factor;
            (void)snprintf(text, CMDI_ADMIN_WORD_SIZE, "%.*f %s", value < 10 && value > 0 ? 1 : 0,
                    value, rows[i].unit);
            return text;
        }
    }
    unsigned long long whole = seconds < 1e15 ? (unsigned long long)seconds : 1000000000000000u;
    if (whole < 6000) {
        (void)snprintf(text, CMDI_ADMIN_WORD_SIZE, "%llum%02llus", whole / 60, whole % 60);
    } else if (whole < 360000) {
        (void)snprintf(text, CMDI_ADMIN_WORD_SIZE, "%lluh%02llum", whole / 3600, whole / 60 % 60);
    } else {
        (void)snprintf(
                text, CMDI_ADMIN_WORD_SIZE, "%llud%02lluh", whole / 86400, whole / 3600 % 24);
    }
    return text;
}

const char *cmdi_admin_number(char text[CMDI_ADMIN_WORD_SIZE], double number)
{
    bool is_whole = number >= 10 || number == (double)(unsigned long long)number;
    char plain[CMDI_ADMIN_WORD_SIZE];
    int length =
            snprintf(plain, sizeof(plain), "%.*f", is_whole ? 0 : 2, number < 1e15 ? number : 1e15);
    int digits = is_whole ? length : 0; // Commas are for these.
    size_t size = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && i < digits && (digits - i) % 3 == 0) {
            text[size++] = ',';
        }
        text[size++] = plain[i];
    }
    text[size] = '\0';
    return text;
}

const char *cmdi_admin_real(char text[CMDI_ADMIN_WORD_SIZE], double number)
{
    double read;
    int digits = 15; // So many always come back from a double, and 17 always make the same one.
    do {
        (void)snprintf(text, CMDI_ADMIN_WORD_SIZE, "%.*g", digits, number);
        read = strtod(text, NULL);
    } while ((read < number || read > number) && ++digits <= 17);
    return text;
}

static void blanks(struct cmdi_admin_out *out, int count)
{
    if (count > 0 && cmdi_admin_out_room(out, (size_t)count)) {
        memset(out->data + out->size, ' ', (size_t)count);
        out->size += (size_t)count;
    }
}

void cmdi_admin_left(struct cmdi_admin_out *out, const char *text, int width)
{
    cmdi_admin_out_plain(out, cmds_string_from(text));
    int missing = width - (int)strlen(text);
    blanks(out, (missing > 0 ? missing : 0) + 2);
}

void cmdi_admin_right(struct cmdi_admin_out *out, const char *text, int width)
{
    blanks(out, width - (int)strlen(text));
    cmdi_admin_out_plain(out, cmds_string_from(text));
    blanks(out, 2);
}
