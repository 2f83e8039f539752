/* SPDX-License-Identifier: MIT */
/*
 * A struct cmds_tls: what its options and its files may be, and the sentence for each that they may not;
 * which certificate a name gets; a reload, which is whole or nothing.
 */
#include "tls/context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/tls_pair.h"

/* ---- Helpers --------------------------------------------------------------------------------- */

enum {
    PATH_SIZE = 128,
    PATH_COUNT = 64
};

/* As tls_file(), for longer. */
static const char *file_of(const char *name)
{
    static char paths[PATH_COUNT][PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % PATH_COUNT];
    (void)snprintf(path, PATH_SIZE, "%s", tls_file(name));
    return path;
}

static struct cmds_tls_server_options server_options(void)
{
    struct cmds_tls_server_options options = CMDS_TLS_SERVER_OPTIONS_INIT;
    options.certificate_file = file_of("server.pem");
    options.key_file = file_of("server.key");
    return options;
}

static struct cmds_tls_client_options client_options(void)
{
    struct cmds_tls_client_options options = CMDS_TLS_CLIENT_OPTIONS_INIT;
    options.ca_file = file_of("ca.pem");
    return options;
}

static struct cmds_tls *server_of(const struct cmds_tls_server_options *options)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_tls_server_new(&tls, options, &error), 0);
    CU_ASSERT_STRING_EQUAL(error.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(tls);
    return tls;
}

static struct cmds_tls *client_of(const struct cmds_tls_client_options *options)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_tls_client_new(&tls, options, &error), 0);
    CU_ASSERT_STRING_EQUAL(error.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(tls);
    return tls;
}

/* All words are in the sentence, and it says which failure it is. */
static void expect_sentence(const struct cmds_error *error, int code, const char *words)
{
    CU_ASSERT_EQUAL(error->code, code);
    bool is_there = strstr(error->text, words) != NULL && strncmp(error->text, "TLS: ", 5) == 0;
    CU_ASSERT(is_there);
    if (!is_there || error->code != code) {
        fprintf(stderr, "    wanted %d \"%s\"\n    got    %d \"%s\"\n", code, words, error->code,
                error->text);
    }
}

static void refused_server(
        const struct cmds_tls_server_options *options, int code, const char *words)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_tls_server_new(&tls, options, &error), code);
    CU_ASSERT_PTR_NULL(tls);
    expect_sentence(&error, code, words);
}

static void refused_client(
        const struct cmds_tls_client_options *options, int code, const char *words)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_tls_client_new(&tls, options, &error), code);
    CU_ASSERT_PTR_NULL(tls);
    expect_sentence(&error, code, words);
}

static void refused_certificate(const char *certificate, const char *key, const char *words)
{
    struct cmds_tls_server_options options = CMDS_TLS_SERVER_OPTIONS_INIT;
    options.certificate_file = file_of(certificate);
    options.key_file = file_of(key);
    refused_server(&options, CMDS_E_TLS_CONFIG, words);
}

static void refused_ca(const char *ca, const char *words)
{
    struct cmds_tls_client_options options = CMDS_TLS_CLIENT_OPTIONS_INIT;
    options.ca_file = file_of(ca);
    refused_client(&options, CMDS_E_TLS_CONFIG, words);
}

/* Both ends, or the sentence of whoever failed first. */
static bool connect_to(struct cmds_tls *client, struct cmds_tls *server, const char *host,
        struct cmds_error *error)
{
    struct tls_pair pair;
    tls_pair_init(&pair, client, server);
    pair.host = host;
    bool is_done = tls_pair_connect(&pair);
    *error = pair.client.error.code != 0 ? pair.client.error : pair.server.error;
    tls_pair_fini(&pair);
    return is_done;
}

static void connects(struct cmds_tls *client, struct cmds_tls *server, const char *host)
{
    struct cmds_error error;
    CU_ASSERT(connect_to(client, server, host, &error));
    CU_ASSERT_STRING_EQUAL(error.text, "");
}

