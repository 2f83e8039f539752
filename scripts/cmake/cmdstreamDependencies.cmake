# SPDX-License-Identifier: MIT
#
# What the core library links to: liburing, msgpack-c, threads. The build includes this file, and so
# does the installed cmdstreamConfig.cmake, because a static library hands its dependencies on to
# whoever links it: one search order for both.
#
#   cmdstream::liburing   liburing 2.3 or later
#   cmdstream::msgpack    msgpack-c 4 or later: `msgpack` with the target `msgpackc` in Debian 12,
#                         `msgpack-c` with the target `msgpack-c` in later releases
#
# A package that is missing is added to the list cmdstream_missing by the name that apt knows it by;
# whoever includes this file decides what to say about it.

# An imported target of ours that stands for `target`, so that what we export does not depend on the
# release of the distribution.
function(cmdstream_name_dependency name target)
    add_library(${name} INTERFACE IMPORTED GLOBAL)
    set_target_properties(${name} PROPERTIES INTERFACE_LINK_LIBRARIES ${target})
endfunction()

# PkgConfig::<prefix> for a pkg-config module; `package` is missing when there is none.
macro(cmdstream_find_module prefix module package)
    find_package(PkgConfig QUIET)
    if(PkgConfig_FOUND)
        pkg_search_module(${prefix} QUIET IMPORTED_TARGET GLOBAL "${module}")
    else()
        list(APPEND cmdstream_missing pkg-config)
    endif()
    if(NOT TARGET PkgConfig::${prefix})
        list(APPEND cmdstream_missing ${package})
    endif()
endmacro()

macro(cmdstream_find_msgpack)
    # The pkg-config name goes into our own .pc file, also where a CMake package is found.
    find_package(PkgConfig QUIET)
    if(PkgConfig_FOUND)
        pkg_search_module(CMDSTREAM_MSGPACK QUIET IMPORTED_TARGET GLOBAL msgpack-c msgpack)
    endif()
    find_package(msgpack-c CONFIG QUIET)
    if(NOT TARGET msgpack-c)
        find_package(msgpack CONFIG QUIET)
    endif()
    foreach(cmdstream_target IN ITEMS msgpack-c msgpackc PkgConfig::CMDSTREAM_MSGPACK)
        if(TARGET ${cmdstream_target} AND NOT TARGET cmdstream::msgpack)
            # What find_package finds is known in one directory; ours is known in all of them.
            get_target_property(cmdstream_imported ${cmdstream_target} IMPORTED)
            if(cmdstream_imported)
                set_target_properties(${cmdstream_target} PROPERTIES IMPORTED_GLOBAL TRUE)
            endif()
            cmdstream_name_dependency(cmdstream::msgpack ${cmdstream_target})
        endif()
    endforeach()
    if(NOT TARGET cmdstream::msgpack)
        set(cmdstream_release "")
        if(EXISTS /etc/os-release)
            file(STRINGS /etc/os-release cmdstream_release REGEX "^VERSION_CODENAME=")
        endif()
        if(cmdstream_release MATCHES "bookworm|jammy")
            list(APPEND cmdstream_missing libmsgpack-dev)
        else()
            list(APPEND cmdstream_missing libmsgpack-c-dev)
        endif()
    endif()
endmacro()

# For the codec Protobuf. Earlier releases of protobuf-c read behind a field that is cut off.
macro(cmdstream_find_protobuf_c)
    if(NOT TARGET cmdstream::protobuf_c)
        cmdstream_find_module(CMDSTREAM_PROTOBUF_C "libprotobuf-c>=1.4.1" libprotobuf-c-dev)
        if(TARGET PkgConfig::CMDSTREAM_PROTOBUF_C)
            cmdstream_name_dependency(cmdstream::protobuf_c PkgConfig::CMDSTREAM_PROTOBUF_C)
        endif()
    endif()
endmacro()

# For TLS: `archive`, if there is one (of scripts/build-wolfssl.sh, its headers in `headers`), else the
# system's library.
macro(cmdstream_find_wolfssl archive headers)
    if(NOT TARGET cmdstream::wolfssl AND NOT "${archive}" STREQUAL "")
        add_library(cmdstream_wolfssl STATIC IMPORTED GLOBAL)
        set_target_properties(cmdstream_wolfssl PROPERTIES
                              IMPORTED_LOCATION "${archive}"
                              INTERFACE_INCLUDE_DIRECTORIES "${headers}"
                              INTERFACE_LINK_LIBRARIES "m;Threads::Threads")
        cmdstream_name_dependency(cmdstream::wolfssl cmdstream_wolfssl)
    elseif(NOT TARGET cmdstream::wolfssl)
        cmdstream_find_module(CMDSTREAM_SYSTEM_WOLFSSL "wolfssl>=5.5" libwolfssl-dev)
        if(TARGET PkgConfig::CMDSTREAM_SYSTEM_WOLFSSL)
            cmdstream_name_dependency(cmdstream::wolfssl PkgConfig::CMDSTREAM_SYSTEM_WOLFSSL)
        endif()
    endif()
endmacro()

# For TLS: AES of libgcrypt, where wolfSSL's own is slow.
macro(cmdstream_find_gcrypt)
    if(NOT TARGET cmdstream::gcrypt)
        cmdstream_find_module(CMDSTREAM_GCRYPT "libgcrypt>=1.9" libgcrypt20-dev)
        if(TARGET PkgConfig::CMDSTREAM_GCRYPT)
            cmdstream_name_dependency(cmdstream::gcrypt PkgConfig::CMDSTREAM_GCRYPT)
        endif()
    endif()
endmacro()

# For the pages over HTTP.
macro(cmdstream_find_microhttpd)
    if(NOT TARGET cmdstream::microhttpd)
        cmdstream_find_module(CMDSTREAM_MICROHTTPD "libmicrohttpd>=0.9.75" libmicrohttpd-dev)
        if(TARGET PkgConfig::CMDSTREAM_MICROHTTPD)
            cmdstream_name_dependency(cmdstream::microhttpd PkgConfig::CMDSTREAM_MICROHTTPD)
        endif()
    endif()
endmacro()

# For OpenTelemetry.
macro(cmdstream_find_curl)
    if(NOT TARGET cmdstream::curl)
        cmdstream_find_module(CMDSTREAM_CURL "libcurl>=7.81" libcurl4-openssl-dev)
        if(TARGET PkgConfig::CMDSTREAM_CURL)
            cmdstream_name_dependency(cmdstream::curl PkgConfig::CMDSTREAM_CURL)
        endif()
    endif()
    if(NOT TARGET cmdstream::zlib)
        cmdstream_find_module(CMDSTREAM_ZLIB zlib zlib1g-dev)
        if(TARGET PkgConfig::CMDSTREAM_ZLIB)
            cmdstream_name_dependency(cmdstream::zlib PkgConfig::CMDSTREAM_ZLIB)
        endif()
    endif()
endmacro()

macro(cmdstream_find_dependencies)
    set(THREADS_PREFER_PTHREAD_FLAG ON)
    find_package(Threads REQUIRED)
    if(NOT TARGET cmdstream::liburing)
        cmdstream_find_module(CMDSTREAM_LIBURING "liburing>=2.3" liburing-dev)
        if(TARGET PkgConfig::CMDSTREAM_LIBURING)
            cmdstream_name_dependency(cmdstream::liburing PkgConfig::CMDSTREAM_LIBURING)
        endif()
    endif()
    if(NOT TARGET cmdstream::msgpack)
        cmdstream_find_msgpack()
    endif()
endmacro()
