/* SPDX-License-Identifier: MIT */
/* See target.h. Headers are secrets: neither they nor what is wrong in them is ever shown. */
#include "otel/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/text.h"
#include "otel/environment.h"
#include "otel/pairs.h"

enum {
    TIMEOUT_DEFAULT_MS = 10000,
    TIMEOUT_MAX_MS = 24 * 3600 * 1000,
};

static const char endpoint_default[] = "http://localhost:4318";
static const char *const paths[] = {
        [CMDI_SIGNAL_METRICS] = "/v1/metrics", [CMDI_SIGNAL_TRACES] = "/v1/traces"};

static int copy(char **out, const char *text)
{
    *out = text == NULL ? NULL : strndup(text, CMDI_TEXT_MAX);
    return text != NULL && *out == NULL ? -ENOMEM : 0;
}

/* ---- The address ----------------------------------------------------------------------------- */

static bool is_http(const char *endpoint)
{
    return strncasecmp(endpoint, "http://", 7) == 0 || strncasecmp(endpoint, "https://", 8) == 0;
}

/* A port behind the host is one. */
static bool has_good_port(const char *authority, size_t size)
{
    const char *at = memrchr(authority, '@', size);
    const char *host = at == NULL ? authority : at + 1;
    const char *end = authority + size;
    const char *bracket = memrchr(host, ']', (size_t)(end - host));
    const char *port = memchr(bracket == NULL ? host : bracket, ':',
            (size_t)(end - (bracket == NULL ? host : bracket)));
    if (port == NULL || host == port) {
        return port == NULL && host < end;
    }
    size_t digits = strspn(port + 1, "0123456789");
    long number = strtol(port + 1, NULL, 10);
    return digits > 0 && digits < 6 && port + 1 + digits == end && number > 0 && number < 65536;
}

/* `is_whole`: no path is added to it; behind a query one would be a part of that. */
static bool is_endpoint(const char *endpoint, bool is_whole)
{
    if (strncmp(endpoint, "unix:", 5) == 0) {
        return endpoint[5] != '\0';
    }
    const char *authority = strstr(endpoint, "://");
    return is_http(endpoint) && (is_whole || strpbrk(endpoint, "?#") == NULL) &&
           has_good_port(authority + 3, strcspn(authority + 3, "/?#"));
}

/* Scheme, host, port and path: what may be shown. */
static int show(struct cmdi_target *target)
{
    const char *url = target->unix_path != NULL ? target->unix_path : target->url;
    const char *host = strstr(url, "://");
    host = host == NULL ? url : host + 3;
    size_t host_size = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', host_size);
    const char *shown = at == NULL ? host : at + 1;
    size_t size = strcspn(shown, "?#");
    target->shown = malloc(size + 1);
    if (target->shown == NULL) {
        return -ENOMEM;
    }
    memcpy(target->shown, shown, size);
    target->shown[size] = '\0';
    cmdi_text_defuse(target->shown);
    return 0;
}

/* `endpoint` with the signal's path behind it, unless it is the signal's own and has one. */
static int make_url(struct cmdi_target *target, const char *endpoint, const char *path)
{
    if (strncmp(endpoint, "unix:", 5) == 0) {
        const char *file = endpoint + 5;
        file += strncmp(file, "//", 2) == 0 ? 2 : 0;
        if (copy(&target->unix_path, file) < 0) {
            return -ENOMEM;
        }
        endpoint = "http://localhost";
    }
    size_t size = strlen(endpoint);
    while (path[0] != '\0' && endpoint[size - 1] == '/') {
        size--;
    }
    target->url = malloc(size + strlen(path) + 1);
    if (target->url == NULL) {
        return -ENOMEM;
    }
    memcpy(target->url, endpoint, size);
    (void)stpcpy(target->url + size, path);
    return show(target);
}

static int choose_url(struct cmdi_settings *settings, enum cmdi_signal signal,
        const struct cmds_otel_options *options, struct cmds_error *error)
{
    bool is_own = false;
    const char *endpoint = options->endpoint;
    if (endpoint != NULL && !is_endpoint(endpoint, false)) {
        return cmdi_fail(error, -EINVAL,
                "otel: endpoint: is http://HOST:PORT, https:// or unix:PATH, without a query");
    }
    if (endpoint == NULL) {
        endpoint = cmdi_variable_otlp(settings, signal, "ENDPOINT", &is_own);
        if (endpoint != NULL && !is_endpoint(endpoint, is_own)) {
            cmdi_variable_otlp_complain(settings, signal, "ENDPOINT", "an http:// address");
            endpoint = NULL;
            is_own = false;
        }
    }
    if (endpoint == NULL) {
        endpoint = endpoint_default;
    }
    bool is_whole = is_own && strncmp(endpoint, "unix:", 5) != 0;
    int code = make_url(&settings->targets[signal], endpoint, is_whole ? "" : paths[signal]);
    return code < 0 ? cmdi_fail(error, code, "otel: out of memory") : 0;
}

