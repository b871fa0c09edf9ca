/* SPDX-License-Identifier: MIT */
/*
 * The X-macros of stats.h as arrays, for code that walks over all fields.
 *
 * Here: names and places of the fields.  Not here: any output.
 * Context: constant data; included by the stats_*.c printers alone.
 */
#ifndef CORELANE_COMMON_STATS_FIELDS_H
#define CORELANE_COMMON_STATS_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "common/stats.h"

struct stats_field {
	const char *name;	/* of the member: the JSON key */
	const char *family;
	const char *labels;	/* "" where there are none */
	const char *help;
	size_t offset; /* in struct stats, of a uint64_t or histogram */
};

/* Each ends with a field whose name is NULL. */
extern const struct stats_field stats_counters[];
extern const struct stats_field stats_gauges[];
extern const struct stats_field stats_histograms[];

static inline uint64_t
stats_value(const struct stats *s, const struct stats_field *f)
{
	return *(const uint64_t *)(const void *)
	    ((const char *)s + f->offset);
}

static inline const struct histogram *
stats_histogram(const struct stats *s, const struct stats_field *f)
{
	return (const void *)((const char *)s + f->offset);
}

#endif
