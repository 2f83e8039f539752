# SPDX-License-Identifier: MIT
#
# What the target has to be, said before the compiler says it in its own words. It is also a script:
# cmake -DCMAKE_SIZEOF_VOID_P=4 -DCMAKE_C_BYTE_ORDER=LITTLE_ENDIAN -P scripts/cmake/Platform.cmake
if(NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
    message(FATAL_ERROR "cmdstream is for 64-bit targets: sizes of connections, streams and rings do not "
                        "fit this one's ${CMAKE_SIZEOF_VOID_P}-byte pointers. Build it without -m32, or for "
                        "another machine.")
endif()
if(CMAKE_C_BYTE_ORDER STREQUAL "BIG_ENDIAN")
    message(FATAL_ERROR "cmdstream is for little-endian targets: its codecs were written for them, and "
                        "tested on nothing else.")
endif()
