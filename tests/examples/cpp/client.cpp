/* SPDX-License-Identifier: MIT */
// What the library gives is released by its own functions: a unique_ptr with a deleter does it.
#include <cinttypes>
#include <iostream>
#include <memory>
#include <string_view>

#include "calc.h"

struct close_sender {
    void operator()(cmds_sender *sender) const
    {
        cmds_sender_close(sender, 1000);
    }
};
struct free_result {
    void operator()(cmds_result *result) const
    {
        cmds_result_free(result);
    }
};

static int print_line(void *, const cmds_result *result)
{
    const calc_line *line = calc_line_of(result);
    if (line == nullptr) {
        return -1;
    }
    std::cout << std::string_view(line->text.data, line->text.size) << '\n';
    return 0;
}

int main(int argc, char **argv)
{
    cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&calc);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    cmds_error error = CMDS_ERROR_INIT;
    cmds_sender *opened = nullptr;
    cmds_result *got = nullptr;
    const calc_add add{2, 3};
    const calc_greet greet{CMDS_STRING("Ada"), 2};
    int code = cmds_sender_open(&opened, &options, &error);
    const std::unique_ptr<cmds_sender, close_sender> sender(opened);
    if (code == 0) {
        code = cmds_sender_send(sender.get(), calc_add_message(&add), 5000, &got, &error);
    }
    const std::unique_ptr<cmds_result, free_result> result(got);
    if (const calc_value *value = calc_value_of(result.get())) {
        std::cout << value->value << '\n';
        code = cmds_sender_send_multi(
                sender.get(), calc_greet_message(&greet), 5000, &error, print_line, nullptr);
    }
    if (code < 0) {
        std::cerr << "calc: " << error.text << '\n';
    }
    return code < 0;
}
