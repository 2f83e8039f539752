/* SPDX-License-Identifier: MIT */
/*
 * cmdstream.hpp: a callback runs as often as in C and is destroyed once, whatever becomes of its command;
 * it takes one allocation at most; owners release what they hold, and only then.
 *
 * Built as C++17, 20 and 23, without exceptions and type information. CUnit asserts on the test's own
 * thread alone, so callbacks only note what they saw.
 */
#include <cmdstream/cmdstream.hpp>

#include <CUnit/CUnit.h>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

extern "C" int cmdi_test_main(const char *suite, const CU_TestInfo *tests, int argc, char **argv);

/* --- Allocations of this program's own C++ ---------------------------------------------------- */

static std::atomic<int> allocations{0};
static std::atomic<bool> is_short{false}; // Of memory.

/* Not inlined: the compiler takes malloc beside delete for a mistake. */
[[gnu::noinline]] void *operator new(std::size_t size, const std::nothrow_t &) noexcept
{
    allocations++;
    return is_short ? nullptr : std::malloc(size);
}
[[gnu::noinline]] void *operator new(std::size_t size)
{
    allocations++;
    void *block = std::malloc(size);
    if (block == nullptr) {
        std::abort();
    }
    return block;
}
[[gnu::noinline]] void operator delete(void *block) noexcept
{
    std::free(block);
}
[[gnu::noinline]] void operator delete(void *block, std::size_t) noexcept
{
    std::free(block);
}

/* --- A protocol and a server ------------------------------------------------------------------ */

namespace shop
{
struct add {
    int64_t a, b;
};
struct count { // That many results.
    int64_t to;
    CMDS_ARRAY_OF(int64_t) extra;
    CMDS_OPTIONAL_OF(int64_t) from;
    struct cmds_string text;
};
struct hold { // Answered when the server is told to.
    int64_t unused_number;
};
struct tell {
    int64_t number;
};
struct relay { // Of an add, by another server.
    int64_t a, b;
};
struct sum {
    int64_t value;
};
struct step {
    int64_t number;
    bool last;
};
CMDS_COMMAND(add, 0, a, b);
CMDS_COMMAND(count, 1, to, CMDS_ARRAY(extra), CMDS_OPTIONAL(from), text);
CMDS_COMMAND(hold, 2, unused_number);
CMDS_COMMAND_ONE_WAY(tell, 3, number);
CMDS_COMMAND(relay, 4, a, b);
CMDS_RESULT(sum, 0, value);
CMDS_RESULT(step, 1, number, CMDS_LAST(last));
static const cmds_type *const commands[] = {
        &add_type, &count_type, &hold_type, &tell_type, &relay_type};
static const cmds_type *const results[] = {&sum_type, &step_type};
static const cmds_protocol protocol = CMDS_PROTOCOL("shop", commands, results);
} // namespace shop

class service
{
  public:
    int add(cmds_call *call, const shop::add &command) const noexcept
    {
        return cmds::send(call, shop::sum{command.a + command.b});
    }
    /* Three legs, each with captures of its own; the last one that comes answers. */
    int relay(cmds_call *call, const shop::relay &command)
    {
        auto state = std::make_shared<std::pair<int, int64_t>>(3, 0);
        int code = 0;
        for (int64_t i = 1; i <= 3 && code == 0; i++) {
            code = cmds::forward(upstream, shop::add{command.a * i, command.b}, call,
                    [state, i](cmds_call *waiting, cmds::result_view result) {
                        const shop::sum *sum = result.get<shop::sum>();
                        state->second += sum != nullptr ? sum->value * i : 0;
                        if (--state->first == 0) {
                            (void)cmds::send(waiting, shop::sum{state->second});
                        }
                    });
        }
        return code;
    }
    int hold(cmds_call *raw, const shop::hold &)
    {
        const int code = cmds_call_keep_command(raw);
        if (code == 0) {
            const std::lock_guard<std::mutex> lock(mutex_);
            held_.emplace_back(raw);
            held_count = held_.size();
        }
        return code;
    }
    std::vector<cmds::call> take()
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        return std::exchange(held_, {});
    }

    std::atomic<cmds_group *> upstream{nullptr}; // Set while the server runs.
    std::atomic<size_t> held_count{0};
    std::atomic<int64_t> told{0};

  private:
    std::mutex mutex_;
    std::vector<cmds::call> held_;
};

