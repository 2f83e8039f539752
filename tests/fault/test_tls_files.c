/* SPDX-License-Identifier: MIT */
/*
 * Files of TLS that are read anew while connections live, and each call that reads them fails once:
 * open, fstat, read. What has failed has a sentence with the file's name, and everything is as it was;
 * a read that is short or interrupted is no failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmdstream/tls.h>

#include "support/harness.h"
#include "support/tls_pair.h"

enum {
    FILES_MAX = 20, // Calls of one kind in a reload: more than there are.
};

/* The linker gives us these calls: see tests/CMakeLists.txt. */
enum call {
    CALL_NONE,
    CALL_OPEN,
    CALL_FSTAT,
    CALL_READ,
    CALL_READ_END, // As if the file had become shorter.
};

static struct {
    enum call call; // The one that fails,
    unsigned at;    // this time of it;
    int code;       // and so.
    size_t read_max;
    bool interrupts; // Every second read.
    int fd;          // The file that is read.
    unsigned opens, fstats, reads, failed;
} faults;

#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

static bool fails(enum call call, unsigned number)
{
    bool is = faults.call == call && number == faults.at;
    faults.failed += is;
    errno = is ? faults.code : errno;
    return is;
}

WRAP(int, open, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    int mode = (flags & O_CREAT) != 0 ? va_arg(more, int) : 0;
    va_end(more);
    bool is_ours = strstr(path, "cmdstream-certs") != NULL;
    if (is_ours && fails(CALL_OPEN, ++faults.opens)) {
        return -1;
    }
    int fd = __real_open(path, flags, mode);
    faults.fd = is_ours ? fd : faults.fd;
    return fd;
}

WRAP(int, fstat, int fd, struct stat *status)
{
    return fd == faults.fd && fails(CALL_FSTAT, ++faults.fstats) ? -1 : __real_fstat(fd, status);
}

WRAP(ssize_t, read, int fd, void *data, size_t size)
{
    if (fd != faults.fd) {
        return __real_read(fd, data, size);
    }
    unsigned number = ++faults.reads;
    if (fails(CALL_READ, number)) {
        return -1;
    }
    if (fails(CALL_READ_END, number)) {
        return 0;
    }
    if (faults.interrupts && number % 2 == 1) {
        errno = EINTR;
        return -1;
    }
    return __real_read(
            fd, data, faults.read_max > 0 && faults.read_max < size ? faults.read_max : size);
}

/* ---- A connection that lives through it ------------------------------------------------------ */

static struct tls_pair lives;

static void carry(struct tls_pair *pair)
{
    CU_ASSERT_EQUAL(tls_seal(&pair->client, "word", 4), 0);
    tls_move(&pair->client, &pair->server, SIZE_MAX);
    CU_ASSERT_EQUAL(tls_open(&pair->server), CMDI_SECURITY_DATA);
    CU_ASSERT_EQUAL(pair->server.got_size, 4);
}

static void begin(void)
{
    tls_pair_init(&lives, tls_new_client("ca", "client"), tls_new_server("server", "ca"));
    CU_ASSERT_TRUE_FATAL(tls_pair_connect(&lives));
}

static void check_all_works(void)
{
    struct tls_pair pair;
    carry(&lives);
    tls_pair_init(&pair, lives.client.tls, lives.server.tls);
    CU_ASSERT_TRUE(tls_pair_connect(&pair));
    carry(&pair);
    tls_pair_fini(&pair);
}

static int reload(struct cmds_tls *tls, struct cmds_error *error)
{
    int code = cmds_tls_reload(tls, error);
    CU_ASSERT_EQUAL(error->code, code);
    faults.call = CALL_NONE;
    faults.read_max = 0;
    faults.interrupts = false;
    faults.fd = -1;
    return code;
}

/* Each call of this kind fails, one after the other. */
static void fail_each(enum call call, int code, const char *word)
{
    struct cmds_tls *sides[] = {lives.server.tls, lives.client.tls};
    for (unsigned side = 0; side < 2; side++) {
        unsigned at = 1;
        for (; at < FILES_MAX; at++) {
            struct cmds_error error = CMDS_ERROR_INIT;
            memset(&faults, 0, sizeof(faults));
            faults.call = call;
            faults.at = at;
            faults.code = code;
            faults.fd = -1;
            int got = reload(sides[side], &error);
            if (faults.failed == 0) {
                CU_ASSERT_EQUAL(got, 0);
                break;
            }
            // The second call for a file: has it changed, or grown, meanwhile?
            bool is_second = at % 2 == 0;
            if (call == CALL_READ_END && is_second) {
                CU_ASSERT_EQUAL(got, 0);
                continue;
            }
            bool is_busy = call == CALL_READ_END || (call == CALL_FSTAT && is_second);
            CU_ASSERT_EQUAL(got, is_busy ? -EBUSY : -code);
            CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "_file /tmp/cmdstream-certs"));
            if (strstr(error.text, is_busy ? "it was written to while" : word) == NULL) {
                printf("\n    \"%s\"\n", error.text);
                CU_FAIL("see the line above");
            }
            check_all_works();
        }
        CU_ASSERT(at > 3 && at < FILES_MAX); // Certificate, key, CAs.
    }
}

static void test_a_call_fails(void)
{
    begin();
    fail_each(CALL_OPEN, EMFILE, "too many open files");
    fail_each(CALL_OPEN, EACCES, "permission denied");
    fail_each(CALL_FSTAT, EIO, "input or output failed");
    fail_each(CALL_READ, EIO, "input or output failed");
    fail_each(CALL_READ_END, 0, "");
    tls_pair_free(&lives);
}

static void test_short_and_interrupted_reads(void)
{
    begin();
    for (size_t size = 1; size < 2000; size = 3 * size + 1) {
        struct cmds_error error = CMDS_ERROR_INIT;
        memset(&faults, 0, sizeof(faults));
        faults.read_max = size;
        faults.interrupts = size % 2 == 0;
        CU_ASSERT_EQUAL(reload(lives.server.tls, &error), 0);
        CU_ASSERT(faults.reads > 3);
        check_all_works();
    }
    tls_pair_free(&lives);
}

CU_TestInfo test_tls_files[] = {
        {"a call fails", test_a_call_fails},
        {"short and interrupted reads", test_short_and_interrupted_reads},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_files", test_tls_files)
