/* SPDX-License-Identifier: MIT */
/*
 * The log-linear histogram.
 *
 * A value below 256 is its own bucket.  Above, the highest bit says which group
 * of 128 buckets it is in, and the seven bits below it which bucket.
 *
 * Owns nothing.  Invariant: the buckets add up to `count`.
 * Here: counting and asking.  Not here: how it is printed (stats_*.c).
 * Context: one writer per histogram.
 */
#include "common/histogram.h"

#define HISTOGRAM_LINEAR 256u		/* values with a bucket of their own */
#define HISTOGRAM_LINEAR_BITS 8u
#define HISTOGRAM_GROUP 128u /* buckets per power of two after that */
#define HISTOGRAM_GROUP_BITS 7u

unsigned
histogram_index(uint64_t us)
{
	unsigned top;

	if (us < HISTOGRAM_LINEAR)
		return (unsigned)us;
	if (us > HISTOGRAM_MAX_US)
		return HISTOGRAM_BUCKETS - 1;
	top = 63u - (unsigned)__builtin_clzll(us);
	return HISTOGRAM_LINEAR + (top - HISTOGRAM_LINEAR_BITS) *
	    HISTOGRAM_GROUP + ((unsigned)(us >> (top - HISTOGRAM_GROUP_BITS)) &
	    (HISTOGRAM_GROUP - 1));
}

uint64_t
histogram_upper_us(unsigned index)
{
	unsigned group, place;

	if (index < HISTOGRAM_LINEAR)
		return index;
	if (index >= HISTOGRAM_BUCKETS - 1)
		return UINT64_MAX;
	group = (index - HISTOGRAM_LINEAR) / HISTOGRAM_GROUP;
	place = (index - HISTOGRAM_LINEAR) % HISTOGRAM_GROUP;
	return ((uint64_t)(HISTOGRAM_GROUP + place + 1) << (group + 1)) - 1;
}

void
histogram_add(struct histogram *h, uint64_t us, uint32_t n)
{
	h->bucket[histogram_index(us)] += n;
	h->count += n;
	h->sum_us += us * n;
	if (us > h->max_us && n > 0)
		h->max_us = us;
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
	if (from->count == 0)
		return;
	into->count += from->count;
	into->sum_us += from->sum_us;
	if (from->max_us > into->max_us)
		into->max_us = from->max_us;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
}

/* How many values must be seen until a share `q` of `count` is: at least 1. */
static uint64_t
histogram_rank(uint64_t count, double q)
{
	double exact = q * (double)count;
	uint64_t rank;

	if (!(exact > 1.0))
		return 1;
	if (exact >= (double)count)
		return count;
	rank = (uint64_t)exact;
	return (double)rank < exact ? rank + 1 : rank;
}

uint64_t
histogram_quantile_us(const struct histogram *h, double q)
{
	uint64_t rank, seen = 0;

	if (h->count == 0)
		return 0;
	rank = histogram_rank(h->count, q);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t upper = histogram_upper_us(i);

		seen += h->bucket[i];
		if (seen >= rank)
			return upper < h->max_us ? upper : h->max_us;
	}
	return h->max_us;
}

uint64_t
histogram_count_below(const struct histogram *h, uint64_t us)
{
	unsigned last = histogram_index(us);
	uint64_t sum = 0;

	for (unsigned i = 0; i <= last; i++)
		sum += h->bucket[i];
	return sum;
}
