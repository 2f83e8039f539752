/* SPDX-License-Identifier: MIT */
#include "tls/fault.h"

#include <errno.h>
#include <stdint.h>

#include <cmdstream/base.h>

#include "base/assert.h"
#include "base/error.h"
#include "tls/complaint.h"
#include "tls/line.h"

enum {
    FAULT_TEXT_SIZE = 512, // More than fits an error, which cuts it and shows that.
};

static struct cmdi_line fault_begin(const struct cmdi_fault *fault, char *text, size_t size)
{
    struct cmdi_line line = cmdi_line_begin(text, size);
    cmdi_line_text(
            &line, fault->phase == CMDI_FAULT_HANDSHAKE ? "TLS handshake with " : "TLS with ");
    cmdi_line_text(&line, fault->address);
    if (fault->phase == CMDI_FAULT_AFTER_HANDSHAKE) {
        cmdi_line_text(&line, ", after the handshake");
    }
    cmdi_line_text(&line, ": ");
    return line;
}

int cmdi_fault_say(
        const struct cmdi_fault *fault, int code, const char *reason, struct cmds_error *error)
{
    char text[FAULT_TEXT_SIZE];
    struct cmdi_line line = fault_begin(fault, text, sizeof(text));
    cmdi_line_text(&line, reason);
    return cmdi_fail(error, code, "%s", text);
}

/* ---- Alerts of the peer ---------------------------------------------------------------------- */

struct alert {
    uint8_t number;
    const char *name;
    const char *of_server, *of_client; // Who sends it; what it means then, or "".
};

static const struct alert fault_alerts[] = {
        {10, "unexpected_message", "", ""},
        {20, "bad_record_mac", "", ""},
        {22, "record_overflow", "", ""},
        {40, "handshake_failure", ": no version, cipher or certificate in common",
                ": no version, cipher or certificate in common"},
        {41, "no_certificate", "", ""},
        {42, "bad_certificate", ": our certificate will not do for it",
                ": our certificate will not do for it"},
        {43, "unsupported_certificate", ": our certificate is of a kind that it does not take",
                ": our certificate is of a kind that it does not take"},
        {44, "certificate_revoked", ": our certificate is revoked", ": our certificate is revoked"},
        {45, "certificate_expired", ": our certificate is out of date, or its clock is wrong",
                ": our certificate is out of date, or its clock is wrong"},
        {46, "certificate_unknown", ": our certificate will not do for it",
                ": our certificate will not do for it"},
        {47, "illegal_parameter", "", ""},
        {48, "unknown_ca",
                ": our certificate is of none of its CAs; check its client_ca_file, and our chain",
                ": our certificate is of none of its CAs; check its ca_file, and our chain"},
        {49, "access_denied", "", ""},
        {50, "decode_error", "", ""},
        {51, "decrypt_error", "", ""},
        {70, "protocol_version", ": it takes no version of TLS that we offer; check version_min",
                ": it has no version of TLS that we take; check version_min"},
        {71, "insufficient_security", ": it wants stronger ciphers; check ciphers",
                ": it wants stronger ciphers; check ciphers"},
        {80, "internal_error", "", ""},
        {86, "inappropriate_fallback", "", ""},
        {90, "user_canceled", "", ""},
        {109, "missing_extension", "", ""},
        {110, "unsupported_extension", "", ""},
        {112, "unrecognized_name", ": it has no certificate for this name; check server_name", ""},
        {116, "certificate_required",
                ": it wants a certificate of ours; set certificate_file and key_file", ""},
        {120, "no_application_protocol", ": it has none of our protocols; check alpn",
                ": it has none of our protocols; check alpn"},
};

static int fault_of_alert(const struct cmdi_fault *fault, int number, struct cmds_error *error)
{
    char text[FAULT_TEXT_SIZE];
    struct cmdi_line line = fault_begin(fault, text, sizeof(text));
    cmdi_line_text(&line, "the peer refused: alert ");
    cmdi_line_number(&line, (unsigned)number);
    for (size_t i = 0; i < sizeof(fault_alerts) / sizeof(fault_alerts[0]); i++) {
        const struct alert *alert = &fault_alerts[i];
        if (alert->number == number) {
            cmdi_line_text(&line, " (");
            cmdi_line_text(&line, alert->name);
            cmdi_line_text(&line, ")");
            cmdi_line_text(&line, fault->is_server ? alert->of_client : alert->of_server);
        }
    }
    return cmdi_fail(error, CMDS_E_TLS_REFUSED, "%s", text);
}

