# SPDX-License-Identifier: MIT
#
# What every target of ours has in common, and no target of anybody else's.

if(CMDSTREAM_LTO)
    include(CheckIPOSupported)
    check_ipo_supported(LANGUAGES C)
endif()

# Sanitizers cover everything below this directory, and nothing above it.
if(CMDSTREAM_SANITIZE)
    add_compile_options(-fsanitize=${CMDSTREAM_SANITIZE} -fno-omit-frame-pointer
                        -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${CMDSTREAM_SANITIZE})
    if(CMDSTREAM_SANITIZE MATCHES "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
        # gcc says that its thread sanitizer does not see atomic_thread_fence; liburing's header has one.
        add_compile_options(-Wno-tsan)
    endif()
endif()
if(CMDSTREAM_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(CMDSTREAM_POOLS_CHOICE)
    add_compile_definitions(CMDI_POOLS_CHOICE=1)
endif()

# Language level, visibility, warnings.
function(cmdstream_own_target target)
    set_target_properties(${target} PROPERTIES
                          C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
                          CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
                          C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden)
    target_compile_options(${target} PRIVATE
                           -Wall -Wextra -Wpedantic -Wconversion -Wshadow
                           $<$<BOOL:${CMDSTREAM_WERROR}>:-Werror>)
    target_compile_definitions(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:_GNU_SOURCE>)
    if(CMDSTREAM_LTO)
        set_target_properties(${target} PROPERTIES INTERPROCEDURAL_OPTIMIZATION ON)
    endif()
endfunction()

# A library beside the core, static and shared: `name` is tls, admin, ...; of the shared one others see what
# cmdstream_<name>.map exports. What else it links is its folder's to say.
function(cmdstream_add_library name) # SOURCE...
    foreach(kind IN ITEMS static shared)
        string(TOUPPER ${kind} KIND)
        set(target cmdstream_${name}_${kind})
        add_library(${target} ${KIND} ${ARGN})
        add_library(cmdstream::${name}_${kind} ALIAS ${target})
        set_target_properties(${target} PROPERTIES
                              OUTPUT_NAME cmdstream_${name} EXPORT_NAME ${name}_${kind}
                              VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
        target_link_libraries(${target} PUBLIC cmdstream_${kind})
    endforeach()
    set(map ${CMAKE_CURRENT_SOURCE_DIR}/cmdstream_${name}.map)
    target_link_options(cmdstream_${name}_shared PRIVATE LINKER:--version-script=${map})
    set_property(TARGET cmdstream_${name}_shared APPEND PROPERTY LINK_DEPENDS ${map})
    if(NOT CMDSTREAM_SANITIZE)
        target_link_options(cmdstream_${name}_shared PRIVATE LINKER:-z,defs)
    endif()
    if(CMDSTREAM_SHARED)
        add_library(cmdstream::${name} ALIAS cmdstream_${name}_shared)
    else()
        add_library(cmdstream::${name} ALIAS cmdstream_${name}_static)
    endif()
endfunction()

# A program with the real library and the simulation in it has all of cmdstream twice: CMake refuses it.
function(cmdstream_stands_on target ground) # kernel, simulation
    set_target_properties(${target} PROPERTIES INTERFACE_CMDSTREAM_GROUND ${ground})
    set_property(TARGET ${target} APPEND PROPERTY
                 COMPATIBLE_INTERFACE_STRING CMDSTREAM_GROUND)
endfunction()

# One test of ctest, labelled with its folder, and with `tls` if that is in its name. A program that hangs dies by itself: TIMEOUT. 77 means that it cannot run here.
set(cmdstream_test_environment
    "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1"
    "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1"
    "CMDSTREAM_CERTS=${PROJECT_BINARY_DIR}/tests/certs")
function(cmdstream_add_test name label timeout)
    add_test(NAME ${name} COMMAND ${ARGN})
    if(name MATCHES "torture$") # 5,600 calls that fail in all, each of which waits for what comes of it.
        set(timeout 600)
    endif()
    if(name MATCHES "(^|[._])tls([._]|$)" AND NOT label STREQUAL "tls")
        list(APPEND label tls)
    endif()
    if(label MATCHES "tls" AND TARGET "${ARGV3}")
        add_dependencies(tls-tests ${ARGV3})
    endif()
    set_tests_properties(${name} PROPERTIES
                         LABELS "${label}" TIMEOUT ${timeout} SKIP_RETURN_CODE 77
                         ENVIRONMENT "${cmdstream_test_environment}")
    # The long ones start first: else the last of them runs alone.
    if(name MATCHES "torture$|^fault\\.(black_hole|tool_(chaos|demo|stress|tls))$|^(check|check\\.rules|install|unit\\.compile)$")
        set_tests_properties(${name} PROPERTIES COST 40)
    elseif(label MATCHES "interop")
        set_tests_properties(${name} PROPERTIES COST 80)
    elseif(name MATCHES "^tls\\.|^integration\\.(late|watch)$|^fault\\.(alive|musl)$|^sim\\.")
        set_tests_properties(${name} PROPERTIES COST 15)
    endif()
    # In halves of what a common test takes: it loads a core half of the time, and scripts/test runs two of them per core.
    if(label MATCHES "interop|install|example")
        set(weight 4) # It loads a server and a client, each of which wants a core, or builds something.
    elseif(name MATCHES "^integration\\.(late|watch)$|^fault\\.(alive|black_hole|late|later|tool_chaos|tool_stress|torture|moving_torture)$")
        set(weight 1) # It waits for time-outs of real kernels.
    else()
        set(weight 2)
    endif()
    set_tests_properties(${name} PROPERTIES PROCESSORS ${weight})
endfunction()
