/* SPDX-License-Identifier: MIT */
/*
 * Random numbers that need to be quick and not secret: splitmix64.
 *
 *	struct random r;
 *
 *	random_init(&r, 0);
 *	dice = 1 + random_below(&r, 6);
 *
 * Owned by the caller.  Context: one thread each.
 */
#ifndef CORELANE_APPS_RANDOM_H
#define CORELANE_APPS_RANDOM_H

#include <stdint.h>
#include <sys/random.h>
#include <time.h>

struct random {
	uint64_t state;
};

/* seed: the same numbers every time; 0: others every time. */
static inline void
random_init(struct random *r, uint64_t seed)
{
	r->state = seed;
	if (seed == 0 && getrandom(&r->state, sizeof(r->state), 0) < 0)
		r->state = (uint64_t)time(NULL);
}

static inline uint64_t
random_next(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* 0 to limit - 1. */
static inline uint32_t
random_below(struct random *r, uint32_t limit)
{
	return (uint32_t)(((random_next(r) >> 32) * limit) >> 32);
}

#endif
