/* SPDX-License-Identifier: MIT */
// The server of ../calc from C++17, with the same header: exec functions are members of an object,
// which all shards call at once. No exception may leave them.
#include <atomic>
#include <iostream>

#include <cmdstream/cmdstream.hpp>

#include "calc.h"

class calculator
{
  public:
    int add(cmds_call *call, const calc_add &command)
    {
        additions_++;
        return cmds::send(call, calc_value{command.a + command.b});
    }

    int greet(cmds_call *call, const calc_greet &command)
    {
        const uint64_t number = cmds_call_round(call) + 1;
        const bool last = command.count <= 0 || number >= static_cast<uint64_t>(command.count);
        const int error = cmds::send(call, calc_line{command.name, last});
        return error < 0 || last ? error : CMDS_EXEC_AGAIN;
    }

    int64_t additions() const
    {
        return additions_;
    }

  private:
    std::atomic<int64_t> additions_{0};
};

static const cmds_exec execs[] = {cmds::exec<&calculator::add>(), cmds::exec<&calculator::greet>()};

int main(int argc, char **argv)
{
    calculator state;
    cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&calc, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.receiver = &state;
    const int status = cmds_server_main(&options);
    std::clog << state.additions() << " additions\n";
    return status;
}