/* A file of a test's own, in the folder of the certificates. */
static const char *write_file(const char *name, const char *text, size_t size, mode_t mode)
{
    const char *path = file_of(name);
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    CU_ASSERT_FATAL(fd >= 0 && write(fd, text, size) == (ssize_t)size);
    CU_ASSERT_EQUAL(fchmod(fd, mode), 0); // Whatever the umask says.
    close(fd);
    return path;
}

struct text {
    char data[256 * 1024];
    size_t size;
};

static void add_file(struct text *text, const char *name)
{
    int fd = open(file_of(name), O_RDONLY);
    ssize_t size = read(fd, text->data + text->size, sizeof(text->data) - text->size);
    CU_ASSERT_FATAL(fd >= 0 && size >= 0);
    text->size += (size_t)size;
    close(fd);
}

static void add_text(struct text *text, const char *words)
{
    size_t size = strlen(words);
    memcpy(text->data + text->size, words, size);
    text->size += size;
}

static struct text text;

/* "server.pem", "server.key", "-- words": one behind the other, as `name`. */
static const char *join(const char *name, mode_t mode, const char *const *parts)
{
    text.size = 0;
    for (; *parts != NULL; parts++) {
        if (strncmp(*parts, "-- ", 3) == 0) {
            add_text(&text, *parts + 3);
        } else {
            add_file(&text, *parts);
        }
    }
    return write_file(name, text.data, text.size, mode);
}
#define JOIN(name, mode, ...) join(name, mode, (const char *const[]){__VA_ARGS__, NULL})

/* ---- Options --------------------------------------------------------------------------------- */

static void test_context_both_sides_connect(void)
{
    struct cmds_tls_server_options server = server_options();
    struct cmds_tls_client_options client = client_options();
    struct cmds_tls *server_tls = server_of(&server), *client_tls = client_of(&client);

    connects(client_tls, server_tls, "a.example");

    cmds_tls_free(client_tls);
    cmds_tls_free(server_tls);
    cmds_tls_free(NULL);
}

static void test_context_options_of_a_server(void)
{
    struct cmds_tls_server_options options = server_options();
    options.key_file = NULL;
    refused_server(&options, -EINVAL, "certificate_file is there, and no key_file");
    options.certificate_file = "";
    refused_server(&options, -EINVAL, "certificate_file is missing");

    options = server_options();
    options.struct_size = 0;
    struct cmds_tls *tls = NULL;
    CU_ASSERT_EQUAL(cmds_tls_server_new(&tls, &options, NULL), -EINVAL);
    options = server_options();
    options.version_min = 11;
    refused_server(&options, -EINVAL, "version_min is 11: 12 or 13");
    options = server_options();
    options.clients = 3;
    options.client_ca_file = file_of("ca.pem");
    refused_server(&options, -EINVAL, "clients is 3");
    options.clients = CMDS_TLS_CLIENTS_NONE;
    refused_server(&options, -EINVAL, "client_ca_file is there, and clients is NONE");
    options.client_ca_file = NULL;
    options.crl_file = file_of("ca.crl");
    refused_server(&options, -EINVAL, "crl_file is there, and clients is NONE");
    options.clients = CMDS_TLS_CLIENTS_OPTIONAL;
    refused_server(&options, -EINVAL, "client_ca_file is missing");
    options = server_options();
    options.ticket_lifetime_s = 604801;
    refused_server(&options, -EINVAL, "ticket_lifetime_s is 604801: at most 604800");
    options = server_options();
    options.name_count = 1;
    refused_server(&options, -EINVAL, "name_count is 1");
}

