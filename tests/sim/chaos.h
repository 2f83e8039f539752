/* SPDX-License-Identifier: MIT */
/*
 * What goes wrong by name: a program of the world that kills, stops and cuts off those that were drawn
 * to be fragile, and nobody else; and in the end mends everything.
 */
#ifndef CMDI_TESTS_SIM_CHAOS_H
#define CMDI_TESTS_SIM_CHAOS_H

/** For struct cmds_sim_program; no context. */
int chaos_main(void *context);

#endif