/* ---- Headers --------------------------------------------------------------------------------- */

/* A name of HTTP; a value without anything that ends a line. */
static bool is_header(const struct cmds_pair *pair)
{
    for (size_t i = 0; i < pair->key.size; i++) {
        char c = pair->key.data[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                     (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
        if (!plain) {
            return false;
        }
    }
    for (size_t i = 0; i < pair->value.size; i++) {
        unsigned char c = (unsigned char)pair->value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

/* A name with nothing behind its colon would be one that libcurl leaves out; ';' makes it an empty one. */
static char *header_line(const struct cmds_pair *pair)
{
    size_t size = pair->key.size + pair->value.size + 3;
    char *line = malloc(size);
    if (line != NULL && pair->value.size == 0) {
        (void)snprintf(line, size, "%.*s;", CMDS_STRING_ARGS(pair->key));
    } else if (line != NULL) {
        (void)snprintf(line, size, "%.*s: %.*s", CMDS_STRING_ARGS(pair->key),
                CMDS_STRING_ARGS(pair->value));
    }
    return line;
}

static void drop_headers(struct cmdi_target *target)
{
    for (uint32_t i = 0; i < target->header_count; i++) {
        explicit_bzero(target->headers[i], strlen(target->headers[i]));
        free(target->headers[i]);
    }
    target->header_count = 0;
}

/* All of them, or none. Returns: 0; -EINVAL, -EILSEQ: one of them is none; -ENOMEM. */
static int add_headers(struct cmdi_target *target, const char *text)
{
    size_t size = strnlen(text, CMDI_TEXT_MAX) + 2;
    char *buffer = malloc(size);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    struct cmds_pair pair = {.key = {NULL, 0}};
    int code = 1;
    while (code > 0 && (code = cmdi_pairs_next(&text, buffer, size, &pair)) > 0) {
        bool fits = is_header(&pair) && target->header_count < CMDI_HEADERS_MAX;
        char *line = fits ? header_line(&pair) : NULL;
        if (line != NULL) {
            target->headers[target->header_count++] = line;
        }
        code = line != NULL ? 1 : fits ? -ENOMEM : -EINVAL;
    }
    explicit_bzero(buffer, size);
    free(buffer);
    if (code < 0) {
        drop_headers(target);
    }
    return code;
}

static int choose_headers(struct cmdi_settings *settings, enum cmdi_signal signal,
        const struct cmds_otel_options *options, struct cmds_error *error)
{
    struct cmdi_target *target = &settings->targets[signal];
    const char *text = options->headers;
    if (text == NULL) {
        text = cmdi_variable_otlp(settings, signal, "HEADERS", NULL);
        if (text != NULL && strnlen(text, CMDI_TEXT_MAX) == CMDI_TEXT_MAX) {
            cmdi_variable_otlp_complain(settings, signal, "HEADERS", "below 16 KiB");
            text = NULL;
        }
    }
    int code = text == NULL ? 0 : add_headers(target, text);
    if (code == -ENOMEM) {
        return cmdi_fail(error, code, "otel: out of memory");
    }
    if (code < 0 && options->headers != NULL) {
        return cmdi_fail(error, -EINVAL, "otel: headers: is not %s; up to %d of them",
                cmdi_pairs_wanted(code), CMDI_HEADERS_MAX);
    }
    if (code < 0) {
        cmdi_variable_otlp_complain(settings, signal, "HEADERS", cmdi_pairs_wanted(code));
    }
    return 0;
}

/* ---- The rest -------------------------------------------------------------------------------- */

static bool wants_gzip(struct cmdi_settings *settings, enum cmdi_signal signal)
{
    const char *value = cmdi_variable_otlp(settings, signal, "COMPRESSION", NULL);
    if (value != NULL && strcasecmp(value, "gzip") != 0 && strcasecmp(value, "none") != 0) {
        cmdi_variable_otlp_complain(settings, signal, "COMPRESSION", "gzip or none");
    }
    return value != NULL && strcasecmp(value, "gzip") == 0;
}

static uint32_t timeout_of(struct cmdi_settings *settings, enum cmdi_signal signal)
{
    const char *value = cmdi_variable_otlp(settings, signal, "TIMEOUT", NULL);
    uint32_t timeout_ms = TIMEOUT_DEFAULT_MS;
    if (value != NULL && !cmdi_number_read(value, TIMEOUT_MAX_MS, &timeout_ms)) {
        cmdi_variable_otlp_complain(settings, signal, "TIMEOUT", cmdi_number_wanted);
    }
    return timeout_ms;
}

/* As libcurl looks for them, but now, on this thread. HTTP_PROXY may be a header of a CGI's request. */
static int choose_proxy(struct cmdi_settings *settings, struct cmdi_target *target)
{
    bool is_https = strncasecmp(target->url, "https:", 6) == 0;
    const char *names[] = {is_https ? "https_proxy" : "http_proxy",
            is_https ? "HTTPS_PROXY" : "http_proxy", "all_proxy", "ALL_PROXY"};
    const char *proxy = NULL;
    for (size_t i = 0; i < 4 && proxy == NULL && target->unix_path == NULL; i++) {
        proxy = cmdi_variable(settings, names[i]);
    }
    const char *none = cmdi_variable(settings, "no_proxy");
    if (none == NULL) {
        none = cmdi_variable(settings, "NO_PROXY");
    }
    int code = copy(&target->proxy, proxy != NULL ? proxy : "");
    return code < 0 ? code : copy(&target->no_proxy, none != NULL ? none : "");
}

static int choose_files(struct cmdi_settings *settings, enum cmdi_signal signal)
{
    struct cmdi_target *target = &settings->targets[signal];
    int code = copy(&target->ca_file, cmdi_variable_otlp(settings, signal, "CERTIFICATE", NULL));
    if (code == 0) {
        code = copy(&target->certificate_file,
                cmdi_variable_otlp(settings, signal, "CLIENT_CERTIFICATE", NULL));
    }
    if (code == 0) {
        code = copy(&target->key_file, cmdi_variable_otlp(settings, signal, "CLIENT_KEY", NULL));
    }
    return code;
}

static bool is_off(const struct cmdi_settings *settings, enum cmdi_signal signal,
        const struct cmds_otel_options *options)
{
    char name[80];
    (void)snprintf(name, sizeof(name), "OTEL_%s_EXPORTER", cmdi_signal_word(signal));
    const char *disabled = cmdi_variable(settings, "OTEL_SDK_DISABLED");
    const char *exporter = cmdi_variable(settings, name);
    if (exporter != NULL && strcasecmp(exporter, "none") != 0 &&
            strcasestr(exporter, "otlp") == NULL) {
        cmdi_variable_complain(settings, name, "otlp or none");
    }
    return (signal == CMDI_SIGNAL_METRICS ? options->no_metrics : options->no_traces) ||
           (disabled != NULL && strcasecmp(disabled, "true") == 0) ||
           (exporter != NULL && strcasecmp(exporter, "none") == 0);
}

int cmdi_target_init(struct cmdi_settings *settings, enum cmdi_signal signal,
        const struct cmds_otel_options *options, struct cmds_error *error)
{
    struct cmdi_target *target = &settings->targets[signal];
    CMDI_ASSERT(target->url == NULL);
    target->is_off = is_off(settings, signal, options);
    target->gzip = options->gzip || wants_gzip(settings, signal);
    target->timeout_ms =
            options->timeout_ms != 0 ? options->timeout_ms : timeout_of(settings, signal);
    const char *protocol = cmdi_variable_otlp(settings, signal, "PROTOCOL", NULL);
    if (protocol != NULL && strcasecmp(protocol, "http/protobuf") != 0) {
        cmdi_variable_otlp_complain(settings, signal, "PROTOCOL", "http/protobuf");
    }
    int code = choose_url(settings, signal, options, error);
    if (code == 0) {
        code = choose_headers(settings, signal, options, error);
    }
    if (code == 0 && (choose_proxy(settings, target) < 0 || choose_files(settings, signal) < 0)) {
        code = cmdi_fail(error, -ENOMEM, "otel: out of memory");
    }
    return code;
}

void cmdi_target_fini(struct cmdi_target *target)
{
    drop_headers(target);
    char *texts[] = {target->url, target->unix_path, target->shown, target->ca_file,
            target->certificate_file, target->key_file, target->proxy, target->no_proxy};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        free(texts[i]);
    }
    *target = (struct cmdi_target){.is_off = false};
}
