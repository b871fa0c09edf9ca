/* SPDX-License-Identifier: MIT */
/*
 * The arrays that the X-macros of stats.h expand to.
 *
 * Owns nothing.  Invariant: one entry per field, in the order of the table.
 * Here: the expansion.  Not here: the table (stats.h).
 * Context: constant data.
 */
#include "common/stats_fields.h"

#define STATS_FIELD(field, family, labels, help)                               \
	{#field, #family, labels, help, offsetof(struct stats, field)},
#define STATS_HISTOGRAM_FIELD(field, family, help)                             \
	STATS_FIELD(field, family, "", help)

const struct stats_field stats_counters[] = {
	STATS_COUNTERS(STATS_FIELD)
	{NULL, NULL, NULL, NULL, 0}
};

const struct stats_field stats_gauges[] = {
	STATS_GAUGES(STATS_FIELD)
	{NULL, NULL, NULL, NULL, 0}
};

const struct stats_field stats_histograms[] = {
	STATS_HISTOGRAMS(STATS_HISTOGRAM_FIELD)
	{NULL, NULL, NULL, NULL, 0}
};