static int count(cmds_call *call, const shop::count *command)
{
    int64_t bonus = 0;
    for (const int64_t extra : cmds::items(command->extra)) {
        bonus += extra;
    }
    if (const int64_t *from = cmds::get_if(command->from)) {
        bonus += *from;
    }
    bonus += static_cast<int64_t>(cmds::view(command->text).size());
    const auto number = static_cast<int64_t>(cmds_call_round(call)) + 1;
    const shop::step step{number + bonus, number >= command->to};
    const int code = cmds::send(call, step);
    return code < 0 || step.last ? code : CMDS_EXEC_AGAIN;
}

static int tell(cmds_call *call, const shop::tell &command) noexcept
{
    static_cast<service *>(cmds_call_receiver(call))->told += command.number;
    return 0;
}

static const cmds_exec execs[] = {cmds::exec<&service::add>(), cmds::exec<count>(),
        cmds::exec<&service::hold>(), cmds::exec_in_pool<tell>(), cmds::exec<&service::relay>()};

/* The first thing of the header that a program meets: order of declaration is order of life. */
struct world {
    service state;
    cmds::error error;
    cmds::runtime runtime;
    cmds::server server;
    cmds::group group;
    std::array<char, 64> address{};

    explicit world(uint32_t shards = 1)
    {
        cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
        options.shard_count = shards;
        runtime = cmds::runtime::start(error, options);
        if (!runtime) {
            std::fputs(error.text(), stderr);
            std::exit(77);
        }
        cmds_server_options serving = CMDS_SERVER_OPTIONS_INIT(&shop::protocol, execs);
        serving.listen = "127.0.0.1:0";
        serving.receiver = &state;
        server = cmds::server::start(error, runtime, serving);
        CU_ASSERT_TRUE_FATAL(static_cast<bool>(server));
        CU_ASSERT_EQUAL(cmds_server_address(server.raw(), 0, address.data(), address.size()), 0);
        group = open();
        CU_ASSERT_TRUE_FATAL(static_cast<bool>(group));
        state.upstream = group.raw();
    }
    cmds::group open()
    {
        cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&shop::protocol);
        options.connect = address.data();
        options.deadline_ms = CMDS_NEVER;
        return cmds::group::open(error, runtime, options);
    }
    bool drain() const
    {
        return group.drain(60000) == 0;
    }
};

/* Counts those of its kind that live. */
class life
{
  public:
    explicit life(std::atomic<int> &living) : living_(&living)
    {
        (*living_)++;
    }
    life(const life &other) : life(*other.living_)
    {
    }
    life &operator=(const life &) = delete;
    ~life()
    {
        (*living_)--;
    }

  private:
    std::atomic<int> *living_;
};

/* --- Callbacks -------------------------------------------------------------------------------- */

static void test_cpp_callback_with_captures_runs_once_and_is_destroyed()
{
    world world;
    std::atomic<int> living{0};
    std::atomic<int64_t> got{0};
    {
        const life token(living);
        CU_ASSERT_EQUAL(world.group.send(shop::add{2, 3},
                                [&got, token](cmds::result_view result) {
                                    const shop::sum *sum = result.get<shop::sum>();
                                    const bool is_fine = sum != nullptr && result.last() &&
                                                         result.get<shop::step>() == nullptr;
                                    got += is_fine ? sum->value : -1000;
                                }),
                0);
    }
    CU_ASSERT_TRUE(world.drain());
    world.group.close(); // The last callback has returned, and so is destroyed.
    CU_ASSERT_EQUAL(got, 5);
    CU_ASSERT_EQUAL(living, 0);
}

