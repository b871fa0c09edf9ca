/* SPDX-License-Identifier: MIT */
/*
 * Durations counted in log-linear buckets: two significant digits (a value is
 * known to better than 1 %) from 1 microsecond to 100 seconds, in a fixed array
 * without pointers, so that histograms of processes can be kept in shared
 * memory, added up, and subtracted.
 *
 *	bucket:   0 .. 255      one per microsecond
 *	then      128 per power of two: 256..511 in steps of 2, ...
 *
 * A longer value counts in the last bucket, which has no upper end; `sum_us`
 * stays exact.
 *
 * Context: one writer per histogram; copying is the reader's business.
 */
#ifndef CORELANE_COMMON_HISTOGRAM_H
#define CORELANE_COMMON_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_MAX_US 100000000u	/* 100 s */
/* 256 + 128 for each power of two from 2^8 to 2^26 (2^27 > 100 s). */
#define HISTOGRAM_BUCKETS (256 + 19 * 128)

struct histogram {
	uint64_t count;
	uint64_t sum_us;
	uint64_t max_us;
	uint64_t bucket[HISTOGRAM_BUCKETS];	/* 2^32 is a few hours' work */
};

/* Counts `n` values of `us` microseconds. */
void histogram_add(struct histogram *h, uint64_t us, uint32_t n);

/* into += from, from untouched. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The bucket of a value, and the largest value that a bucket holds
 * (UINT64_MAX for the last). */
unsigned histogram_index(uint64_t us);
uint64_t histogram_upper_us(unsigned index);

/* The value, in microseconds, that a share `q` (0 to 1) of the values doesn't
 * pass: the upper end of its bucket, at most max_us; 0 when it is empty. */
uint64_t histogram_quantile_us(const struct histogram *h, double q);

/* How many values are at most `us`, to the precision of its bucket, which is
 * counted in whole: what a Prometheus bucket asks. */
uint64_t histogram_count_below(const struct histogram *h, uint64_t us);

#endif