static void test_context_options_of_a_client(void)
{
    struct cmds_tls_client_options options = client_options();
    options.certificate_file = file_of("client.pem");
    refused_client(&options, -EINVAL, "certificate_file is there, and no key_file");
    // "$UNSET" of a script: a client without a certificate that nobody has asked for.
    options.certificate_file = options.key_file = "";
    refused_client(&options, -EINVAL, "certificate_file is empty, and so is its key's");
    options = client_options();
    options.unsafe_no_verification = true;
    refused_client(&options, -EINVAL, "ca_file is there, and unsafe_no_verification");
    options = (struct cmds_tls_client_options)CMDS_TLS_CLIENT_OPTIONS_INIT;
    options.crl_file = file_of("ca.crl");
    refused_client(&options, -EINVAL, "no ca_file that it is of");
    options = client_options();
    options.server_name = "a..example";
    refused_client(&options, -EINVAL, "server_name \"a..example\"");
    options.server_name = "::1";
    options.unused = 1;
    struct cmds_tls *tls = NULL;
    CU_ASSERT_EQUAL(cmds_tls_client_new(&tls, &options, NULL), -E2BIG);
    options.unused = 0;
    cmds_tls_free(client_of(&options));
}

static void test_context_lists(void)
{
    static const char *const alpn[] = {"", "a,", ",a", "a,,b", "a b", "a\nb"};
    struct cmds_tls_server_options options = server_options();
    for (size_t i = 0; i < sizeof(alpn) / sizeof(alpn[0]); i++) {
        options.alpn = alpn[i];
        refused_server(&options, -EINVAL, "alpn: ");
    }
    options.alpn = "a,b/1.1";
    options.ciphers = "TLS_AES_128_GCM_SHA256:AES128-SHA";
    refused_server(&options, -EINVAL, "ciphers: \"AES128-SHA\" is none of");
    options.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
    refused_server(&options, -EINVAL, "none of TLS 1.3");
    options.ciphers = "TLS_AES_256_GCM_SHA384";
    struct cmds_tls *tls = server_of(&options);
    CU_ASSERT_EQUAL(cmdi_tls_of(tls)->version_min, 13); // There is no cipher for less.
    cmds_tls_free(tls);
}

static void test_context_facts(void)
{
    struct cmds_tls_server_options server = server_options();
    struct cmds_tls *tls = server_of(&server);
    const struct cmdi_tls *facts = cmdi_tls_of(tls);
    CU_ASSERT(tls->is_server && tls->handshakes_max == 256 && facts->version_min == 12);
    CU_ASSERT(!facts->verifies && !facts->requires && facts->resumes && facts->alpn == NULL);
    cmds_tls_free(tls);

    server.clients = CMDS_TLS_CLIENTS_OPTIONAL;
    server.client_ca_file = file_of("ca.pem");
    server.version_min = 13;
    server.handshakes_max = 7;
    server.alpn = "a,b";
    tls = server_of(&server);
    facts = cmdi_tls_of(tls);
    CU_ASSERT(tls->handshakes_max == 7 && facts->version_min == 13);
    CU_ASSERT(facts->verifies && !facts->requires && !facts->resumes);
    CU_ASSERT_STRING_EQUAL(facts->alpn, "a,b");
    cmds_tls_free(tls);

    server.clients = CMDS_TLS_CLIENTS_REQUIRED;
    tls = server_of(&server);
    CU_ASSERT(cmdi_tls_of(tls)->verifies && cmdi_tls_of(tls)->requires);
    cmds_tls_free(tls);

    struct cmds_tls_client_options client = client_options();
    client.server_name = "b.example";
    tls = client_of(&client);
    facts = cmdi_tls_of(tls);
    CU_ASSERT(!tls->is_server && facts->verifies && facts->requires && facts->resumes);
    CU_ASSERT_STRING_EQUAL(tls->server_name, "b.example");
    CU_ASSERT(tls->server_name != client.server_name);
    cmds_tls_free(tls);

    client.ca_file = NULL;
    client.unsafe_no_verification = client.no_resumption = true;
    tls = client_of(&client);
    facts = cmdi_tls_of(tls);
    CU_ASSERT(!facts->verifies && !facts->requires && !facts->resumes);
    cmds_tls_free(tls);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static void test_context_files_that_are_none(void)
{
    struct cmds_tls_server_options options = server_options();
    options.certificate_file = file_of("nowhere.pem");
    refused_server(&options, -ENOENT, "nowhere.pem: it does not exist");
    options.certificate_file = file_of(".");
    refused_server(&options, -EINVAL, "not a file");
    const char *pipe = file_of("pipe");
    CU_ASSERT_EQUAL(mkfifo(pipe, 0600), 0); // Nobody writes to it: it must not be waited for.
    options = server_options();
    options.key_file = pipe;
    refused_server(&options, -EINVAL, "key_file");
    options.key_file = write_file("empty.key", "", 0, 0600);
    refused_server(&options, CMDS_E_TLS_CONFIG, "no private key in it");
    memset(text.data, '\n', sizeof(text.data));
    options.key_file = write_file("large.key", text.data, 64 * 1024 + 1, 0600);
    refused_server(&options, -EFBIG, "65537 bytes, at most 65536");
}

static void test_context_key_that_others_may_read(void)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0666, 0777};
    struct cmds_tls_server_options options = server_options();
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        options.key_file = JOIN("open.key", modes[i], "server.key");
        refused_server(&options, -EACCES, "others may read it (mode 0");
    }
    options.key_file = JOIN("open.key", 0400, "server.key");
    cmds_tls_free(server_of(&options));
}

