/* SPDX-License-Identifier: MIT */
/*
 * What modules count, and what they are told of the server's own counts.
 *
 * A struct lane_counter is a number of this worker's struct stats, a struct
 * lane_histogram one of its histograms: counting is an addition.
 *
 * Owns nothing.  Here: claiming, counting, figures.  Not here: names
 * (common/metric_names.h), publishing (workers/shared.h).
 * Context: claiming in init(); the rest on the loop's thread.
 */
#include "common/log.h"
#include "server/ctx.h"
#include "server/internal.h"
#include "server/module.h"

/* A view is a copy of all workers' counts: not for every request. */
#define FIGURES_MS 1000

struct lane_counter {
	uint64_t value;
};

struct lane_histogram {
	struct histogram histogram;
};

/* Returns an index, or -1: it will not be counted, and the log says so. */
static int
metrics_claim(struct lane_init *in, enum metric_kind kind, const char *name,
    const char *help)
{
	const struct module *m = in->module;
	int i;

	if (m->srv->metrics == NULL)
		return -1;
	i = metric_names_claim(
	    m->srv->metrics, kind, m->config->name, str_of(name), str_of(help));
	if (i == -1)
		log_warn("module %.*s: the metric '%s' isn't counted: the name "
		    "is taken or too long, or there are too many",
		    STR_FMT(m->config->name), name != NULL ? name : "");
	return i;
}

struct lane_counter *
lane_counter(struct lane_init *in, const char *name, const char *help)
{
	int i = metrics_claim(in, METRIC_COUNTER, name, help);
	struct stats *stats = in->module->srv->stats;

	return i == -1 ? NULL :
	    (struct lane_counter *)(void *)&stats->user_counter[i];
}

struct lane_histogram *
lane_histogram(struct lane_init *in, const char *name, const char *help)
{
	int i = metrics_claim(in, METRIC_HISTOGRAM, name, help);
	struct stats *stats = in->module->srv->stats;

	if (i == -1)
		return NULL;
	if (stats->user_histogram_count <= (unsigned)i)
		stats->user_histogram_count = (unsigned)i + 1;
	return (struct lane_histogram *)(void *)&stats->user_histogram[i];
}

void
lane_count(struct lane_counter *counter, uint64_t n)
{
	if (counter != NULL)
		counter->value += n;
}

void
lane_observe_us(struct lane_histogram *histogram, uint64_t us)
{
	if (histogram != NULL)
		histogram_add(&histogram->histogram, us, 1);
}

static unsigned
figures_serving(const struct stats_view *view)
{
	unsigned count = 0;

	for (size_t i = 0; i < view->worker_count; i++)
		count += view->workers[i].state == WORKER_SERVING;
	return count;
}

/* Where no view can be had now, the last figures are good enough. */
static void
figures_refresh(struct server *srv)
{
	struct stats_view view;

	if (srv->ops->stats_view(srv->ops->ctx, &view) == -1)
		return;
	srv->figures = (struct lane_figures){
	    .requests = view.total.requests,
	    .errors = view.total.responses_5xx,
	    .connections_active =
		view.total.connections_active + view.total.tcp_active,
	    .connections_total = view.total.connections,
	    .uptime_s = view.uptime_ms / 1000,
	    .memory_bytes = view.total.memory_bytes,
	    .request_us_total = view.total.request_time.sum_us,
	    .workers = figures_serving(&view),
	};
	stats_view_done(&view);
	srv->figures_until_ms = srv->clock.mono_ms + FIGURES_MS;
}

void
lane_figures(struct lane_ctx *c, struct lane_figures *ret_figures)
{
	struct server *srv = c->srv;

	if (srv->clock.mono_ms >= srv->figures_until_ms)
		figures_refresh(srv);
	*ret_figures = srv->figures;
}
