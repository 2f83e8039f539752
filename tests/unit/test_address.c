/* SPDX-License-Identifier: MIT */
/*
 * Addresses come from configuration files: what is wrong must be refused with a sentence, never
 * asked of a name server, and what is right must come back as it was written.
 */
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"

static void check_round(const char *text, const char *expected)
{
    struct cmdi_address addresses[CMDI_ADDRESSES_MAX];
    char back[CMDI_ADDRESS_TEXT_MAX];
    struct cmds_error error = CMDS_ERROR_INIT;

    CU_ASSERT_TRUE(cmdi_address_is_numeric(text));
    CU_ASSERT_EQUAL_FATAL(cmdi_address_resolve(text, addresses, CMDI_ADDRESSES_MAX, &error), 1);
    cmdi_address_text(&addresses[0], back, sizeof(back));
    CU_ASSERT_STRING_EQUAL(back, expected);
    CU_ASSERT_EQUAL(error.code, 0);
}

static void test_address_numeric_comes_back_as_written(void)
{
    check_round("127.0.0.1:9000", "127.0.0.1:9000");
    check_round("0.0.0.0:0", "0.0.0.0:0");
    check_round("[::1]:65535", "[::1]:65535");
    check_round("[::]:1", "[::]:1");
    check_round("[0:0:0:0:0:0:0:1]:80", "[::1]:80");
    check_round("[fe80::1%1]:80", "[fe80::1%1]:80");
    check_round("unix:/run/x", "unix:/run/x");
    check_round("unix:@name", "unix:@name");
    // But what is IPv4 inside is written so: a peer has one address, whatever listens for it.
    check_round("[::ffff:192.0.2.7]:80", "192.0.2.7:80");
    check_round("[::fffe:192.0.2.7]:80", "[::fffe:c000:207]:80");
}

static void test_address_families_have_the_right_size(void)
{
    struct cmdi_address address;

    CU_ASSERT_EQUAL(cmdi_address_resolve("10.1.2.3:7", &address, 1, NULL), 1);
    CU_ASSERT_EQUAL(address.as.v4.sin_family, AF_INET);
    CU_ASSERT_EQUAL(address.size, sizeof(struct sockaddr_in));
    CU_ASSERT_EQUAL(ntohs(address.as.v4.sin_port), 7);
    CU_ASSERT_EQUAL(ntohl(address.as.v4.sin_addr.s_addr), 0x0a010203u);
    CU_ASSERT_EQUAL(cmdi_address_resolve("unix:@ab", &address, 1, NULL), 1);
    // No terminator: it would be part of the name.
    CU_ASSERT_EQUAL(address.size, offsetof(struct sockaddr_un, sun_path) + 3);
    CU_ASSERT_EQUAL(address.as.local.sun_path[0], '\0');
    CU_ASSERT_EQUAL(cmdi_address_resolve("unix:/ab", &address, 1, NULL), 1);
    CU_ASSERT_EQUAL(address.size, offsetof(struct sockaddr_un, sun_path) + 4);
}

static void test_address_empty_host_is_any_of_both_families(void)
{
    struct cmdi_address addresses[CMDI_ADDRESSES_MAX];

    CU_ASSERT_TRUE(cmdi_address_is_numeric(":9000"));
    CU_ASSERT_EQUAL_FATAL(cmdi_address_resolve(":9000", addresses, CMDI_ADDRESSES_MAX, NULL), 2);
    CU_ASSERT_EQUAL(addresses[0].as.any.sa_family, AF_INET6);
    CU_ASSERT_EQUAL(addresses[1].as.any.sa_family, AF_INET);
    CU_ASSERT_EQUAL(cmdi_address_resolve(":9000", addresses, 1, NULL), 1);
}

static void check_host(const char *text, const char *expected)
{
    char host[CMDI_HOST_MAX];
    CU_ASSERT_EQUAL_FATAL(cmdi_address_host(text, host), 0);
    CU_ASSERT_STRING_EQUAL(host, expected);
}