static void test_context_certificates_that_will_not_do(void)
{
    refused_certificate("ca.crl", "server.key", "no certificate in it");
    refused_certificate("server.pem", "client.key", "not the key of the first certificate (CN=s1");
    refused_certificate("rsa_2048.pem", "server.key", "");
    refused_certificate("server.pem", "rsa_2048.key", "");
    refused_certificate("rsa_1024.pem", "rsa_1024.key", "RSA");
    refused_certificate("p224.pem", "p224.key", "");
    refused_certificate("nul.pem", "nul.key", "certificate 1 in it: ");
    refused_certificate("server.pem", "p384.key", "not the key of the first certificate");
    refused_certificate("ed25519.pem", "ed25519_self.key", "not the key of the first certificate");
    refused_certificate("rsa_2048.pem", "ca_rsa.key", "not the key of the first certificate");

    struct cmds_tls_server_options options = server_options();
    options.certificate_file = JOIN("cut.pem", 0644, "server.pem", "ca.pem", "-- \n");
    struct text whole = text;
    for (size_t size = 0; size < whole.size - 30; size += 97) {
        options.certificate_file = write_file("cut.pem", whole.data, size, 0644);
        struct cmds_tls *tls = NULL;
        struct cmds_error error = CMDS_ERROR_INIT;
        int code = cmds_tls_server_new(&tls, &options, &error);
        // Only after a certificate's last line nobody can see that there was to be one more.
        CU_ASSERT(code == CMDS_E_TLS_CONFIG || (code == 0 && size >= whole.size / 3));
        cmds_tls_free(tls);
    }
    options.certificate_file = JOIN("broken.pem", 0644,
            "-- -----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    refused_server(&options, CMDS_E_TLS_CONFIG, "certificate 1 in it: ");
}

static void test_context_chains(void)
{
    struct cmds_tls_server_options options = server_options();
    options.certificate_file = JOIN("long.pem", 0644, "server.pem", "ca.pem", "ca.pem", "ca.pem",
            "ca.pem", "ca.pem", "ca.pem", "ca.pem", "ca.pem");
    cmds_tls_free(server_of(&options));
    options.certificate_file = JOIN("long.pem", 0644, "server.pem", "ca.pem", "ca.pem", "ca.pem",
            "ca.pem", "ca.pem", "ca.pem", "ca.pem", "ca.pem", "ca.pem");
    refused_server(&options, CMDS_E_TLS_CONFIG, "more than 9 certificates");
    // Key and certificate in one file, words between them.
    options.certificate_file = options.key_file =
            JOIN("both.pem", 0600, "-- A word.\n", "server.key", "server.pem", "-- Another.\n");
    cmds_tls_free(server_of(&options));
    options.certificate_file = file_of("server.pem");
    options.key_file = JOIN("two.key", 0600, "server.key", "client.key");
    refused_server(&options, CMDS_E_TLS_CONFIG, "more than one private key");
}

/* Of `openssl`: in its words. */
static const char *convert(const char *name, const char *command)
{
    char line[1024];
    const char *path = file_of(name);
    (void)unlink(path);
    snprintf(line, sizeof(line), command, file_of("server.key"), path);
    if (system(line) != 0) {
        cmdi_test_skip("openssl fails");
    }
    (void)chmod(path, 0600);
    return path;
}

static void test_context_forms_of_a_key(void)
{
    struct cmds_tls_server_options options = server_options();
    options.key_file = convert("old.key", "openssl ec -in %s -out %s 2>/dev/null");
    cmds_tls_free(server_of(&options));
    options.key_file = convert(
            "with.key", "{ openssl ecparam -name prime256v1; openssl ec -in %s 2>/dev/null; } >%s");
    cmds_tls_free(server_of(&options));
    options.key_file = convert("secret.key", "openssl pkcs8 -topk8 -in %s -out %s -passout pass:x");
    refused_server(&options, CMDS_E_TLS_CONFIG, "encrypted, and there is nobody to ask");
    options.key_file =
            convert("secret.key", "openssl ec -in %s -out %s -aes128 -passout pass:x 2>/dev/null");
    refused_server(&options, CMDS_E_TLS_CONFIG, "encrypted, and there is nobody to ask");
    options.key_file = convert("ssh.key", "sed 's/ PRIVATE/ OPENSSH PRIVATE/' <%s >%s");
    refused_server(&options, CMDS_E_TLS_CONFIG, "a key of OpenSSH");
    static const char *const names[][2] = {{"ed25519.pem", "ed25519.key"}, {"p384.pem", "p384.key"},
            {"rsa_2048.pem", "rsa_2048.key"}, {"pss.pem", "pss.key"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        options.certificate_file = file_of(names[i][0]);
        options.key_file = file_of(names[i][1]);
        cmds_tls_free(server_of(&options));
    }
}

static void test_context_cas(void)
{
    refused_ca("server.pem", "certificate 1 in it (CN=s1");
    refused_ca("server.pem", "is not one of a CA");
    refused_ca("ca.crl", "no CA in it");
    (void)write_file("empty.pem", "", 0, 0644);
    refused_ca("empty.pem", "no CA in it");
    (void)JOIN("mixed.pem", 0644, "ca.pem", "client.pem");
    refused_ca("mixed.pem", "certificate 2 in it (CN=client");
    (void)JOIN("cas.pem", 0644, "ca_rsa.pem", "ca.pem", "ca_other.pem");
    struct cmds_tls_client_options options = client_options();
    options.ca_file = file_of("cas.pem");
    cmds_tls_free(client_of(&options));
    // Not beside another CA of its name: the list does not say by which key it was signed.
    options.ca_file = JOIN("cas.pem", 0644, "ca_rsa.pem", "ca.pem");
    options.crl_file = file_of("ca.crl");
    cmds_tls_free(client_of(&options));
    options.ca_file = file_of("ca_rsa.pem");
    refused_client(&options, CMDS_E_TLS_CONFIG, "list 1 in it was signed by none of the CAs");
    options.ca_file = file_of("ca.pem");
    options.crl_file = file_of("ca.pem");
    refused_client(&options, CMDS_E_TLS_CONFIG, "no list of revoked certificates in it");
}

static void test_context_cas_that_are_not_valid_today(void)
{
    refused_ca("ca_expired.pem", "each of its CAs has expired");
    struct cmds_tls_client_options options = client_options();
    options.ca_file = JOIN("old_and_new.pem", 0644, "ca_expired.pem", "ca.pem");
    cmds_tls_free(client_of(&options));
}

static void test_context_store_of_the_system(void)
{
    struct cmds_tls_client_options options = CMDS_TLS_CLIENT_OPTIONS_INIT;
    setenv("SSL_CERT_FILE", file_of("nowhere.pem"), 1);
    refused_client(&options, -ENOENT, "ca_file (the system's store)");
    // What it cannot use in it is not the user's fault.
    setenv("SSL_CERT_FILE", JOIN("store.pem", 0644, "server.pem", "nul.pem", "ca.pem"), 1);
    struct cmds_tls *client = client_of(&options);
    struct cmds_tls_server_options server = server_options();
    struct cmds_tls *server_tls = server_of(&server);
    connects(client, server_tls, "a.example");
    cmds_tls_free(client);
    setenv("SSL_CERT_FILE", file_of("server.pem"), 1);
    refused_client(&options, CMDS_E_TLS_CONFIG, "no CA in it");
    cmds_tls_free(server_tls);
    unsetenv("SSL_CERT_FILE");
}

/* ---- Names ----------------------------------------------------------------------------------- */

static struct cmds_tls_name name_of(
        const char *server_name, const char *certificate, const char *key)
{
    return (struct cmds_tls_name){server_name, file_of(certificate), file_of(key)};
}

static void test_context_names_that_will_not_do(void)
{
    static const char *const illegal[] = {"", "*", "*.", "*.*.example", "a.*", "10.0.0.1", "::1",
            "a..example", "a.example.", "a b.example", "-.", "*.1"};
    struct cmds_tls_server_options options = server_options();
    struct cmds_tls_name names[2];
    options.names = names;
    options.name_count = 1;
    for (size_t i = 0; i < sizeof(illegal) / sizeof(illegal[0]); i++) {
        names[0] = name_of(illegal[i], "server.pem", "server.key");
        refused_server(&options, -EINVAL, "names[0].server_name");
    }
    options.name_count = 2;
    names[0] = name_of("a.example", "server.pem", "server.key");
    names[1] = name_of("A.Example", "server.pem", "server.key");
    refused_server(&options, -EINVAL, "names[0] has it");
    names[1] = name_of("c.example", "server.pem", "server.key");
    refused_server(&options, CMDS_E_TLS_CONFIG, "names[1].certificate_file");
    refused_server(&options, CMDS_E_TLS_CONFIG, "not c.example");
    names[1] = name_of("c.example", "wildcard.pem", "server.key");
    refused_server(&options, CMDS_E_TLS_CONFIG, "names[1].key_file");
    names[1].key_file = NULL;
    refused_server(
            &options, -EINVAL, "names[1].certificate_file is there, and no names[1].key_file");
}

static void test_context_certificate_by_name(void)
{
    struct cmds_tls_name names[] = {name_of("*.example", "wildcard.pem", "wildcard.key"),
            name_of("a.example", "ed25519.pem", "ed25519.key")};
    struct cmds_tls_server_options options = server_options();
    options.names = names;
    options.name_count = 2;
    struct cmds_tls *tls = server_of(&options);
    struct cmdi_context *context = cmdi_tls_hold(cmdi_tls_of(tls));
    WOLFSSL_CTX *own = cmdi_context_for(context, cmds_string_from(""));
    WOLFSSL_CTX *wild = cmdi_context_for(context, cmds_string_from("b.example"));
    WOLFSSL_CTX *exact = cmdi_context_for(context, cmds_string_from("a.example"));

    CU_ASSERT(own != wild && own != exact && wild != exact);
    CU_ASSERT_PTR_EQUAL(cmdi_context_for(context, cmds_string_from("A.EXAMPLE")), exact);
    CU_ASSERT_PTR_EQUAL(cmdi_context_for(context, cmds_string_from("B.Example")), wild);
    static const char *const others[] = {
            "example", ".example", "c.b.example", "a.exampl", "a.examplee", "a.", "."};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        CU_ASSERT_PTR_EQUAL(cmdi_context_for(context, cmds_string_from(others[i])), own);
    }
    struct cmds_string nul = {"a.example\0b", 11};
    CU_ASSERT_PTR_EQUAL(cmdi_context_for(context, nul), own);
    cmdi_context_unref(context);
    cmds_tls_free(tls);
}

/* ---- Reload ---------------------------------------------------------------------------------- */

static void test_context_reload_is_whole_or_nothing(void)
{
    struct cmds_tls_server_options server = server_options();
    server.certificate_file = JOIN("live.pem", 0644, "server.pem");
    server.key_file = JOIN("live.key", 0600, "server.key");
    struct cmds_tls_client_options client = client_options();
    client.ca_file = JOIN("live_ca.pem", 0644, "ca.pem");
    client.no_resumption = true;
    struct cmds_tls *server_tls = server_of(&server), *client_tls = client_of(&client);
    struct cmds_error error = CMDS_ERROR_INIT;

    (void)JOIN("live.pem", 0644, "rsa_2048.pem"); // And not yet its key.
    CU_ASSERT_EQUAL(cmds_tls_reload(server_tls, &error), CMDS_E_TLS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "live"));
    connects(client_tls, server_tls, "a.example");

    (void)JOIN("live.key", 0600, "rsa_2048.key");
    CU_ASSERT_EQUAL(cmds_tls_reload(server_tls, NULL), 0);
    CU_ASSERT_FALSE(connect_to(client_tls, server_tls, "a.example", &error)); // By another CA.
    CU_ASSERT_EQUAL(error.code, CMDS_E_TLS_CERTIFICATE);

    (void)write_file("live_ca.pem", "", 0, 0644);
    CU_ASSERT_EQUAL(cmds_tls_reload(client_tls, NULL), CMDS_E_TLS_CONFIG);
    (void)JOIN("live_ca.pem", 0644, "ca_rsa.pem");
    CU_ASSERT_EQUAL(cmds_tls_reload(client_tls, NULL), 0);
    connects(client_tls, server_tls, "a.example");

    cmds_tls_free(client_tls);
    cmds_tls_free(server_tls);
}