static void test_cpp_callback_takes_one_allocation_or_none_and_none_per_result()
{
    world world;
    std::atomic<int> seen{0};
    CU_ASSERT_TRUE(world.group.wait(60000, world.error) == 0);
    const int before = allocations;
    std::atomic<int> *small = &seen;
    CU_ASSERT_EQUAL(world.group.send(shop::count{100, {}, {}, {}},
                            [small](cmds::result_view) { (*small)++; }),
            0);
    CU_ASSERT_TRUE(world.drain());
    CU_ASSERT_EQUAL(allocations - before, 0);

    const std::array<int64_t, 8> large{};
    CU_ASSERT_EQUAL(world.group.send(shop::count{100, {}, {}, {}},
                            [small, large](cmds::result_view) {
                                *small += 1 + static_cast<int>(large[7]);
                            }),
            0);
    CU_ASSERT_TRUE(world.drain());
    CU_ASSERT_EQUAL(allocations - before, 1);
    world.group.close();
    CU_ASSERT_EQUAL(seen, 200);
}

static void test_cpp_callback_that_changes_itself_keeps_what_it_changed()
{
    world world;
    static std::atomic<int> last{0};
    last = 0;
    CU_ASSERT_EQUAL(world.group.send(shop::count{5, {}, {}, {}},
                            [calls = 0](cmds::result_view) mutable { last = ++calls; }),
            0);
    CU_ASSERT_TRUE(world.drain());
    world.group.close();
    CU_ASSERT_EQUAL(last, 5);
}

static void test_cpp_callback_is_destroyed_if_its_command_is_not_taken()
{
    world world;
    std::atomic<int> living{0};
    std::atomic<int> calls{0};
    auto handler = [&calls, token = life(living)](cmds::result_view) { calls++; };
    CU_ASSERT_EQUAL(world.group.send(shop::tell{1}, handler), 0); // One-way.
    CU_ASSERT_EQUAL(living, 1);
    const cmds_message wrong = shop::sum_message(nullptr);
    CU_ASSERT_EQUAL(world.group.send(wrong, handler), CMDS_E_WRONG_TYPE);
    CU_ASSERT_EQUAL(living, 1);
    is_short = true;
    CU_ASSERT_EQUAL(world.group.send(shop::add{1, 1}, handler), -ENOMEM);
    is_short = false;
    CU_ASSERT_EQUAL(living, 1);
    while (world.state.told != 1) {
        std::this_thread::yield();
    }
    world.group.close();
    CU_ASSERT_EQUAL(calls, 0);
}

static void test_cpp_callback_of_a_forgotten_command_runs_once_more()
{
    world world;
    std::atomic<int> living{0};
    std::atomic<int> cause{0};
    cmds_ticket ticket{};
    cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.ticket = &ticket;
    CU_ASSERT_EQUAL(world.group.send(
                            shop::hold{0},
                            [&cause, token = life(living)](cmds::result_view result) {
                                cause = result || result.text()[0] == 0 ? 0 : result.cause();
                            },
                            &how),
            0);
    while (world.state.held_count == 0) {
        std::this_thread::yield();
    }
    CU_ASSERT_EQUAL(cmds_group_forget(world.group.raw(), ticket), 0);
    CU_ASSERT_TRUE(world.drain());
    world.group.close();
    CU_ASSERT_EQUAL(cause, CMDS_E_CANCELLED);
    CU_ASSERT_EQUAL(living, 0);
}

/* --- Owners ----------------------------------------------------------------------------------- */

static void test_cpp_group_waits_at_its_end_for_its_last_callback()
{
    world world;
    int ended = 0; // Not atomic, and it may end with this function: that is what the wait is for.
    {
        cmds::group group = world.open();
        for (int i = 0; i < 100; i++) {
            CU_ASSERT_EQUAL(group.send(shop::hold{0},
                                    [&ended](cmds::result_view result) {
                                        ended += result.cause() == CMDS_E_CLOSED ? 1 : 1000;
                                    }),
                    0);
        }
    }
    CU_ASSERT_EQUAL(ended, 100);
}