static void test_address_host_is_as_written_alone(void)
{
    char host[CMDI_HOST_MAX] = "untouched";

    check_host("127.0.0.1:9000", "127.0.0.1");
    check_host("a.example.:9000", "a.example.");
    check_host("[::1]:9000", "::1");
    check_host("[fe80::1%eth0]:80", "fe80::1");
    CU_ASSERT_EQUAL(cmdi_address_host("unix:/run/a.example:9000", host), -ENOENT);
    CU_ASSERT_EQUAL(cmdi_address_host("unix:@name", host), -ENOENT);
    CU_ASSERT_EQUAL(cmdi_address_host(":9000", host), -ENOENT);
    CU_ASSERT_EQUAL(cmdi_address_host("[]:9000", host), -ENOENT);
    CU_ASSERT_EQUAL(cmdi_address_host("a.example", host), -EINVAL);
    CU_ASSERT_EQUAL(cmdi_address_host("::1:9000", host), -EINVAL);
    CU_ASSERT_STRING_EQUAL(host, "untouched");
}

static void test_address_wrong_texts_are_refused_without_asking(void)
{
    static const char *const wrong[] = {"", "localhost", "127.0.0.1",
            "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1: 80",
            "127.0.0.1:80x", "::1:9000", "[::1]", "[::1:9000", "[]:9000", "[name]:9000",
            "[127.0.0.1]:80", "[::1]x:80", "unix:", "unix:@"};
    struct cmdi_address addresses[CMDI_ADDRESSES_MAX];

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct cmds_error error = CMDS_ERROR_INIT;
        CU_ASSERT_TRUE(cmdi_address_is_numeric(wrong[i])); // Resolve does not block for it.
        CU_ASSERT_EQUAL(
                cmdi_address_resolve(wrong[i], addresses, CMDI_ADDRESSES_MAX, &error), -EINVAL);
        CU_ASSERT_EQUAL(error.code, -EINVAL);
        CU_ASSERT_TRUE(strlen(error.text) > 10);
    }
}

static void test_address_longest_unix_path_is_taken_and_one_more_is_not(void)
{
    char text[5 + sizeof(((struct sockaddr_un *)0)->sun_path) + 1] = "unix:";
    char back[CMDI_ADDRESS_TEXT_MAX];
    struct cmdi_address address;
    size_t path_max = sizeof(address.as.local.sun_path) - 1;

    memset(text + 5, 'p', path_max);
    text[5 + path_max] = '\0';
    CU_ASSERT_EQUAL_FATAL(cmdi_address_resolve(text, &address, 1, NULL), 1);
    cmdi_address_text(&address, back, sizeof(back));
    CU_ASSERT_STRING_EQUAL(back, text);
    text[5 + path_max] = 'p';
    text[5 + path_max + 1] = '\0';
    CU_ASSERT_EQUAL(cmdi_address_resolve(text, &address, 1, NULL), -EINVAL);
}

static void test_address_names_need_the_resolver(void)
{
    struct cmdi_address addresses[CMDI_ADDRESSES_MAX];
    char text[CMDI_ADDRESS_TEXT_MAX];

    CU_ASSERT_FALSE(cmdi_address_is_numeric("localhost:9000"));
    CU_ASSERT_FALSE(cmdi_address_is_numeric("256.1.1.1:9000"));
    int count = cmdi_address_resolve("localhost:9000", addresses, CMDI_ADDRESSES_MAX, NULL);
    CU_ASSERT_TRUE_FATAL(count >= 1);
    for (int i = 0; i < count; i++) {
        cmdi_address_text(&addresses[i], text, sizeof(text));
        CU_ASSERT_TRUE(strcmp(text, "127.0.0.1:9000") == 0 || strcmp(text, "[::1]:9000") == 0);
    }
}

static void test_address_text_of_a_peer_without_a_name(void)
{
    struct cmdi_address address = {.size = sizeof(sa_family_t)};
    char text[CMDI_ADDRESS_TEXT_MAX];

    address.as.local.sun_family = AF_UNIX;
    cmdi_address_text(&address, text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, "unix:");
    CU_ASSERT_EQUAL(cmdi_address_resolve("unix:/a\033[31m", &address, 1, NULL), 1);
    cmdi_address_text(&address, text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, "unix:/a?[31m"); // An escape sequence does not reach a terminal.
    cmdi_address_text(&address, text, 8);
    CU_ASSERT_STRING_EQUAL(text, "unix:/a"); // Cut, but terminated.
}

/* What linux/ipv6.h has, which the C library's own headers do not go with. */
struct ipv6_request {
    struct in6_addr address;
    uint32_t prefix_size;
    int interface;
};

