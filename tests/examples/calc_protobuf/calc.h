/* SPDX-License-Identifier: MIT */
/* A protocol of messages that protoc-c has generated: a row for each, and no struct of our own. */
#ifndef CALC_H
#define CALC_H

#include <cmdstream/cmdstream.h>
#include <cmdstream/codec_protobuf.h>

#include "calc.pb-c.h"

CMDS_PROTOBUF_COMMAND(calc_add, 0, Calc__Add, calc__add__descriptor);
CMDS_PROTOBUF_RESULT(calc_value, 0, Calc__Value, calc__value__descriptor);

static const struct cmds_type *const calc_commands[] = {&calc_add_type};
static const struct cmds_type *const calc_results[] = {&calc_value_type};
static const struct cmds_protocol calc = CMDS_PROTOCOL("calc", calc_commands, calc_results);

#endif
