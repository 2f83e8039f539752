/* SPDX-License-Identifier: MIT */
/*
 * A gateway, the three services behind it, and who asks it: what the pages are like while a service
 * is there, away, back again, and restarted in the middle of a question, as the gateway itself is.
 */
#include <inttypes.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "gateway.h"

/* --- A service -------------------------------------------------------------------------------- */

struct service {
    const char *name;
    int64_t value; // Of everything.
    struct cmds_server *server;
    char address[64];
    _Atomic bool is_slow; // It does not come to answer.
    sem_t asked;          // Posted for what it has not answered.
};
static struct service services[GATEWAY_PARTS] = {{.name = "price", .value = 799},
        {.name = "stock", .value = 3}, {.name = "rating", .value = 5}};

static int on_get(struct cmds_call *call, const struct part_get *get)
{
    struct service *service = cmds_call_receiver(call);
    struct part_value value = {service->value};
    (void)get;
    if (!service->is_slow) {
        return cmds_call_send(call, part_value_message(&value));
    }
    cmds_call_on_cancel(call, cmds_call_unref); // When its connection is gone.
    (void)cmds_call_ref(call);
    (void)sem_post(&service->asked);
    return 0;
}
static const struct cmds_exec service_execs[] = {CMDS_EXEC(part_get, on_get)};

static int service_start(
        struct service *service, struct cmds_runtime *runtime, struct cmds_error *error)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&part, service_execs);
    bool is_first = service->address[0] == '\0';
    options.listen = is_first ? "127.0.0.1:0" : service->address;
    options.receiver = service;
    int code = cmds_server_start(&service->server, runtime, &options, error);
    if (code < 0 || !is_first) {
        return code;
    }
    (void)sem_init(&service->asked, 0, 0);
    return cmds_server_address(service->server, 0, service->address, sizeof(service->address));
}

static void service_end(struct service *service)
{
    cmds_server_close(service->server);
    service->server = NULL;
}

/* --- Who asks --------------------------------------------------------------------------------- */

static struct cmds_group *pages;
static sem_t answered;

static void on_page(void *context, const struct cmds_result *result)
{
    const struct page_whole *whole = page_whole_of(result);
    (void)context;
    printf("page:");
    for (size_t i = 0; whole != NULL && i < whole->parts.count; i++) {
        const struct page_part *one = &whole->parts.items[i];
        printf(" %.*s ", CMDS_STRING_ARGS(one->name));
        if (one->error == 0) {
            printf("%" PRId64, one->value);
        } else {
            printf("(%s)", cmds_error_name(one->error));
        }
    }
    printf("%s%s\n", whole != NULL ? "" : " ", result->text);
    (void)sem_post(&answered);
}

static int ask(void)
{
    struct page_get get = {1};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.deadline_ms = 20000;
    how.resend = CMDS_RESEND_ONCE; // Gateways are restarted, too.
    return cmds_group_send(pages, page_get_message(&get), &how, on_page, NULL);
}

static int ask_and_wait(int count)
{
    int code = 0;
    for (int i = 0; i < count && code == 0; i++) {
        code = ask();
        if (code == 0) {
            (void)sem_wait(&answered);
        }
    }
    return code;
}

/* --- What happens ----------------------------------------------------------------------------- */

static int live_without_rating(
        struct gateway *gateway, struct cmds_runtime *runtime, struct cmds_error *error)
{
    struct gateway_upstream *rating = &gateway->upstreams[2];
    struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
    printf("-- The service of ratings ends: two pages wait for it, then its breaker is open. --\n");
    service_end(&services[2]);
    int code = ask_and_wait(4);

    printf("-- It is there again, and the breaker lets a command try it. --\n");
    code = code < 0 ? code : service_start(&services[2], runtime, error);
    code = code < 0 ? code : cmds_group_wait(rating->group, 20000, error);
    cmds_breaker_look(rating->breaker, &info);
    (void)nanosleep(&(struct timespec){.tv_sec = (time_t)(info.open_left_ms / 1000) + 1}, NULL);
    return code < 0 ? code : ask_and_wait(1);
}

/* Until the service has got its question, which it does not answer. */
static int ask_a_slow_one(struct service *service)
{
    service->is_slow = true;
    int code = ask();
    if (code == 0) {
        (void)sem_wait(&service->asked);
    }
    service->is_slow = false;
    return code;
}

static int restart_in_the_middle(
        struct gateway *gateway, struct cmds_runtime *runtime, struct cmds_error *error)
{
    struct service *stock = &services[1];
    printf("-- The service of stocks is restarted while it is asked. --\n");
    int code = ask_a_slow_one(stock);
    service_end(stock);
    code = code < 0 ? code : service_start(stock, runtime, error);
    if (code < 0) {
        return code;
    }
    (void)sem_wait(&answered);

    printf("-- The gateway is restarted while it is asked. --\n");
    code = ask_a_slow_one(stock);
    cmds_server_close(gateway->server);
    code = code < 0 ? code : gateway_serve(gateway, runtime, error);
    if (code == 0) {
        (void)sem_wait(&answered);
    }
    return code;
}

static int start(struct gateway *gateway, struct cmds_runtime *runtime, struct cmds_error *error)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&page);
    int code = 0;
    for (int i = 0; i < GATEWAY_PARTS && code == 0; i++) {
        struct gateway_upstream *upstream = &gateway->upstreams[i];
        code = service_start(&services[i], runtime, error);
        upstream->name = services[i].name;
        upstream->address = services[i].address;
        code = code < 0 ? code : gateway_connect(upstream, runtime, error);
    }
    code = code < 0 ? code : gateway_serve(gateway, runtime, error);
    options.connect = gateway->address;
    return code < 0 ? code : cmds_group_open(&pages, runtime, &options, error);
}

int main(void)
{
    struct gateway gateway = {.address = "127.0.0.1:0"};
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL; // One for all: only the addresses say what is where.
    struct cmds_error error = CMDS_ERROR_INIT;
    options.shard_count = 2;
    (void)sem_init(&answered, 0, 0);
    int code = cmds_runtime_start(&runtime, &options, &error);
    code = code < 0 ? code : start(&gateway, runtime, &error);
    code = code < 0 ? code : ask_and_wait(1);
    code = code < 0 ? code : live_without_rating(&gateway, runtime, &error);
    code = code < 0 ? code : restart_in_the_middle(&gateway, runtime, &error);
    if (code < 0) {
        fprintf(stderr, "gateway: %s\n", error.code < 0 ? error.text : cmds_error_text(code));
    }
    cmds_runtime_stop(runtime); // Closes groups and servers.
    for (int i = 0; i < GATEWAY_PARTS; i++) {
        cmds_breaker_free(gateway.upstreams[i].breaker);
    }
    return code < 0;
}