static void test_context_sessions_keep_what_they_began_with(void)
{
    struct cmds_tls_server_options server = server_options();
    server.certificate_file = JOIN("live.pem", 0644, "server.pem");
    server.key_file = JOIN("live.key", 0600, "server.key");
    struct cmds_tls_client_options client = client_options();
    struct cmds_tls *server_tls = server_of(&server), *client_tls = client_of(&client);
    struct tls_pair pair;
    tls_pair_init(&pair, client_tls, server_tls);
    CU_ASSERT_TRUE_FATAL(tls_pair_connect(&pair));

    (void)JOIN("live.pem", 0644, "rsa_2048.pem");
    (void)JOIN("live.key", 0600, "rsa_2048.key");
    CU_ASSERT_EQUAL(cmds_tls_reload(server_tls, NULL), 0);
    CU_ASSERT_EQUAL(tls_seal(&pair.server, "x", 1), 0);
    (void)tls_move(&pair.server, &pair.client, SIZE_MAX);
    enum cmdi_security_result result;
    while ((result = tls_open(&pair.client)) == CMDI_SECURITY_SPENT) {
        continue;
    }
    CU_ASSERT_EQUAL(result, CMDI_SECURITY_DATA);

    tls_pair_fini(&pair);
    cmds_tls_free(client_tls);
    cmds_tls_free(server_tls);
}

