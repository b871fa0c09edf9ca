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
stats_retire(struct stats *into, const struct stats *from)
{
#define X(field, family, labels, help) into->field += from->field;
	STATS_COUNTERS(X)
#undef X
#define X(field, family, help) histogram_merge(&into->field, &from->field);
	STATS_HISTOGRAMS(X)
#undef X
}

void
stats_merge(struct stats *into, const struct stats *from)
{
	stats_retire(into, from);
#define X(field, family, labels, help) into->field += from->field;
	STATS_GAUGES(X)
#undef X
}