/* Returns: the alert that has ended it; -1: none has. */
static int fault_alert(const struct cmdi_fault *fault)
{
    WOLFSSL_ALERT_HISTORY history;
    if (fault->number != FATAL_ERROR ||
            wolfSSL_get_alert_history(fault->object, &history) != WOLFSSL_SUCCESS ||
            history.last_rx.code < 0 || history.last_rx.code > UINT8_MAX) {
        return -1;
    }
    return history.last_rx.code;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

struct number {
    int number;
    int code;
    const char *text;
};

static const struct number fault_numbers[] = {
        {MEMORY_E, -ENOMEM, "out of memory"},
        {MEMORY_ERROR, -ENOMEM, "out of memory"},
        {ZERO_RETURN, CMDS_E_TLS_REFUSED, "the peer ended it in order, before its end"},
        {WOLFSSL_ERROR_ZERO_RETURN, CMDS_E_TLS_REFUSED,
                "the peer ended it in order, before its end"},
        {NO_PEER_CERT, CMDS_E_TLS_CERTIFICATE, "it has no certificate, and one is required"},
        {NO_PEER_VERIFY, CMDS_E_TLS_CERTIFICATE,
                "it did not show that it has the key of its certificate"},
        {VERIFY_SIGN_ERROR, CMDS_E_TLS_CERTIFICATE,
                "it did not show that it has the key of its certificate"},
        {SIG_VERIFY_E, CMDS_E_TLS_CERTIFICATE,
                "it did not show that it has the key of its certificate"},
        {PEER_KEY_ERROR, CMDS_E_TLS_CERTIFICATE, "its certificate has a key that cannot be read"},
        {ASN_PARSE_E, CMDS_E_TLS_CERTIFICATE, "its certificate is not X.509 in DER"},
        {MAX_CHAIN_ERROR, CMDS_E_TLS_CERTIFICATE, "it sent more certificates than are allowed"},
        {VERSION_ERROR, CMDS_E_TLS_HANDSHAKE, "no version of TLS in common; check version_min"},
        {UNSUPPORTED_PROTO_VERSION, CMDS_E_TLS_HANDSHAKE,
                "no version of TLS in common; check version_min"},
        {MATCH_SUITE_ERROR, CMDS_E_TLS_HANDSHAKE,
                "no cipher in common that fits our certificate; check ciphers"},
        {UNSUPPORTED_SUITE, CMDS_E_TLS_HANDSHAKE,
                "no cipher in common that fits our certificate; check ciphers"},
        {UNKNOWN_ALPN_PROTOCOL_NAME_E, CMDS_E_TLS_HANDSHAKE,
                "no protocol in common (ALPN); check alpn"},
        {VERIFY_FINISHED_ERROR, CMDS_E_TLS_HANDSHAKE, "what both have seen of it is not the same"},
        {OUT_OF_ORDER_E, CMDS_E_TLS_HANDSHAKE, "a message of it came out of order"},
        {SANITY_MSG_E, CMDS_E_TLS_HANDSHAKE, "a message of it came out of order"},
        {DUPLICATE_MSG_E, CMDS_E_TLS_HANDSHAKE, "a message of it came twice"},
        {DECRYPT_ERROR, CMDS_E_TLS_RECORD,
                "a record was changed on its way, or is no record of it"},
        {AES_GCM_AUTH_E, CMDS_E_TLS_RECORD,
                "a record was changed on its way, or is no record of it"},
        {MAC_CMP_FAILED_E, CMDS_E_TLS_RECORD,
                "a record was changed on its way, or is no record of it"},
        {VERIFY_MAC_ERROR, CMDS_E_TLS_RECORD,
                "a record was changed on its way, or is no record of it"},
        {UNKNOWN_RECORD_TYPE, CMDS_E_TLS_RECORD, "a record of a type that does not belong here"},
        {LENGTH_ERROR, CMDS_E_TLS_RECORD, "a record of a wrong length"},
        {PARSE_ERROR, CMDS_E_TLS_RECORD, "a record that cannot be read"},
        {BUFFER_ERROR, CMDS_E_TLS_RECORD, "a message that cannot be read"},
        {BUFFER_E, CMDS_E_TLS_RECORD, "a message that cannot be read"},
        {ALERT_COUNT_E, CMDS_E_TLS_RECORD, "too many alerts"},
};

static int fault_of_number(const struct cmdi_fault *fault, struct cmds_error *error)
{
    for (size_t i = 0; i < sizeof(fault_numbers) / sizeof(fault_numbers[0]); i++) {
        if (fault_numbers[i].number == fault->number) {
            return cmdi_fault_say(fault, fault_numbers[i].code, fault_numbers[i].text, error);
        }
    }
    char text[FAULT_TEXT_SIZE];
    struct cmdi_line line = fault_begin(fault, text, sizeof(text));
    const char *said = wolfSSL_ERR_reason_error_string((unsigned long)(long)fault->number);
    cmdi_line_text(&line, "wolfSSL's error ");
    cmdi_line_text(&line, fault->number < 0 ? "-" : "");
    cmdi_line_number(&line, (unsigned)(fault->number < 0 ? -fault->number : fault->number));
    cmdi_line_text(&line, " (");
    cmdi_line_text(&line, said != NULL ? said : "unknown");
    cmdi_line_text(&line, ")");
    int code = fault->phase == CMDI_FAULT_HANDSHAKE ? CMDS_E_TLS_HANDSHAKE : CMDS_E_TLS_RECORD;
    return cmdi_fail(error, code, "%s", text);
}

/* ---- In this order --------------------------------------------------------------------------- */

int cmdi_fault_record(const struct cmdi_fault *fault, struct cmds_error *error)
{
    const struct cmdi_tls_gate *gate = &fault->shim->gate;
    const struct cmdi_verify *verify = fault->verify;
    if (fault->shim->lacks_memory || (verify != NULL && verify->lacks_memory)) {
        return cmdi_fault_say(fault, -ENOMEM, "out of memory", error);
    }
    if (gate->state == CMDI_TLS_GATE_REFUSED) {
        const char *text = cmdi_tls_gate_text((enum cmdi_tls_gate_reason)gate->reason);
        return cmdi_fault_say(fault, CMDS_E_TLS_RECORD, text, error);
    }
    if (verify != NULL && cmdi_verify_has_failed(verify)) {
        char text[FAULT_TEXT_SIZE];
        cmdi_complaint_write(verify, text, sizeof(text));
        return cmdi_fault_say(fault, CMDS_E_TLS_CERTIFICATE, text, error);
    }
    int alert = fault_alert(fault);
    return alert >= 0 ? fault_of_alert(fault, alert, error) : fault_of_number(fault, error);
}