static void policy_of(struct cmds_tls *tls, uint8_t policy[32])
{
    struct cmdi_context *context = cmdi_tls_hold(cmdi_tls_of(tls));
    memcpy(policy, cmdi_context_policy(context), 32);
    cmdi_context_unref(context);
}

static void test_context_policy_says_whom_we_believe(void)
{
    uint8_t first[32], second[32];
    struct cmds_tls_server_options server = server_options();
    server.certificate_file = JOIN("live.pem", 0644, "server.pem");
    server.key_file = JOIN("live.key", 0600, "server.key");
    struct cmds_tls *tls = server_of(&server);
    policy_of(tls, first);
    (void)JOIN("live.pem", 0644, "ed25519.pem");
    (void)JOIN("live.key", 0600, "ed25519.key");
    CU_ASSERT_EQUAL(cmds_tls_reload(tls, NULL), 0);
    policy_of(tls, second);
    CU_ASSERT_EQUAL(memcmp(first, second, 32), 0); // Who the clients are is as before.
    cmds_tls_free(tls);

    struct cmds_tls_client_options client = client_options();
    client.ca_file = JOIN("live_ca.pem", 0644, "ca.pem");
    tls = client_of(&client);
    policy_of(tls, first);
    CU_ASSERT_EQUAL(cmds_tls_reload(tls, NULL), 0);
    policy_of(tls, second);
    CU_ASSERT_EQUAL(memcmp(first, second, 32), 0);
    (void)JOIN("live_ca.pem", 0644, "ca.pem", "ca_rsa.pem");
    CU_ASSERT_EQUAL(cmds_tls_reload(tls, NULL), 0);
    policy_of(tls, second);
    CU_ASSERT_NOT_EQUAL(memcmp(first, second, 32), 0);
    cmds_tls_free(tls);
}

