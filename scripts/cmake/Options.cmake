# SPDX-License-Identifier: MIT
#
# The options of the build. What only a developer of cmdstream wants is on when it is the top-level
# project, and off when it is a part of somebody else's.
option(CMDSTREAM_SHARED "cmdstream::cmdstream is the shared library" OFF)
option(CMDSTREAM_BUILD_TOOL "Build the program `cmdstream`" ${PROJECT_IS_TOP_LEVEL})
option(CMDSTREAM_BUILD_TESTS "Build the tests and the examples" ${PROJECT_IS_TOP_LEVEL})
option(CMDSTREAM_BUILD_PERF "Build the benchmarks of perf/" ${PROJECT_IS_TOP_LEVEL})
option(CMDSTREAM_CODEC_JSON "Build the codec JSON" ${PROJECT_IS_TOP_LEVEL})
option(CMDSTREAM_CODEC_PROTOBUF "Build the codec Protobuf" ${PROJECT_IS_TOP_LEVEL})
option(CMDSTREAM_CODEC_MUS "Build the codec MUS" ${PROJECT_IS_TOP_LEVEL})
option(CMDSTREAM_INSTALL "Make the install rules" ${PROJECT_IS_TOP_LEVEL})
option(CMDSTREAM_WERROR "Treat warnings in our own code as errors" OFF)
option(CMDSTREAM_LTO "Link-time optimization of our own targets" OFF)
option(CMDSTREAM_FUZZ "Build the fuzz targets with libFuzzer (clang)" OFF)
option(CMDSTREAM_POOLS_MALLOC "Pools are malloc and free: for sanitizers and valgrind" OFF)
set(CMDSTREAM_SANITIZE "" CACHE STRING "Sanitizers of our own targets, as in -fsanitize=")

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo" FORCE)
endif()

if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
    message(FATAL_ERROR "cmdstream stands on io_uring, which only Linux (6.1 or later) has.")
endif()
if(CMDSTREAM_FUZZ AND NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "CMDSTREAM_FUZZ needs clang: apt-get install clang, then "
                        "cmake --preset fuzz (or -DCMAKE_C_COMPILER=clang).")
endif()