static void test_cpp_group_may_end_on_a_shard()
{
    world world;
    std::atomic<int> state{0};
    auto *group = new cmds::group(world.open());
    CU_ASSERT_EQUAL(group->send(shop::add{1, 1},
                            [&state, group](cmds::result_view) {
                                delete group;
                                state = 1;
                            }),
            0);
    while (state != 1) {
        std::this_thread::yield();
    }
}

static void test_cpp_group_of_an_inline_runtime_turns_it_at_its_end()
{
    world world;
    cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = CMDS_SHARDS_INLINE;
    const cmds::runtime own = cmds::runtime::start(world.error, options);
    CU_ASSERT_TRUE_FATAL(static_cast<bool>(own));
    int ended = 0;
    {
        cmds_group_options connecting = CMDS_GROUP_OPTIONS_INIT(&shop::protocol);
        connecting.connect = world.address.data();
        const cmds::group group = cmds::group::open(world.error, own, connecting);
        CU_ASSERT_TRUE_FATAL(static_cast<bool>(group));
        CU_ASSERT_EQUAL(group.send(shop::hold{0}, [&ended](cmds::result_view) { ended++; }), 0);
        CU_ASSERT_EQUAL(ended, 0);
    }
    CU_ASSERT_EQUAL(ended, 1);
}

static void test_cpp_group_ends_at_once_in_a_forked_child()
{
    world world;
    const cmds::group group = world.open();
    const pid_t child = fork();
    if (child == 0) {
        const_cast<cmds::group &>(group).close();
        _exit(group ? 1 : 0);
    }
    int status = -1;
    CU_ASSERT_TRUE(waitpid(child, &status, 0) == child && status == 0);
}

static void test_cpp_group_may_end_after_its_runtime()
{
    world world;
    std::atomic<int> cause{0};
    CU_ASSERT_EQUAL(world.group.send(shop::hold{0},
                            [&cause](cmds::result_view result) { cause = result.cause(); }),
            0);
    world.server.close();
    world.runtime.stop();
    CU_ASSERT_TRUE(cause == CMDS_E_CLOSED || cause == CMDS_E_LOST);
    CU_ASSERT_EQUAL(world.group.send(shop::add{1, 2}), CMDS_E_CLOSED);
    world.group.close();
}

static void test_cpp_group_moves()
{
    world world;
    cmds::group first = world.open();
    cmds_group *raw = first.raw();
    cmds::group second(std::move(first));
    CU_ASSERT_FALSE(static_cast<bool>(first));
    CU_ASSERT_PTR_EQUAL(second.raw(), raw);
    second = world.open(); // Closes the one that it had.
    CU_ASSERT_TRUE(static_cast<bool>(second));
    std::atomic<int64_t> got{0};
    CU_ASSERT_EQUAL(second.send(shop::add{4, 5},
                            [&got](cmds::result_view result) {
                                const shop::sum *sum = result.get<shop::sum>();
                                got = sum == nullptr ? -1 : sum->value;
                            }),
            0);
    CU_ASSERT_EQUAL(second.drain(60000), 0);
    second.close();
    CU_ASSERT_EQUAL(got, 9);
    CU_ASSERT_FALSE(static_cast<bool>(second));
}

static void test_cpp_what_cannot_start_is_empty_and_says_why()
{
    world world;
    cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&shop::protocol, execs);
    options.listen = world.address.data(); // Which is taken.
    const cmds::server server = cmds::server::start(world.error, world.runtime, options);
    CU_ASSERT_FALSE(static_cast<bool>(server));
    CU_ASSERT_EQUAL(world.error.code(), -EADDRINUSE);
    CU_ASSERT_TRUE(static_cast<bool>(world.error));
    CU_ASSERT_PTR_NOT_NULL(std::strstr(world.error.text(), world.address.data()));

    cmds_sender_options wrong = CMDS_SENDER_OPTIONS_INIT(&shop::protocol);
    wrong.connect = "nowhere";
    CU_ASSERT_FALSE(static_cast<bool>(cmds::sender::open(world.error, wrong)));
    CU_ASSERT_EQUAL(world.error.code(), -EINVAL); // The last one's, not the first one's.
}