/* What a client says of itself, and whom it does not believe any more: no session outlives that. */
static void test_context_policy_has_lists_and_who_we_are(void)
{
    uint8_t first[32], second[32], third[32];
    struct cmds_tls_client_options client = client_options();
    client.crl_file = JOIN("live.crl", 0644, "ca.crl");
    client.certificate_file = JOIN("live.pem", 0644, "client.pem");
    client.key_file = JOIN("live.key", 0600, "client.key");
    struct cmds_tls *tls = client_of(&client);
    policy_of(tls, first);
    (void)JOIN("live.crl", 0644, "ca_sub.crl");
    CU_ASSERT_EQUAL(cmds_tls_reload(tls, NULL), 0);
    policy_of(tls, second);
    CU_ASSERT_NOT_EQUAL(memcmp(first, second, 32), 0);
    (void)JOIN("live.pem", 0644, "plain.pem");
    (void)JOIN("live.key", 0600, "plain.key");
    CU_ASSERT_EQUAL(cmds_tls_reload(tls, NULL), 0);
    policy_of(tls, third);
    CU_ASSERT_NOT_EQUAL(memcmp(second, third, 32), 0);
    cmds_tls_free(tls);
}

static void test_context_library_is_named(void)
{
    CU_ASSERT_PTR_NOT_NULL(strstr(cmds_tls_library(), "wolfSSL "));
}

static const CU_TestInfo test_tls_context[] = {
        {"both sides connect", test_context_both_sides_connect},
        {"options of a server", test_context_options_of_a_server},
        {"options of a client", test_context_options_of_a_client},
        {"lists", test_context_lists},
        {"facts", test_context_facts},
        {"files that are none", test_context_files_that_are_none},
        {"key that others may read", test_context_key_that_others_may_read},
        {"certificates that will not do", test_context_certificates_that_will_not_do},
        {"chains", test_context_chains},
        {"forms of a key", test_context_forms_of_a_key},
        {"CAs", test_context_cas},
        {"CAs that are not valid today", test_context_cas_that_are_not_valid_today},
        {"store of the system", test_context_store_of_the_system},
        {"names that will not do", test_context_names_that_will_not_do},
        {"certificate by name", test_context_certificate_by_name},
        {"reload is whole or nothing", test_context_reload_is_whole_or_nothing},
        {"sessions keep what they began with", test_context_sessions_keep_what_they_began_with},
        {"policy says whom we believe", test_context_policy_says_whom_we_believe},
        {"policy has lists and who we are", test_context_policy_has_lists_and_who_we_are},
        {"library is named", test_context_library_is_named},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_context", test_tls_context)
