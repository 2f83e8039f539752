/* SPDX-License-Identifier: MIT */
/*
 * Does this wolfSSL do what it should? scripts/build-wolfssl.sh asks before it installs one, because
 * wolfSSL's own tests need the date of their certificates.
 *
 *     prove answers                   known answers of each algorithm that TLS takes here
 *     prove server CERT KEY CA        prints its port; one handshake, in which the client has to show
 *                                     a certificate; echoes one piece
 *     prove client PORT CA CERT KEY   the other side of that: sends a line, which comes back reversed
 *
 * The answers are those of OpenSSL. Needs nothing but wolfSSL and the C library.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>
#include <wolfssl/wolfcrypt/curve25519.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/hmac.h>

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IV_SIZE = 12,
    TAG_SIZE = 16,
    EXTRA_SIZE = 13,
    TEXT_SIZE = 61,
    KEY_SIZE = 32,
    BYTES_MAX = 128,
};

struct bytes {
    uint8_t data[BYTES_MAX];
    word32 size;
};

/* The inputs: first, first + 7, first + 14, ... */
static struct bytes steps(uint8_t first, word32 size)
{
    struct bytes bytes = {.size = size};
    for (word32 i = 0; i < size; i++) {
        bytes.data[i] = (uint8_t)(first + 7 * i);
    }
    return bytes;
}

