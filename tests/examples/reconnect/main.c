/* SPDX-License-Identifier: MIT */
/*
 * A server that goes and comes back, and a client that goes on. A group connects again by itself, for as
 * long as it lives; what a program has to know is what becomes of its commands meanwhile:
 *
 *     sent while no connection is up     waits for one, within its deadline
 *     its connection is lost             ends with CMDS_E_LOST: perhaps it was executed, perhaps not
 *     the same, and it is idempotent     goes once more, if that was asked for
 */
#include <inttypes.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include <cmdstream/cmdstream.h>

struct bank_pay {
    int64_t cents;
};
struct bank_look {
    int64_t account;
};
struct bank_balance {
    int64_t cents;
};
CMDS_COMMAND(bank_pay, 0, cents);
CMDS_COMMAND_IDEMPOTENT(bank_look, 1, account); // To look twice does no harm.
CMDS_RESULT(bank_balance, 0, cents);
static const struct cmds_type *const commands[] = {&bank_pay_type, &bank_look_type};
static const struct cmds_type *const results[] = {&bank_balance_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("bank", commands, results);

/* --- The server ------------------------------------------------------------------------------- */

struct bank {
    int64_t cents;
    _Atomic bool is_slow; // It does what it is asked to, and does not come to answer.
    sem_t asked;          // Posted for what it has not answered.
};

static int answer(struct cmds_call *call)
{
    struct bank *bank = cmds_call_receiver(call);
    struct bank_balance balance = {bank->cents};
    if (!bank->is_slow) {
        return cmds_call_send(call, bank_balance_message(&balance));
    }
    cmds_call_on_cancel(call, cmds_call_unref); // When its connection is gone.
    (void)cmds_call_ref(call);
    (void)sem_post(&bank->asked);
    return 0;
}

static int pay(struct cmds_call *call, const struct bank_pay *command)
{
    struct bank *bank = cmds_call_receiver(call);
    bank->cents -= command->cents;
    return answer(call);
}

static int look(struct cmds_call *call, const struct bank_look *command)
{
    (void)command; // There is one account.
    return answer(call);
}

static const struct cmds_exec execs[] = {CMDS_EXEC(bank_pay, pay), CMDS_EXEC(bank_look, look)};

static int start_server(struct cmds_server **server, struct cmds_runtime *runtime,
        struct bank *bank, const char *address)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_error error = CMDS_ERROR_INIT;
    options.listen = address;
    options.receiver = bank;
    int code = cmds_server_start(server, runtime, &options, &error);
    if (code < 0) {
        fprintf(stderr, "%s\n", error.text);
    }
    return code;
}

/* --- The client: its callbacks run on a shard, where nothing should wait ---------------------- */

enum {
    TRIES = 3, // So many fail before the server is there again.
};

struct customer {
    struct cmds_group *group;
    struct timespec begin;
    sem_t tried, answered;
};
static struct customer customer;

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - customer.begin.tv_sec) +
           (double)(now.tv_nsec - customer.begin.tv_nsec) / 1e9;
}

static void on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct cmds_connection_info info = CMDS_CONNECTION_INFO_INIT;
    (void)context;
    if (state == CMDS_CONNECTION_UP) {
        printf("%.2f s: connected\n", seconds());
    } else if (state == CMDS_CONNECTION_WAITING) {
        printf("%.2f s: %s\n", seconds(), cause->text);
        if (cmds_group_connection(customer.group, client, &info) == 0 && info.failed == TRIES) {
            (void)sem_post(&customer.tried);
        }
    }
}

static void on_balance(void *context, const struct cmds_result *result)
{
    const char *what = context;
    const struct bank_balance *balance = bank_balance_of(result);
    if (balance != NULL) {
        printf("%.2f s: %s: %" PRId64 " cents\n", seconds(), what, balance->cents);
    } else {
        printf("%.2f s: %s: %s\n", seconds(), what, result->text);
    }
    (void)sem_post(&customer.answered);
}

static int send_command(struct cmds_message message, uint32_t deadline_ms, char *what)
{
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.deadline_ms = deadline_ms;
    how.resend = CMDS_RESEND_ONCE; // The bank_look; of a bank_pay it is never true.
    return cmds_group_send(customer.group, message, &how, on_balance, what);
}

static void wait_for(sem_t *semaphore, int count)
{
    while (count > 0) {
        count -= sem_wait(semaphore) == 0;
    }
}

/* --- What happens ----------------------------------------------------------------------------- */

static int ask_and_lose(struct cmds_server *server, struct bank *bank)
{
    struct bank_pay five = {500};
    struct bank_look account = {1};
    int code = send_command(bank_look_message(&account), 20000, "look");
    wait_for(&customer.answered, code == 0);

    bank->is_slow = true;
    code = code < 0 ? code : send_command(bank_pay_message(&five), 20000, "pay 500");
    code = code < 0 ? code : send_command(bank_look_message(&account), 20000, "look, sent again");
    wait_for(&bank->asked, code < 0 ? 0 : 2);
    printf("-- The server ends, with two commands that it has not answered. --\n");
    cmds_server_close(server);
    wait_for(&customer.answered, code == 0); // The payment. Who wants to know has to look.
    bank->is_slow = false;
    return code;
}

static int ask_while_away(void)
{
    struct bank_look account = {1};
    wait_for(&customer.tried, 1);
    printf("-- While it is away: one command with little time, one with much. --\n");
    int code = send_command(bank_look_message(&account), 50, "look, 50 ms");
    wait_for(&customer.answered, code == 0);
    return code < 0 ? code : send_command(bank_look_message(&account), 20000, "look, 20 s");
}

static int live(struct cmds_runtime *runtime, struct bank *bank)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_server *server = NULL;
    char address[64];
    int code = start_server(&server, runtime, bank, "127.0.0.1:0");
    code = code < 0 ? code : cmds_server_address(server, 0, address, sizeof(address));
    options.connect = address;
    options.on_state = on_state; // By default it tries again after up to 100 ms, 200 ms, ... 30 s.
    code = code < 0 ? code : cmds_group_open(&customer.group, runtime, &options, NULL);
    code = code < 0 ? code : ask_and_lose(server, bank);
    code = code < 0 ? code : ask_while_away();
    if (code == 0) {
        printf("-- The server is there again. --\n");
        code = start_server(&server, runtime, bank, address);
    }
    wait_for(&customer.answered, code < 0 ? 0 : 2); // Both that have waited.
    return code;
}

int main(void)
{
    struct bank bank = {.cents = 10000};
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    options.shard_count = 1;
    (void)clock_gettime(CLOCK_MONOTONIC, &customer.begin);
    (void)sem_init(&bank.asked, 0, 0);
    (void)sem_init(&customer.tried, 0, 0);
    (void)sem_init(&customer.answered, 0, 0);
    int code = cmds_runtime_start(&runtime, &options, &error);
    code = code < 0 ? code : live(runtime, &bank);
    if (code < 0) {
        fprintf(stderr, "reconnect: %s\n", error.code < 0 ? error.text : cmds_error_text(code));
    }
    cmds_runtime_stop(runtime); // Closes the group and the server.
    return code < 0;
}
