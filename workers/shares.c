/* SPDX-License-Identifier: MIT */
/*
 * The plan of which worker accepts from which sockets: see shares.h.
 *
 * Owns: nothing.
 * Here: arithmetic on sets.  Not here: anything that acts.
 * Context: supervisor and worker; [shares.c] -> supervisor.c -> acceptor.c.
 */
#include "workers/shares.h"

#include <string.h>

bool
shares_is_equal(const struct shares *a, const struct shares *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

unsigned
shares_count(const struct shares *s)
{
	unsigned count = 0;

	for (unsigned i = 0; i < SHARES_MAX / 64; i++)
		count += (unsigned)__builtin_popcountll(s->bits[i]);
	return count;
}

void
shares_plan(const bool *serves, unsigned worker_count, unsigned share_count,
    struct shares *ret_shares)
{
	unsigned able[SHARES_MAX], able_count = 0;

	memset(ret_shares, 0, worker_count * sizeof(*ret_shares));
	for (unsigned i = 0; i < worker_count; i++)
		if (serves[i])
			able[able_count++] = i;
	if (able_count == 0)
		return;
	for (unsigned i = 0, next = 0; i < share_count; i++) {
		unsigned owner = i % worker_count;

		/* What an absent one leaves goes round among the others. */
		if (!serves[owner])
			owner = able[next++ % able_count];
		shares_add(&ret_shares[owner], i);
	}
}