static struct bytes unhex(const char *hex)
{
    struct bytes bytes = {.size = (word32)(strlen(hex) / 2)};
    for (word32 i = 0; i < bytes.size; i++) {
        char byte[] = {hex[2 * i], hex[2 * i + 1], 0};
        bytes.data[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    return bytes;
}

static bool is(const void *data, size_t size, const char *hex)
{
    struct bytes answer = unhex(hex);
    return size == answer.size && memcmp(data, answer.data, size) == 0;
}

/* --- Known answers ---------------------------------------------------------------------------- */

static bool prove_aes(word32 key_size, const char *hex)
{
    struct bytes key = steps(1, key_size), iv = steps(2, IV_SIZE), extra = steps(3, EXTRA_SIZE);
    struct bytes text = steps(4, TEXT_SIZE), sealed = {.size = TEXT_SIZE + TAG_SIZE};
    uint8_t opened[TEXT_SIZE] = {0};
    Aes aes;
    bool right = wc_AesInit(&aes, NULL, INVALID_DEVID) == 0;
    right = right && wc_AesGcmSetKey(&aes, key.data, key.size) == 0 &&
            wc_AesGcmEncrypt(&aes, sealed.data, text.data, text.size, iv.data, iv.size,
                    sealed.data + TEXT_SIZE, TAG_SIZE, extra.data, extra.size) == 0 &&
            is(sealed.data, sealed.size, hex);
    right = right &&
            wc_AesGcmDecrypt(&aes, opened, sealed.data, TEXT_SIZE, iv.data, iv.size,
                    sealed.data + TEXT_SIZE, TAG_SIZE, extra.data, extra.size) == 0 &&
            memcmp(opened, text.data, TEXT_SIZE) == 0;
    sealed.data[TEXT_SIZE] ^= 1;
    right = right &&
            wc_AesGcmDecrypt(&aes, opened, sealed.data, TEXT_SIZE, iv.data, iv.size,
                    sealed.data + TEXT_SIZE, TAG_SIZE, extra.data, extra.size) == AES_GCM_AUTH_E;
    wc_AesFree(&aes);
    return right;
}

static bool prove_aes_128(void)
{
    return prove_aes(16, "fbde46449f9387338ed8fa80dfecce242ccb081e338089f0394820c5d9c1d33193310c01"
                         "9546e1358b15b4a3ee9c04ecab4d5676e32200f06f6abeea9645a932439de3f5b3a35a38"
                         "faab2fc015");
}

static bool prove_aes_256(void)
{
    return prove_aes(32, "bccc615f74b9578d95084f667ffdaad909d7c463c1ffcc2ed63b6fbb2ec5d0748f975d77"
                         "70ff2553a7d89fe4559bee36f7722ef0d554f15cf652e33085c3542d83bb402fa6647b91"
                         "f0739054b5");
}

static bool prove_chacha(void)
{
    struct bytes key = steps(1, KEY_SIZE), iv = steps(2, IV_SIZE), extra = steps(3, EXTRA_SIZE);
    struct bytes text = steps(4, TEXT_SIZE), sealed = {.size = TEXT_SIZE + TAG_SIZE};
    uint8_t opened[TEXT_SIZE] = {0};
    bool right = wc_ChaCha20Poly1305_Encrypt(key.data, iv.data, extra.data, extra.size, text.data,
                         text.size, sealed.data, sealed.data + TEXT_SIZE) == 0 &&
                 is(sealed.data, sealed.size,
                         "17db33b89c801650f7b632e4b6c41c7101b654d9c6f53d42417450fd5644b2756c232571"
                         "439c3c971f0ec432300924dcbd6740721f6401b52d97f924cf6d7ac0041f6ab5e73e31b6"
                         "b149dac3ff");
    right = right &&
            wc_ChaCha20Poly1305_Decrypt(key.data, iv.data, extra.data, extra.size, sealed.data,
                    TEXT_SIZE, sealed.data + TEXT_SIZE, opened) == 0 &&
            memcmp(opened, text.data, TEXT_SIZE) == 0;
    sealed.data[0] ^= 1;
    return right && wc_ChaCha20Poly1305_Decrypt(key.data, iv.data, extra.data, extra.size,
                            sealed.data, TEXT_SIZE, sealed.data + TEXT_SIZE, opened) != 0;
}

static bool prove_x25519(void)
{
    struct bytes key = steps(1, KEY_SIZE);
    struct bytes peer = unhex("732edfab923aea4d28f187a1120d6b1cd0b2acb33763e450d7dd7913e122604d");
    curve25519_key own, other;
    struct bytes secret = {.size = KEY_SIZE};
    bool right =
            wc_curve25519_init(&own) == 0 && wc_curve25519_init(&other) == 0 &&
            wc_curve25519_import_private_ex(key.data, key.size, &own, EC25519_LITTLE_ENDIAN) == 0 &&
            wc_curve25519_import_public_ex(peer.data, peer.size, &other, EC25519_LITTLE_ENDIAN) ==
                    0;
#ifdef WOLFSSL_CURVE25519_BLINDING
    WC_RNG rng;
    right = right && wc_InitRng(&rng) == 0 && wc_curve25519_set_rng(&own, &rng) == 0;
#endif
    return right &&
           wc_curve25519_shared_secret_ex(
                   &own, &other, secret.data, &secret.size, EC25519_LITTLE_ENDIAN) == 0 &&
           is(secret.data, secret.size,
                   "086731512e66c00ed84bf7a04ed487ec921fa8f3423447ff958a6387e8e22c35");
}

static const char p256_point[] =
        "0410871a485e2058b5a754ee9cfa03d60063ae1d201a59d3bcb9848f01f261cd7"
        "e18487a5e784cbc9de0fc8320e0d8e5c5f697e6e2db4317f1c0d07b53dfbd5028";

static bool prove_p256_agreement(void)
{
    struct bytes key = steps(1, KEY_SIZE), point = unhex(p256_point), secret = {.size = KEY_SIZE};
    ecc_key own = {0}, other = {0};
    WC_RNG rng = {0};
    bool right = wc_ecc_init(&own) == 0 && wc_ecc_init(&other) == 0 && wc_InitRng(&rng) == 0;
    right = right &&
            wc_ecc_import_private_key_ex(key.data, key.size, NULL, 0, &own, ECC_SECP256R1) == 0 &&
            wc_ecc_import_x963_ex(point.data, point.size, &other, ECC_SECP256R1) == 0;
#ifdef ECC_TIMING_RESISTANT
    right = right && wc_ecc_set_rng(&own, &rng) == 0;
#endif
    right = right && wc_ecc_shared_secret(&own, &other, secret.data, &secret.size) == 0 &&
            is(secret.data, secret.size,
                    "a6fdcdfd7fff42f85410128bab30010a67860879f1de150b6467430f73754d71");
    (void)wc_ecc_free(&own);
    (void)wc_ecc_free(&other);
    (void)wc_FreeRng(&rng);
    return right;
}

static bool prove_p256_signature(void)
{
    struct bytes point = unhex(p256_point), hash = steps(5, KEY_SIZE);
    struct bytes signature =
            unhex("3045022100c3d070aa0c1b169a4070fc97e3cb44ce8966ee7244b0437559ea108a36df6ce5022037"
                  "a9df0c1fe895f47432e3e6852a2ba26ef5cd99493df14eb849239844b14bd5");
    ecc_key key = {0};
    int valid = 0;
    bool right = wc_ecc_init(&key) == 0 &&
                 wc_ecc_import_x963_ex(point.data, point.size, &key, ECC_SECP256R1) == 0 &&
                 wc_ecc_verify_hash(
                         signature.data, signature.size, hash.data, hash.size, &valid, &key) == 0 &&
                 valid == 1;
    hash.data[0] ^= 1;
    right = right &&
            wc_ecc_verify_hash(
                    signature.data, signature.size, hash.data, hash.size, &valid, &key) == 0 &&
            valid == 0;
    (void)wc_ecc_free(&key);
    return right;
}

static bool prove_ed25519(void)
{
    struct bytes seed = steps(1, KEY_SIZE), text = steps(4, TEXT_SIZE), signature = {.size = 64};
    struct bytes point = unhex("e4030998cfd5ad1723c169f956aa0b9eb8619b5992bd612c2af428ebc79f8df0");
    ed25519_key key;
    int valid = 0;
    bool right =
            wc_ed25519_init(&key) == 0 &&
            wc_ed25519_import_private_key(seed.data, seed.size, point.data, point.size, &key) ==
                    0 &&
            wc_ed25519_sign_msg(text.data, text.size, signature.data, &signature.size, &key) == 0 &&
            is(signature.data, signature.size,
                    "91d2ad75b6587600dc472d486d5861486ef6cf3853e4701a5c739a61df31aa92de002a60"
                    "f5cd89749624816e46e56d748a2b70eddb282282e3c3a13c19ef2800") &&
            wc_ed25519_verify_msg(
                    signature.data, signature.size, text.data, text.size, &valid, &key) == 0 &&
            valid == 1;
    text.data[0] ^= 1;
    valid = 0;
    (void)wc_ed25519_verify_msg(signature.data, signature.size, text.data, text.size, &valid, &key);
    return right && valid == 0;
}

static bool prove_hkdf(void)
{
    struct bytes secret = steps(1, 22), salt = steps(2, 13), info = steps(3, 10);
    uint8_t key[42];
    return wc_HKDF(WC_SHA256, secret.data, secret.size, salt.data, salt.size, info.data, info.size,
                   key, sizeof(key)) == 0 &&
           is(key, sizeof(key),
                   "149dc50ae8f02687be4d688067bd99bbc816928cb3d96dcb848ad113dc97210c6d5a45bbea7f75"
                   "1ef73c");
}

static int prove_answers(void)
{
    static const struct {
        const char *name;
        bool (*prove)(void);
    } algorithms[] = {
            {"AES-128-GCM", prove_aes_128},
            {"AES-256-GCM", prove_aes_256},
            {"ChaCha20-Poly1305", prove_chacha},
            {"X25519", prove_x25519},
            {"ECDH P-256", prove_p256_agreement},
            {"ECDSA P-256", prove_p256_signature},
            {"Ed25519", prove_ed25519},
            {"HKDF-SHA-256", prove_hkdf},
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        bool right = algorithms[i].prove();
        printf("%-18s %s\n", algorithms[i].name, right ? "right" : "WRONG");
        wrong += !right;
    }
    return wrong == 0 ? 0 : 1;
}

/* --- One handshake ---------------------------------------------------------------------------- */

static _Noreturn void fail(const char *what, WOLFSSL *ssl, int result)
{
    fprintf(stderr, "prove: %s: %d\n", what, ssl != NULL ? wolfSSL_get_error(ssl, result) : result);
    exit(1);
}

static WOLFSSL *session(WOLFSSL_METHOD *method, const char *const files[3], int fd)
{
    WOLFSSL_CTX *context = wolfSSL_CTX_new(method);
    if (context == NULL ||
            wolfSSL_CTX_use_certificate_chain_file(context, files[0]) != WOLFSSL_SUCCESS ||
            wolfSSL_CTX_use_PrivateKey_file(context, files[1], WOLFSSL_FILETYPE_PEM) !=
                    WOLFSSL_SUCCESS ||
            wolfSSL_CTX_load_verify_locations(context, files[2], NULL) != WOLFSSL_SUCCESS) {
        fail("the files", NULL, 0);
    }
    wolfSSL_CTX_set_verify(
            context, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    WOLFSSL *ssl = wolfSSL_new(context);
    if (ssl == NULL || wolfSSL_set_fd(ssl, fd) != WOLFSSL_SUCCESS) {
        fail("a session", NULL, 0);
    }
    return ssl;
}

static int prove_server(const char *const files[3])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 1) < 0 ||
            getsockname(listener, (struct sockaddr *)&address, &size) < 0) {
        fail("listen", NULL, 0);
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    WOLFSSL *ssl = session(wolfTLSv1_3_server_method(), files, accept(listener, NULL, NULL));
    int result = wolfSSL_accept(ssl);
    if (result != WOLFSSL_SUCCESS) {
        fail("accept", ssl, result);
    }
    char piece[BYTES_MAX];
    int count = wolfSSL_read(ssl, piece, sizeof(piece));
    if (count <= 0 || wolfSSL_write(ssl, piece, count) != count) {
        fail("echo", ssl, count);
    }
    (void)wolfSSL_shutdown(ssl);
    return 0;
}

static int prove_client(uint16_t port, const char *const files[3])
{
    struct sockaddr_in address = {.sin_family = AF_INET,
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
            .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        fail("connect", NULL, 0);
    }
    WOLFSSL *ssl = session(wolfTLSv1_3_client_method(), files, fd);
    int result = wolfSSL_connect(ssl);
    if (result != WOLFSSL_SUCCESS) {
        fail("connect", ssl, result);
    }
    static const char line[] = "from wolfSSL\n", reversed[] = "LSSflow morf\n";
    char piece[sizeof(line)];
    int size = (int)sizeof(line) - 1;
    if (wolfSSL_write(ssl, line, size) != size) {
        fail("write", NULL, 0);
    }
    result = wolfSSL_read(ssl, piece, sizeof(piece));
    if (result != size || memcmp(piece, reversed, (size_t)size) != 0) {
        fail("echo", ssl, result);
    }
    (void)wolfSSL_shutdown(ssl);
    return 0;
}

int main(int argc, char **argv)
{
    alarm(20);
    (void)wolfSSL_Init();
    if (argc == 2 && strcmp(argv[1], "answers") == 0) {
        return prove_answers();
    }
    if (argc == 5 && strcmp(argv[1], "server") == 0) {
        return prove_server((const char *const[]){argv[2], argv[3], argv[4]});
    }
    if (argc == 6 && strcmp(argv[1], "client") == 0) {
        return prove_client((uint16_t)strtoul(argv[2], NULL, 10),
                (const char *const[]){argv[4], argv[5], argv[3]});
    }
    fprintf(stderr, "usage: prove answers|server CERT KEY CA|client PORT CA CERT KEY\n");
    return 2;
}