static void test_cpp_runtime_posts_a_lambda()
{
    world world(2);
    std::atomic<int> living{0};
    std::atomic<int> where{-1};
    cmds_runtime *raw = world.runtime.raw();
    CU_ASSERT_EQUAL(world.runtime.post(1,
                            [&where, raw, token = life(living)] {
                                where = cmds_runtime_current_shard(raw);
                            }),
            0);
    CU_ASSERT_EQUAL(world.runtime.post(7, [token = life(living)] {}), -EINVAL);
    while (where != 1 || living != 0) {
        std::this_thread::yield();
    }
}

/* --- Sender and calls ------------------------------------------------------------------------- */

static cmds::sender sender_of(world &world)
{
    cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&shop::protocol);
    options.connect = world.address.data();
    return cmds::sender::open(world.error, options);
}

static void test_cpp_sender_sends_by_type_and_streams_to_a_lambda()
{
    world world;
    const cmds::sender sender = sender_of(world);
    CU_ASSERT_TRUE_FATAL(static_cast<bool>(sender));
    const cmds::result result = sender.send(shop::add{20, 22}, world.error, 60000);
    CU_ASSERT_FALSE(static_cast<bool>(world.error));
    CU_ASSERT_TRUE_FATAL(result.get<shop::sum>() != nullptr);
    CU_ASSERT_EQUAL(result.get<shop::sum>()->value, 42);
    const cmds::result copy{cmds::result_view(result)};
    CU_ASSERT_EQUAL(copy.get<shop::sum>()->value, 42);

    const std::vector<int64_t> extra{1000, 2000};
    shop::count command{3, {}, {true, 100}, cmds::borrow("four")};
    cmds::borrow_items(command.extra, extra);
    std::vector<int64_t> got;
    CU_ASSERT_EQUAL(sender.send_multi(command, world.error,
                            [&got](cmds::result_view step) {
                                got.push_back(step.get<shop::step>()->number);
                            }),
            0);
    CU_ASSERT_TRUE((got == std::vector<int64_t>{3105, 3106, 3107}));
    CU_ASSERT_EQUAL(
            sender.send_multi(command, world.error, [](cmds::result_view) { return -7; }), -7);

    CU_ASSERT_FALSE(static_cast<bool>(sender.send(command, world.error, 60000)));
    CU_ASSERT_EQUAL(world.error.code(), CMDS_E_MORE_RESULTS);
}

static void test_cpp_forward_takes_a_lambda_for_each_leg()
{
    world world;
    const cmds::sender sender = sender_of(world);
    const cmds::result result = sender.send(shop::relay{10, 1}, world.error, 60000);
    CU_ASSERT_TRUE_FATAL(result.get<shop::sum>() != nullptr);
    CU_ASSERT_EQUAL(result.get<shop::sum>()->value, 11 + 21 * 2 + 31 * 3);
    world.state.upstream = nullptr; // What cannot be forwarded destroys its callback.
    CU_ASSERT_FALSE(static_cast<bool>(sender.send(shop::relay{10, 1}, world.error, 200)));
}

static void test_cpp_call_is_a_counted_reference()
{
    world world;
    std::atomic<int> causes{0};
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(world.group.send(shop::hold{7},
                                [&causes](cmds::result_view result) {
                                    const shop::sum *sum = result.get<shop::sum>();
                                    causes += sum == nullptr ? 1000 : static_cast<int>(sum->value);
                                }),
                0);
    }
    while (world.state.held_count != 2) {
        std::this_thread::yield();
    }
    std::vector<cmds::call> calls = world.state.take();
    cmds::call copy = calls[0];
    cmds::call moved = std::move(calls[0]);
    CU_ASSERT_FALSE(static_cast<bool>(calls[0]));
    CU_ASSERT_PTR_EQUAL(copy.raw(), moved.raw());
    copy = cmds::call();
    CU_ASSERT_TRUE_FATAL(moved.get<shop::hold>() != nullptr);
    CU_ASSERT_EQUAL(moved.get<shop::hold>()->unused_number, 7);
    CU_ASSERT_PTR_NULL(moved.get<shop::add>());
    CU_ASSERT_FALSE(moved.is_cancelled());
    CU_ASSERT_EQUAL(moved.send(shop::sum{1}), 0);
    CU_ASSERT_EQUAL(calls[1].send(shop::sum{2}), 0);
    CU_ASSERT_TRUE(world.drain());
    CU_ASSERT_EQUAL(moved.send(shop::sum{1}), CMDS_E_FINISHED);
    world.group.close();
    CU_ASSERT_EQUAL(causes, 3);
}

