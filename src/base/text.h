/* SPDX-License-Identifier: MIT */
/*
 * Text that a peer, a file or a program had a part in, on its way to a terminal or a log: an escape
 * sequence must not get there. Any thread; nothing here keeps state.
 */
#ifndef CMDI_BASE_TEXT_H
#define CMDI_BASE_TEXT_H

/** A control character of ASCII becomes '?'; bytes of UTF-8 stay. */
static inline char cmdi_char_defuse(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte < 0x20 || byte == 0x7f ? '?' : c;
}

/** Each of them, to the end of the string. */
static inline void cmdi_text_defuse(char *text)
{
    for (; *text != '\0'; text++) {
        *text = cmdi_char_defuse(*text);
    }
}

#endif
