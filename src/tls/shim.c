/* SPDX-License-Identifier: MIT */
#include "tls/shim.h"

#include <limits.h>
#include <string.h>

#include "base/assert.h"

/* Returns: how many bytes were taken, of the first piece; 0: none, or the gate lets none pass. */
static size_t shim_take(struct cmdi_shim *shim, uint8_t *out, size_t room, bool *is_refused)
{
    size_t size = 0;
    const uint8_t *data = shim->io->peek(shim->context, &size);
    if (data == NULL) {
        return 0;
    }
    size_t passed = 0;
    enum cmdi_tls_gate_verdict verdict =
            cmdi_tls_gate_pass(&shim->gate, data, size < room ? size : room, &passed);
    *is_refused = verdict == CMDI_TLS_GATE_REFUSE;
    CMDI_ASSERT(passed <= room);
    if (passed > 0) {
        memcpy(out, data, passed);
        shim->io->take(shim->context, passed);
    }
    return passed;
}

/* As many bytes as there are: wolfSSL asks for a header, and then for the rest of the record. */
static int shim_receive(WOLFSSL *object, char *buffer, int room, void *context)
{
    (void)object;
    struct cmdi_shim *shim = context;
    size_t wanted = room > 0 ? (size_t)room : 0;
    size_t taken = 0;
    bool is_refused = false;
    while (taken < wanted && !is_refused) {
        size_t count = shim_take(shim, (uint8_t *)buffer + taken, wanted - taken, &is_refused);
        if (count == 0) {
            break;
        }
        taken += count;
    }
    if (is_refused) {
        return WOLFSSL_CBIO_ERR_GENERAL;
    }
    return taken > 0 ? (int)taken : WOLFSSL_CBIO_ERR_WANT_READ;
}

static int shim_send(WOLFSSL *object, char *data, int size, void *context)
{
    (void)object;
    struct cmdi_shim *shim = context;
    CMDI_ASSERT(size > 0);
    if (shim->lacks_memory ||
            shim->io->put(shim->context, (const uint8_t *)data, (size_t)size) < 0) {
        shim->lacks_memory = true; // Nothing may leave behind a gap.
        return WOLFSSL_CBIO_ERR_GENERAL;
    }
    return size;
}

void cmdi_shim_init(
        struct cmdi_shim *shim, const struct cmdi_security_io *io, void *context, bool is_server)
{
    *shim = (struct cmdi_shim){.io = io, .context = context};
    cmdi_tls_gate_init(&shim->gate, is_server);
}

void cmdi_shim_attach(struct cmdi_shim *shim, WOLFSSL *object)
{
    wolfSSL_SSLSetIORecv(object, shim_receive);
    wolfSSL_SSLSetIOSend(object, shim_send);
    wolfSSL_SetIOReadCtx(object, shim);
    wolfSSL_SetIOWriteCtx(object, shim);
}

enum cmdi_security_result cmdi_shim_lack(const struct cmdi_shim *shim)
{
    const struct cmdi_tls_gate *gate = &shim->gate;
    if (gate->call_records == CMDI_TLS_CALL_RECORDS_MAX) {
        return CMDI_SECURITY_SPENT;
    }
    bool is_cut = gate->state == CMDI_TLS_GATE_BODY || gate->header_size > 0;
    return is_cut ? CMDI_SECURITY_CUT : CMDI_SECURITY_EMPTY;
}