/* --- What does not compile -------------------------------------------------------------------- */

template <class T, class = void> struct is_command : std::false_type {
};
template <class T>
struct is_command<T, std::void_t<decltype(cmds_command_type_(static_cast<const T *>(nullptr)))>>
    : std::true_type {
};
static_assert(
        is_command<shop::add>::value && !is_command<shop::sum>::value && !is_command<int>::value,
        "a result, or a struct without a row, cannot be sent as a command");
static_assert(
        !std::is_copy_constructible_v<cmds::group> && !std::is_copy_constructible_v<cmds::result>);
static_assert(std::is_nothrow_move_constructible_v<cmds::server> &&
              std::is_nothrow_move_constructible_v<cmds::call>);

/* A type whose struct says nothing: as one of codec_protobuf.h. */
struct foreign {
    int64_t a, b;
};
CMDS_CPP_COMMAND(foreign, shop::add);
static_assert(cmds::command_type<foreign>::get() == &shop::add_type);

/* As the macros do in C, where another one counts. */
static void test_cpp_rows_say_how_long_their_names_are()
{
    CU_ASSERT_EQUAL(shop::add_fields[1].name_size, 1);
    CU_ASSERT_EQUAL(shop::count_fields[2].name_size, 4);
    CU_ASSERT_EQUAL(shop::step_fields[1].name_size, 4);
#ifdef __OPTIMIZE__ // And the code of a struct is made as in C.
    CU_ASSERT(shop::add_schema.compiled.of == &shop::add_schema);
#endif
}

static const CU_TestInfo tests[] = {
        {"rows say how long their names are", test_cpp_rows_say_how_long_their_names_are},
        {"callback with captures runs once and is destroyed",
                test_cpp_callback_with_captures_runs_once_and_is_destroyed},
        {"callback takes one allocation or none and none per result",
                test_cpp_callback_takes_one_allocation_or_none_and_none_per_result},
        {"callback that changes itself keeps what it changed",
                test_cpp_callback_that_changes_itself_keeps_what_it_changed},
        {"callback is destroyed if its command is not taken",
                test_cpp_callback_is_destroyed_if_its_command_is_not_taken},
        {"callback of a forgotten command runs once more",
                test_cpp_callback_of_a_forgotten_command_runs_once_more},
        {"group waits at its end for its last callback",
                test_cpp_group_waits_at_its_end_for_its_last_callback},
        {"group may end on a shard", test_cpp_group_may_end_on_a_shard},
        {"group of an inline runtime turns it at its end",
                test_cpp_group_of_an_inline_runtime_turns_it_at_its_end},
        {"group ends at once in a forked child", test_cpp_group_ends_at_once_in_a_forked_child},
        {"group may end after its runtime", test_cpp_group_may_end_after_its_runtime},
        {"group moves", test_cpp_group_moves},
        {"what cannot start is empty and says why",
                test_cpp_what_cannot_start_is_empty_and_says_why},
        {"runtime posts a lambda", test_cpp_runtime_posts_a_lambda},
        {"sender sends by type and streams to a lambda",
                test_cpp_sender_sends_by_type_and_streams_to_a_lambda},
        {"forward takes a lambda for each leg", test_cpp_forward_takes_a_lambda_for_each_leg},
        {"call is a counted reference", test_cpp_call_is_a_counted_reference},
        CU_TEST_INFO_NULL,
};

int main(int argc, char **argv)
{
    return cmdi_test_main("cpp", tests, argc, argv);
}
