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
# wolfSSL is GPL, and so is a program that is linked with it: OFF makes a tree that is MIT alone.
option(CMDSTREAM_TLS "Build the library of TLS, on wolfSSL" ${PROJECT_IS_TOP_LEVEL})
option(CMDSTREAM_ADMIN "Build the library of the pages over HTTP, on libmicrohttpd" ${PROJECT_IS_TOP_LEVEL})
option(CMDSTREAM_OTEL "Build the library that exports to OpenTelemetry, on libcurl" ${PROJECT_IS_TOP_LEVEL})
set(CMDSTREAM_WOLFSSL_PREFIX "" CACHE STRING
    "Where scripts/build-wolfssl.sh has installed; SYSTEM; empty: build/wolfssl if it is there, else SYSTEM")
set(CMDSTREAM_TLS_GCRYPT AUTO CACHE STRING
    "AES by libgcrypt for a wolfSSL that has no assembly: AUTO (if it is there), ON, OFF")
set_property(CACHE CMDSTREAM_TLS_GCRYPT PROPERTY STRINGS AUTO ON OFF)
include(CheckCSourceCompiles)
check_c_source_compiles("
    #include <features.h>
    #ifndef __GLIBC__
    #error
    #endif
    int main(void) { return 0; }" CMDSTREAM_HAS_GLIBC)
# The simulation changes stacks by hand, and was tried with glibc alone; the thread sanitizer would have to
# be told of each change.
set(cmdstream_can_simulate OFF)
if(PROJECT_IS_TOP_LEVEL AND CMDSTREAM_HAS_GLIBC AND
   CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|aarch64)$" AND NOT CMDSTREAM_SANITIZE MATCHES "thread")
    set(cmdstream_can_simulate ON)
endif()
option(CMDSTREAM_SIM "Build the library of the simulation" ${cmdstream_can_simulate})
# A nop and a note each, where sys/sdt.h is there (systemtap-sdt-dev).
include(CheckIncludeFile)
check_include_file(sys/sdt.h CMDSTREAM_HAS_SDT)
option(CMDSTREAM_USDT "Probes for perf, bpftrace and SystemTap" ON)
option(CMDSTREAM_INSTALL "Make the install rules" ${PROJECT_IS_TOP_LEVEL})
option(CMDSTREAM_WERROR "Treat warnings in our own code as errors" OFF)
option(CMDSTREAM_LTO "Link-time optimization of our own targets" OFF)
option(CMDSTREAM_FUZZ "Build the fuzz targets with libFuzzer (clang)" OFF)
option(CMDSTREAM_POOLS_CHOICE
       "CMDSTREAM_POOLS=malloc in the environment: pools are malloc and free, for sanitizers and valgrind" OFF)
set(CMDSTREAM_SANITIZE "" CACHE STRING "Sanitizers of our own targets, as in -fsanitize=")

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo" FORCE)
endif()

# wolfSSL of our own: what was asked for must be there, what lies there by itself is taken.
set(cmdstream_wolfssl_prefix "${CMDSTREAM_WOLFSSL_PREFIX}")
if(NOT cmdstream_wolfssl_prefix)
    set(cmdstream_wolfssl_prefix build/wolfssl)
endif()
get_filename_component(cmdstream_wolfssl_prefix "${cmdstream_wolfssl_prefix}" ABSOLUTE
                       BASE_DIR ${PROJECT_SOURCE_DIR})
set(cmdstream_wolfssl_archive "${cmdstream_wolfssl_prefix}/lib/libwolfssl.a")
if(CMDSTREAM_WOLFSSL_PREFIX STREQUAL "SYSTEM")
    set(cmdstream_wolfssl_archive "")
elseif(NOT EXISTS "${cmdstream_wolfssl_archive}")
    if(CMDSTREAM_TLS AND CMDSTREAM_WOLFSSL_PREFIX)
        message(FATAL_ERROR "CMDSTREAM_WOLFSSL_PREFIX: there is no ${cmdstream_wolfssl_archive}: "
                            "scripts/build-wolfssl.sh makes it.")
    endif()
    set(cmdstream_wolfssl_archive "")
endif()

if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
    message(FATAL_ERROR "cmdstream stands on io_uring, which only Linux (6.1 or later) has.")
endif()
if(CMDSTREAM_FUZZ AND NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "CMDSTREAM_FUZZ needs clang: apt-get install clang, then "
                        "cmake --preset fuzz (or -DCMAKE_C_COMPILER=clang).")
endif()
