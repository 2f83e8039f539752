# SPDX-License-Identifier: MIT
#
# Headers, both libraries, the program, the CMake package, the pkg-config file, the licence, and the
# examples, which are the documentation that is known to run. The installed tree can be moved.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/cmdstream)

install(DIRECTORY include/cmdstream DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
install(TARGETS cmdstream_static EXPORT cmdstreamStaticTargets)
install(TARGETS cmdstream_shared EXPORT cmdstreamSharedTargets)
if(TARGET cmdstream_tool)
    install(TARGETS cmdstream_tool)
    install(FILES ${PROJECT_BINARY_DIR}/completion/cmdstream
            DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endif()
if(CMDSTREAM_USDT AND CMDSTREAM_HAS_SDT)
    install(PROGRAMS scripts/cmdstream.bt DESTINATION ${CMAKE_INSTALL_DATADIR}/cmdstream)
endif()
install(EXPORT cmdstreamStaticTargets NAMESPACE cmdstream:: DESTINATION ${package_dir})
install(EXPORT cmdstreamSharedTargets NAMESPACE cmdstream:: DESTINATION ${package_dir})

set(cmdstream_has_gcrypt FALSE)
if(TARGET cmdstream::gcrypt)
    set(cmdstream_has_gcrypt TRUE)
endif()
set(cmdstream_has_archive FALSE) # Of a wolfSSL that comes along, see below.
if(cmdstream_wolfssl_archive)
    set(cmdstream_has_archive TRUE)
endif()
set(cmdstream_tool_stands_on "") # In this build, beside the core.
foreach(other IN ITEMS codec_json codec_protobuf codec_mus tls)
    if(TARGET cmdstream_${other}_static)
        list(APPEND cmdstream_tool_stands_on ${other})
    endif()
endforeach()
configure_package_config_file(
    scripts/cmake/cmdstreamConfig.cmake.in ${PROJECT_BINARY_DIR}/cmdstreamConfig.cmake
    INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_LIBDIR)
# While the major version is 0, a new minor version may change what exists.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmdstreamConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES
        ${PROJECT_BINARY_DIR}/cmdstreamConfig.cmake
        ${PROJECT_BINARY_DIR}/cmdstreamConfigVersion.cmake
        scripts/cmake/cmdstreamDependencies.cmake
        DESTINATION ${package_dir})

file(RELATIVE_PATH CMDSTREAM_PC_UP
     /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" CMDSTREAM_PC_UP "${CMDSTREAM_PC_UP}")
configure_file(scripts/cmake/cmdstream.pc.in ${PROJECT_BINARY_DIR}/cmdstream.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cmdstream.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# Each codec by itself: who lacks what one of them stands on still has the others.
foreach(codec IN ITEMS json protobuf mus)
    if(NOT TARGET cmdstream_codec_${codec}_static)
        continue()
    endif()
    foreach(kind IN ITEMS static shared sim)
        set(export cmdstream_codec_${codec}_${kind})
        if(TARGET ${export})
            install(TARGETS ${export} EXPORT ${export})
            install(EXPORT ${export} NAMESPACE cmdstream:: DESTINATION ${package_dir})
        endif()
    endforeach()
    set(codec_requires "")
    if(codec STREQUAL "protobuf")
        set(codec_requires "libprotobuf-c >= 1.4.1")
    endif()
    configure_file(scripts/cmake/cmdstream-codec.pc.in
                   ${PROJECT_BINARY_DIR}/cmdstream-codec-${codec}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/cmdstream-codec-${codec}.pc
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
    if(TARGET cmdstream_codec_${codec}_sim)
        configure_file(scripts/cmake/cmdstream-codec-sim.pc.in
                       ${PROJECT_BINARY_DIR}/cmdstream-codec-${codec}-sim.pc @ONLY)
        install(FILES ${PROJECT_BINARY_DIR}/cmdstream-codec-${codec}-sim.pc
                DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
    endif()
endforeach()

if(TARGET cmdstream_sim)
    install(TARGETS cmdstream_sim EXPORT cmdstream_sim)
    install(EXPORT cmdstream_sim NAMESPACE cmdstream:: DESTINATION ${package_dir})
    list(TRANSFORM CMDSTREAM_SIM_WRAPPED REPLACE "(.+)" "-Wl,--wrap=\\1,--undefined=__wrap_\\1"
         OUTPUT_VARIABLE sim_options)
    list(JOIN sim_options " " sim_options)
    configure_file(scripts/cmake/cmdstream-sim.pc.in ${PROJECT_BINARY_DIR}/cmdstream-sim.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/cmdstream-sim.pc
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

if(TARGET cmdstream_tls_static)
    foreach(kind IN ITEMS static shared)
        set(export cmdstream_tls_${kind})
        install(TARGETS ${export} EXPORT ${export})
        install(EXPORT ${export} NAMESPACE cmdstream:: DESTINATION ${package_dir})
    endforeach()
    # The static one needs a wolfSSL. One of our own comes along, by a name that no other has.
    set(tls_requires "wolfssl >= 5.5")
    set(tls_libs "")
    if(cmdstream_wolfssl_archive)
        install(FILES ${cmdstream_wolfssl_archive} DESTINATION ${CMAKE_INSTALL_LIBDIR}
                RENAME libcmdstream_wolfssl.a)
        install(FILES ${cmdstream_wolfssl_prefix}/share/doc/wolfssl/COPYING
                DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME COPYING.wolfssl OPTIONAL)
        set(tls_requires "")
        set(tls_libs "-lcmdstream_wolfssl -lm -pthread")
    endif()
    if(TARGET cmdstream::gcrypt)
        string(APPEND tls_requires " libgcrypt >= 1.9")
    endif()
    configure_file(scripts/cmake/cmdstream-tls.pc.in ${PROJECT_BINARY_DIR}/cmdstream-tls.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/cmdstream-tls.pc
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

if(TARGET cmdstream_admin_static)
    foreach(kind IN ITEMS static shared)
        set(export cmdstream_admin_${kind})
        install(TARGETS ${export} EXPORT ${export})
        install(EXPORT ${export} NAMESPACE cmdstream:: DESTINATION ${package_dir})
    endforeach()
    configure_file(scripts/cmake/cmdstream-admin.pc.in ${PROJECT_BINARY_DIR}/cmdstream-admin.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/cmdstream-admin.pc
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

if(TARGET cmdstream_otel_static)
    foreach(kind IN ITEMS static shared)
        set(export cmdstream_otel_${kind})
        install(TARGETS ${export} EXPORT ${export})
        install(EXPORT ${export} NAMESPACE cmdstream:: DESTINATION ${package_dir})
    endforeach()
    configure_file(scripts/cmake/cmdstream-otel.pc.in ${PROJECT_BINARY_DIR}/cmdstream-otel.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/cmdstream-otel.pc
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

if(TARGET cmdstream_tool_static)
    foreach(kind IN ITEMS static shared)
        set(export cmdstream_tool_${kind})
        install(TARGETS ${export} EXPORT ${export})
        install(EXPORT ${export} NAMESPACE cmdstream:: DESTINATION ${package_dir})
    endforeach()
    string(REPLACE "codec_" "codec-" tool_requires "${cmdstream_tool_stands_on}")
    list(TRANSFORM tool_requires PREPEND cmdstream-)
    list(JOIN tool_requires " " tool_requires)
    configure_file(scripts/cmake/cmdstream-tool.pc.in ${PROJECT_BINARY_DIR}/cmdstream-tool.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/cmdstream-tool.pc
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY tests/examples/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples
        PATTERN CMakeLists.txt EXCLUDE)

# What all of it needs, and no test: cmake --build FOLDER --target installable
set(installable cmdstream_static cmdstream_shared)
foreach(target IN ITEMS tool tool_static tool_shared sim tls_static tls_shared admin_static admin_shared otel_static otel_shared)
    if(TARGET cmdstream_${target})
        list(APPEND installable cmdstream_${target})
    endif()
endforeach()
foreach(codec IN ITEMS json protobuf mus)
    foreach(kind IN ITEMS static shared sim)
        if(TARGET cmdstream_codec_${codec}_${kind})
            list(APPEND installable cmdstream_codec_${codec}_${kind})
        endif()
    endforeach()
endforeach()
add_custom_target(installable DEPENDS ${installable})
