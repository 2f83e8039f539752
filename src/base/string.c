/* SPDX-License-Identifier: MIT */
/*
 * Borrowed strings: equality, and the lookup in a map of them.
 *
 * A string may hold NUL bytes and need not be terminated, so nothing of <string.h> that looks for
 * an end is used. A map is searched from its end: the value that came last wins, as in every
 * decoder here. Any thread, no state.
 */
#include <cmdstream/base.h>

bool cmds_string_equal(struct cmds_string a, struct cmds_string b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

const struct cmds_string *cmds_map_find(struct cmds_map map, struct cmds_string key)
{
    for (size_t i = map.count; i > 0; i--) {
        if (cmds_string_equal(map.items[i - 1].key, key)) {
            return &map.items[i - 1].value;
        }
    }
    return NULL;
}
