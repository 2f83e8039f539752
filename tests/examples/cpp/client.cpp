/* SPDX-License-Identifier: MIT */
// Blocking first; then a group, with lambdas as callbacks, which run on a shard.
#include <atomic>
#include <iostream>

#include <cmdstream/cmdstream.hpp>

#include "calc.h"

static int fail(const cmds::error &error)
{
    std::cerr << "calc: " << error.text() << '\n';
    return 1;
}

static int ask(const char *address, cmds::error &error)
{
    cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&calc);
    options.connect = address;
    const cmds::sender sender = cmds::sender::open(error, options);
    if (!sender) {
        return fail(error);
    }
    const cmds::result result = sender.send(calc_add{2, 3}, error);
    if (const calc_value *value = result.get<calc_value>()) {
        std::cout << value->value << '\n';
    }
    const int code =
            sender.send_multi(calc_greet{CMDS_STRING("Ada"), 2}, error, [](cmds::result_view each) {
                if (const calc_line *line = each.get<calc_line>()) {
                    std::cout << cmds::view(line->text) << '\n';
                }
            });
    return code < 0 ? fail(error) : 0;
}

static int add_up(const char *address, cmds::error &error)
{
    const cmds::runtime runtime = cmds::runtime::start(error);
    if (!runtime) {
        return fail(error);
    }
    std::atomic<int64_t> sum{0}; // Lives longer than the group, and so than what captures it.
    cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&calc);
    options.connect = address;
    const cmds::group group = cmds::group::open(error, runtime, options);
    if (!group) {
        return fail(error);
    }
    for (int64_t i = 1; i <= 100; i++) {
        const int code = group.send(calc_add{i, i}, [&sum, i](cmds::result_view result) {
            const calc_value *value = result.get<calc_value>();
            sum += value != nullptr && value->value == 2 * i ? value->value : 0;
        });
        if (code < 0) {
            std::cerr << "calc: " << cmds_error_text(code) << '\n';
            return 1;
        }
    }
    if (group.drain(5000) < 0) {
        return 1;
    }
    std::cout << sum << '\n';
    return 0;
}

int main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "127.0.0.1:9000";
    cmds::error error;
    const int status = ask(address, error);
    return status != 0 ? status : add_up(address, error);
}
