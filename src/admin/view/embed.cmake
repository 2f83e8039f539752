# SPDX-License-Identifier: MIT
#
# Writes FOLDER/view.css and FOLDER/view.js as arrays of bytes: cmake -DOUT=FILE -DFOLDER=... -P embed.cmake
set(text "/* Generated from src/admin/view. */\n#include \"admin/view.h\"\n")
foreach(kind IN ITEMS css js)
    file(READ ${FOLDER}/view.${kind} bytes HEX)
    string(LENGTH "${bytes}" size)
    math(EXPR size "${size} / 2")
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(APPEND text "const size_t cmdi_admin_view_${kind}_size = ${size};\n"
                       "const unsigned char cmdi_admin_view_${kind}[] = {${bytes}};\n")
endforeach()
file(WRITE ${OUT} "${text}")
