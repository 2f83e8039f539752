# SPDX-License-Identifier: MIT
#
# What the wolfSSL that was found is: its headers tell. Refuses one that lacks what TLS here takes, and
# headers that belong to another library: without its own options.h each struct would have another size.
set(wolfssl_include "")
if(cmdstream_wolfssl_archive)
    set(wolfssl_include -I${cmdstream_wolfssl_prefix}/include)
endif()
set(wolfssl_asks ${PROJECT_BINARY_DIR}/CMakeFiles/cmdstream_wolfssl.c)
file(WRITE ${wolfssl_asks} "#include <wolfssl/options.h>\n#include <wolfssl/version.h>\n")
separate_arguments(wolfssl_flags UNIX_COMMAND "${CMAKE_C_COMPILER_ARG1} ${CMAKE_C_FLAGS}")
execute_process(COMMAND ${CMAKE_C_COMPILER} ${wolfssl_flags} ${wolfssl_include} -E -dD ${wolfssl_asks}
                OUTPUT_VARIABLE wolfssl_text ERROR_VARIABLE wolfssl_error RESULT_VARIABLE wolfssl_result)
if(NOT wolfssl_result EQUAL 0)
    message(FATAL_ERROR "The headers of wolfSSL cannot be used:\n${wolfssl_error}")
endif()
if(cmdstream_wolfssl_archive)
    string(FIND "${wolfssl_text}" "\"${cmdstream_wolfssl_prefix}/include/wolfssl/options.h\"" wolfssl_own)
    if(wolfssl_own LESS 0)
        message(FATAL_ERROR "CMDSTREAM_WOLFSSL_PREFIX: ${cmdstream_wolfssl_prefix} has no options.h of its "
                            "own, and that of the system describes another library: "
                            "scripts/build-wolfssl.sh installs both.")
    endif()
endif()

# The last word of a macro: one file may undefine what the other defined.
function(cmdstream_wolfssl_defines macro result)
    string(REGEX MATCHALL "#(define|undef) ${macro}[ \n]" uses "${wolfssl_text}")
    set(${result} FALSE PARENT_SCOPE)
    if(uses)
        list(GET uses -1 last)
        if(last MATCHES "define ")
            set(${result} TRUE PARENT_SCOPE)
        endif()
    endif()
endfunction()

# The last two: each certificate of a chain is shown to us.
foreach(macro IN ITEMS WOLFSSL_TLS13 HAVE_AESGCM HAVE_CHACHA HAVE_SESSION_TICKET HAVE_ALPN HAVE_SNI HAVE_CRL
                       WOLFSSL_ALWAYS_VERIFY_CB WOLFSSL_VERIFY_CB_ALL_CERTS)
    cmdstream_wolfssl_defines(${macro} has)
    if(NOT has)
        message(FATAL_ERROR "This wolfSSL was built without ${macro}: scripts/build-wolfssl.sh builds one "
                            "with all that TLS takes here.")
    endif()
endforeach()
cmdstream_wolfssl_defines(SINGLE_THREADED has)
if(has)
    message(FATAL_ERROR "This wolfSSL was built for one thread: scripts/build-wolfssl.sh builds another.")
endif()

string(REGEX MATCH "LIBWOLFSSL_VERSION_STRING \"([^\"]*)\"" has "${wolfssl_text}")
set(wolfssl_version ${CMAKE_MATCH_1})
cmdstream_wolfssl_defines(WOLFSSL_AESNI wolfssl_has_aes)
cmdstream_wolfssl_defines(USE_INTEL_SPEEDUP wolfssl_has_assembly)
if(TARGET cmdstream::gcrypt AND (NOT wolfssl_has_aes OR CMDSTREAM_GCRYPT_VERSION VERSION_GREATER_EQUAL 1.11))
    set(wolfssl_aes "AES by libgcrypt ${CMDSTREAM_GCRYPT_VERSION}")
elseif(wolfssl_has_aes)
    set(wolfssl_aes "AES by wolfSSL")
else()
    set(wolfssl_aes "no fast AES: ChaCha20 instead, at a quarter of the speed (libgcrypt20-dev has one)")
endif()
if(wolfssl_has_assembly)
    set(wolfssl_costs "a handshake takes 0.1 ms, an idle connection 8 KB")
else()
    set(wolfssl_costs "a handshake takes 0.2 ms and more, an idle connection 60 to 80 KB; better: \
scripts/build-wolfssl.sh")
endif()
if(cmdstream_wolfssl_archive)
    string(REPLACE "${PROJECT_SOURCE_DIR}/" "" wolfssl_place "${cmdstream_wolfssl_prefix}")
else()
    set(wolfssl_place "the system")
endif()
message(STATUS "TLS: wolfSSL ${wolfssl_version} of ${wolfssl_place}, ${wolfssl_aes}; ${wolfssl_costs}")
