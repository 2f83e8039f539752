/* SPDX-License-Identifier: MIT */
/*
 * What is wrong with the world: on the links between its hosts, and what is drawn to befall them.
 *
 * Several faults may lie on one link at a time, those that a program asked for and those that were
 * drawn; it works as each of them allows, and when the last is gone, as before.
 */
#ifndef CMDI_SIM_FAULTS_H
#define CMDI_SIM_FAULTS_H

#include "sim/net.h"
#include "sim/process.h"

/* --- links.c ----------------------------------------------------------------------------------- */

/** A fault of one direction between two hosts, from a time on and until another. */
struct cmdi_link_fault {
    const struct cmdi_sim_host *from, *to;
    struct cmdi_link_plan plan;
    uint64_t begin_ns, end_ns;
};
void cmdi_links_befall(const struct cmdi_link_fault *fault);
/** What programs ask for, until they ask for something else. */
void cmdi_links_set_blocked(
        const struct cmdi_sim_host *from, const struct cmdi_sim_host *to, bool blocked);
void cmdi_links_set_slow(
        const struct cmdi_sim_host *from, const struct cmdi_sim_host *to, uint64_t slow_ns);
void cmdi_links_heal(void); // All of it.
void cmdi_links_begin(void);
void cmdi_links_end(void);

/* --- faults.c ---------------------------------------------------------------------------------- */

/** Draws them, as long as they may begin. */
void cmdi_faults_begin(void);
void cmdi_faults_end(void);

#endif
