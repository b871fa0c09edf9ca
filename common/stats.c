/* SPDX-License-Identifier: MIT */
/*
 * Adding statistics up: workers into totals, the dead into the retired.
 *
 * Owns nothing but the workers of a view.
 * Here: arithmetic.  Not here: where slots live (workers/shared.c), how they
 * are printed (stats_prometheus.c, stats_json.c, stats_table.c).
 * Context: any process, on private copies.
 */
#include "common/stats.h"

#include <stdlib.h>
#include <string.h>

const char *
worker_state_name(enum worker_state state)
{
	switch (state) {
	case WORKER_NONE:
		return "none";
	case WORKER_STARTING:
		return "starting";
	case WORKER_SERVING:
		return "serving";
	case WORKER_DRAINING:
		return "draining";
	case WORKER_DEAD:
		return "dead";
	}
	return "unknown";
}

void
stats_view_done(struct stats_view *view)
{
	free(view->workers);
	view->workers = NULL;
	view->worker_count = 0;
}

void
stats_copy(struct stats *to, const struct stats *from)
{
	memcpy(to, from, stats_bytes(from));
}

void
stats_clear(struct stats *s)
{
	memset(s, 0, offsetof(struct stats, user_histogram));
}

static void
stats_merge_user(struct stats *into, const struct stats *from)
{
	size_t known = stats_user_histograms(into);
	size_t count = stats_user_histograms(from);

	for (unsigned i = 0; i < METRIC_COUNTERS; i++)
		into->user_counter[i] += from->user_counter[i];
	for (size_t i = 0; i < count; i++) {
		if (i < known)
			histogram_merge(&into->user_histogram[i],
			    &from->user_histogram[i]);
		else
			into->user_histogram[i] = from->user_histogram[i];
	}
	if (count > known)
		into->user_histogram_count = count;
}

void
stats_retire(struct stats *into, const struct stats *from)
{
#define X(field, family, labels, help) into->field += from->field;
	STATS_COUNTERS(X)
#undef X
#define X(field, family, help) histogram_merge(&into->field, &from->field);
	STATS_HISTOGRAMS(X)
#undef X
	stats_merge_user(into, from);
}

void
stats_merge(struct stats *into, const struct stats *from)
{
	stats_retire(into, from);
#define X(field, family, labels, help) into->field += from->field;
	STATS_GAUGES(X)
#undef X
}
