/* SPDX-License-Identifier: MIT */
/*
 * The endpoints of a group, and when a name is looked up for them.
 *
 *     places      what the program gave, "10.0.0.7:9000", "host:9000", "dns:host:9000"
 *       |
 *     sources     one for each; of a name also: the next lookup, failures in a row
 *       |
 *     items       the endpoints of a source: one, or of "dns:" one for each address of the name
 *       |
 *     list        all of them, each address once, in that order
 *
 * The rules for a name.
 * - A lookup that fails, or finds nothing, changes nothing. One that finds what there is no memory for has
 *   failed as well: what it found is taken as far as memory goes, and no address is missing that it may just
 *   not have read.
 * - An address that is new is in the list at once; one that is there goes when two answers in a row lack
 *   it. So answers that rotate do not cut connections.
 * - The next lookup is due `interval_ms` after the last, give or take a fifth; only of "dns:", a plain name
 *   has none. When a connection failed: at once. While no address is known, or some for lack of memory:
 *   after a second, two, up to eight. Between two of one name: a second at least.
 * - One lookup at a time. One that takes longer than CMDI_DIRECTORY_PATIENCE_MS has failed, but no other
 *   begins, and what it finds in the end is taken.
 *
 * Pure values: time, chance and answers come in, what is to be done goes out. One thread at a time.
 */
#ifndef CMDI_GROUP_DIRECTORY_H
#define CMDI_GROUP_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "group/roll.h"
#include "net/endpoint.h"

enum {
    CMDI_DIRECTORY_SPACING_MS = 1000,
    CMDI_DIRECTORY_PATIENCE_MS = 5000,
    CMDI_DIRECTORY_UNKNOWN_MAX_MS = 8000, // Between two lookups while no address is known.
    CMDI_DIRECTORY_GONE_AFTER = 2,        // Answers in a row that lack an address.
};

/** As the program gives it. */
struct cmdi_place {
    const char *address;
    uint32_t weight;
};

enum cmdi_source_kind {
    CMDI_SOURCE_FIXED, // No lookup is needed.
    CMDI_SOURCE_NAME,  // One endpoint; lookups give its targets.
    CMDI_SOURCE_DNS,   // Lookups give endpoints.
};

struct cmdi_item {
    struct cmdi_endpoint *endpoint; // A count.
    uint32_t missed;                // Answers in a row that lacked it.
    bool is_listed;                 // By the answer that is being read.
    uint8_t unused[3];
};

struct cmdi_source {
    enum cmdi_source_kind kind;
    uint32_t weight;
    uint32_t item_count;
    struct cmdi_item *items;
    uint64_t due_ms;     // The next lookup; UINT64_MAX: none.
    uint64_t allowed_ms; // Not before then.
    uint32_t failures;   // Lookups in a row.
    bool has_answered;   // Once.
    bool is_late;        // It joined others.
    bool lacks_some;     // For which there was no memory in its last answer.
    uint8_t unused;
    uint64_t hash; // Of `text`.
    char *text;    // Without "dns:".
};

/** What a step has found: bits. */
enum cmdi_news {
    CMDI_NEWS_LIST = 1,    // The list is another one.
    CMDI_NEWS_TARGETS = 2, // The addresses of a plain name, or why a name has none.
    CMDI_NEWS_FAILS = 4,   // Lookups of a name fail, for the first time in a row.
    CMDI_NEWS_WORKS = 8,   // They do so no longer.
};

struct cmdi_directory {
    uint32_t interval_ms; // CMDS_NEVER: only when a connection failed.
    bool needs_host;      // An address without one, "unix:/run/x", is refused.
    uint8_t unused[3];
    uint32_t source_count;
    struct cmdi_source *sources;
    uint32_t count;              // Of `list`.
    struct cmdi_endpoint **list; // A count of each.
    struct cmdi_roll roll;       // Of `list`.
    bool is_asking;              // A lookup is under way,
    bool has_given_up;           // and has taken too long.
    uint8_t unused_too[2];
    uint32_t asked;       // the one of this source; UINT32_MAX: of one that has gone meanwhile.
    uint64_t patience_ms; // Until then it has not.
    struct cmdi_endpoint_store store;
    struct cmds_error error; // Why a lookup failed, the last one that did.
};

/** Reads "a:1,dns:b:2". Owner: gives *places, and their addresses, in one block: free(). Returns: how many;
 * -EINVAL, -ENOMEM. Thread: any. */
int cmdi_places_read(struct cmdi_place **places, const char *connect, struct cmds_error *error);

/** Without endpoints. */
void cmdi_directory_init(struct cmdi_directory *directory, uint32_t interval_ms, bool needs_host);
/** Every other count of its endpoints has been given back. */
void cmdi_directory_fini(struct cmdi_directory *directory);
/**
 * The list is now that of these places. An endpoint whose address is in both lists stays the same; a name
 * that is in both is not looked up anew.
 *
 * Owner:   copies.
 * Returns: bits of enum cmdi_news; -EINVAL: no address, a weight above the limit, and nothing has changed;
 *          -E2BIG: too many; -ENOMEM.
 */
int cmdi_directory_set(struct cmdi_directory *directory, const struct cmdi_place *places,
        uint32_t count, uint64_t now_ms, struct cmds_error *error);
/**
 * When cmdi_directory_begin() or cmdi_directory_late() has something to do; UINT64_MAX: never, until
 * something happens.
 */
uint64_t cmdi_directory_due_ms(const struct cmdi_directory *directory);
/** Returns: the name to look up now; an answer is due then. NULL: none. */
const char *cmdi_directory_begin(struct cmdi_directory *directory, uint64_t now_ms);
/** Returns: bits of enum cmdi_news: what follows from a lookup that takes too long. */
uint32_t cmdi_directory_late(struct cmdi_directory *directory, uint64_t now_ms);
/**
 * The lookup has ended. With `count` 0 `error` says why. `random` is for the time of the next one.
 *
 * Returns: bits of enum cmdi_news.
 */
uint32_t cmdi_directory_answer(struct cmdi_directory *directory,
        const struct cmdi_address *addresses, uint32_t count, const struct cmds_error *error,
        uint64_t now_ms, uint64_t random);
/** A connection to it failed or was lost: its name is looked up as soon as that may be. */
void cmdi_directory_failed(
        struct cmdi_directory *directory, const struct cmdi_endpoint *endpoint, uint64_t now_ms);
/** Is any name looked up for this group? */
bool cmdi_directory_has_names(const struct cmdi_directory *directory);
/** May what a name service says change the list? */
bool cmdi_directory_is_alive(const struct cmdi_directory *directory);

#endif
