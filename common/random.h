/* SPDX-License-Identifier: MIT */
/*
 * Identifiers that don't repeat: a small generator per loop, seeded from the
 * kernel.  Unique, quick (a few nanoseconds), and not for secrets.
 *
 * Context: one per loop, made after fork, so that no two workers share a
 * sequence.
 */
#ifndef CORELANE_COMMON_RANDOM_H
#define CORELANE_COMMON_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
	uint64_t s[4];		/* xoshiro256** state */
};

/* Seeds from getrandom(2); falls back on clocks, pid and addresses. */
void random_init(struct random *r);
uint64_t random_u64(struct random *r);

/* Writes 2 * bytes lower-case hex digits; no NUL. */
void random_hex(struct random *r, size_t bytes, char *out);

#endif
