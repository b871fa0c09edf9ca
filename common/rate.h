/* SPDX-License-Identifier: MIT */
/*
 * How often somebody may do something: a table of clients that all workers
 * share, without a lock.
 *
 *	rate_table: seed | bucket 0: [key, time] x 4 | bucket 1 ...
 *
 * The algorithm is GCRA (ATM Forum TM 4.0, 4.4.2): a client is one number, the
 * time at which it would have used up nothing.  A request moves that time by
 * `interval_ns`; it is refused where it would come to lie more than `burst`
 * intervals ahead.
 *
 * A client's cell lies in the bucket of its hash: a cache line of four.  A cell
 * whose time has passed says what an empty one says, so that it is taken over
 * without being cleared.  Where all four are in use the one that would be free
 * first is lost: a full table forgets clients, and refuses nobody.
 *
 * Every change is one compare-and-swap of one number, so that a process may be
 * killed between any two instructions and leave a table that is right.  What a
 * race may cost is a request counted for a neighbour.
 *
 *	struct rate_verdict v = rate_take(table, rate_key(table, name), &limit,
 *	    clock_now_ns());
 *
 * Here: the table.  Not here: whose memory it is (workers/), who is a client
 * (server/middleware/rate_limit.c).
 * Context: any process that maps it, any thread.
 */
#ifndef CORELANE_COMMON_RATE_H
#define CORELANE_COMMON_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"

#define RATE_BUCKET_CELLS 4

struct rate_cell {
	_Atomic uint64_t key;		/* 0: never used */
	_Atomic uint64_t time_ns;	/* CLOCK_MONOTONIC */
};

struct rate_table {
	uint64_t seed[2];
	uint64_t bucket_mask;
	_Alignas(64) struct rate_cell cell[];
};

struct rate_limit {
	uint64_t interval_ns;	/* of one request when they come evenly */
	uint64_t burst;		/* at least 1; burst * interval_ns: years */
};

struct rate_verdict {
	bool is_allowed;
	uint64_t remaining;	/* more at once, now */
	uint64_t reset_ns;	/* until all of the burst is there again */
	uint64_t retry_ns;	/* refused: until one more is allowed */
};

/* Bytes for at least so many cells; a table in such memory, all zero. */
size_t rate_table_bytes(size_t cells);
void rate_table_init(struct rate_table *t, size_t cells);

/* A client's key: of the same text the same in all processes. */
uint64_t rate_key(const struct rate_table *t, struct str text);

/* Asks for one. */
struct rate_verdict rate_take(struct rate_table *t, uint64_t key,
    const struct rate_limit *limit, uint64_t now_ns);

#endif
