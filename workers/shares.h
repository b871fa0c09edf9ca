/* SPDX-License-Identifier: MIT */
/*
 * Which worker accepts from which sockets.
 *
 * For each address the supervisor opens the same number of sockets, and the
 * i-th sockets of all addresses together are share i.  A worker is told the
 * set of shares it accepts from; every share has one owner, so that no
 * connection waits in a queue that nobody reads:
 *
 *	share	0 1 2 3 4 5 6 7
 *	owner	0 1 2 0 1 2 0 1		three workers
 *	owner	0 1 0 0 1 1 0 1		worker 2 is dead: siblings adopt
 *	owner	0 1 0 1 0 1 0 1		scaled down to two
 *
 * Crash, stall, scaling and reload all come down to making this plan anew and
 * telling each worker what changed for it.
 *
 * Owns: nothing; plain values.
 * Here: the set and the plan.  Not here: sockets (workers/listener.h), telling
 * the workers (workers/supervisor.c).
 * Context: supervisor and worker; [shares.c] -> supervisor.c -> acceptor.c.
 */
#ifndef CORELANE_WORKERS_SHARES_H
#define CORELANE_WORKERS_SHARES_H

#include <stdbool.h>
#include <stdint.h>

#define SHARES_MAX 128

struct shares {
	uint64_t bits[SHARES_MAX / 64];
};

static inline bool
shares_has(const struct shares *s, unsigned share)
{
	return s->bits[share / 64] >> (share % 64) & 1;
}

static inline void
shares_add(struct shares *s, unsigned share)
{
	s->bits[share / 64] |= (uint64_t)1 << (share % 64);
}

bool shares_is_equal(const struct shares *a, const struct shares *b);
unsigned shares_count(const struct shares *s);

/*
 * Gives each of the `share_count` shares to one worker that serves: to worker
 * `share % worker_count` where it does, else to one of those that do.
 * serves: one flag per worker; ret_shares: one set per worker, all written.
 * Where nobody serves every set is empty.
 */
void shares_plan(const bool *serves, unsigned worker_count,
    unsigned share_count, struct shares *ret_shares);

#endif