/* A network of its own, whose one address beside the loopback's is of IPv6. */
static bool enter_ipv6_only_host(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    struct ipv6_request ipv6 = {.prefix_size = 128};
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        return false;
    }
    int v4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int v6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    ipv6.interface = (int)if_nametoindex("lo");
    return v4 >= 0 && v6 >= 0 && inet_pton(AF_INET6, "fd00::1", &ipv6.address) == 1 &&
           ioctl(v4, SIOCSIFFLAGS, &request) == 0 && ioctl(v6, SIOCSIFADDR, &ipv6) == 0;
}

/* Returns: of "localhost" every address is there that the host's table has. */
static int resolve_on_ipv6_only_host(void)
{
    struct cmdi_address addresses[CMDI_ADDRESSES_MAX];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    if (!enter_ipv6_only_host() || getaddrinfo("localhost", NULL, &hints, &list) != 0) {
        return 77;
    }
    freeaddrinfo(list);
    int count = cmdi_address_resolve("localhost:9000", addresses, CMDI_ADDRESSES_MAX, NULL);
    for (int i = 0; i < count; i++) {
        if (addresses[i].as.any.sa_family == AF_INET) {
            return 0;
        }
    }
    return 1;
}

static void test_address_localhost_is_there_on_a_host_of_one_family(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(resolve_on_ipv6_only_host());
    }
    CU_ASSERT_FATAL(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        printf("***** no network namespace, or no localhost: not tested ***** ");
        return;
    }
    CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
}

static void test_address_lists_have_commas_and_paths_too(void)
{
    static const struct {
        const char *list;
        const char *items[3];
        uint32_t count;
    } cases[] = {
            {"a:1", {"a:1"}, 1},
            {"a:1, b:2 ,c:3", {"a:1", "b:2", "c:3"}, 3},
            {"a:1,", {"a:1", ""}, 2},
            {",", {"", ""}, 2},
            {"unix:/a\\,b", {"unix:/a,b"}, 1},
            {"unix:/a\\,,b:2", {"unix:/a,", "b:2"}, 2},
            {"unix:\\,\\,", {"unix:,,"}, 1},
            {"unix:/a\\b\\", {"unix:/a\\b\\"}, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *list = cases[i].list;
        char item[16];
        CU_ASSERT_EQUAL(cmdi_address_list_count(list), cases[i].count);
        for (uint32_t j = 0; j < cases[i].count; j++) {
            CU_ASSERT_PTR_NOT_NULL_FATAL(list);
            size_t size = cmdi_address_list_take(&list, item, sizeof(item));
            CU_ASSERT_STRING_EQUAL(item, cases[i].items[j]);
            CU_ASSERT_EQUAL(size, strlen(item));
        }
        CU_ASSERT_PTR_NULL(list);
    }
}

static void test_address_list_stays_in_its_room(void)
{
    const char *list = "ab\\,cd";
    char item[6] = "xxxxx";
    CU_ASSERT_EQUAL(cmdi_address_list_take(&list, item, 4), 5);
    CU_ASSERT_STRING_EQUAL(item, "ab,cx"); // Not terminated: there was no room.
    list = "abcd";
    CU_ASSERT_EQUAL(cmdi_address_list_take(&list, item, 4), 4);
    CU_ASSERT_STRING_EQUAL(item, "abcdx");
}

static CU_TestInfo test_address[] = {
        {"lists have commas, and paths too", test_address_lists_have_commas_and_paths_too},
        {"list stays in its room", test_address_list_stays_in_its_room},
        {"numeric comes back as written", test_address_numeric_comes_back_as_written},
        {"families have the right size", test_address_families_have_the_right_size},
        {"an empty host is any of both families", test_address_empty_host_is_any_of_both_families},
        {"host is as written, alone", test_address_host_is_as_written_alone},
        {"wrong texts are refused without asking",
                test_address_wrong_texts_are_refused_without_asking},
        {"the longest unix path is taken, one more is not",
                test_address_longest_unix_path_is_taken_and_one_more_is_not},
        {"names need the resolver", test_address_names_need_the_resolver},
        {"localhost is there on a host of one family",
                test_address_localhost_is_there_on_a_host_of_one_family},
        {"text of a peer without a name", test_address_text_of_a_peer_without_a_name},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("address", test_address)
