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
#include <unistd.h>

#include "common/log.h"
#include "server/ctx.h"
#include "server/internal.h"
#include "server/module.h"

/* A view is a copy of all workers' counts, which they publish every 100 ms: not
 * for every request. */
#define FIGURES_MS 100

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

static void
figures_add(struct lane_figures *f, const struct stats *s)
{
	f->requests += s->requests;
	f->errors += s->responses_5xx;
	f->connections_active += s->connections_active + s->tcp_active;
	f->connections_total += s->connections;
	f->request_us_total += s->request_time.sum_us;
}

static void
figures_take(struct lane_figures *f, const struct stats *s)
{
	f->requests -= s->requests;
	f->errors -= s->responses_5xx;
	f->connections_active -= s->connections_active + s->tcp_active;
	f->connections_total -= s->connections;
	f->request_us_total -= s->request_time.sum_us;
}

/* All but this worker's own counts: what it knows itself is newer than what it
 * has published. */
static void
figures_add_others(struct lane_figures *f, const struct stats_view *view)
{
	figures_add(f, &view->total);
	for (size_t i = 0; i < view->worker_count; i++)
		if (view->workers[i].pid == getpid())
			figures_take(f, &view->workers[i].stats);
}

/* Where no view can be had now, the last one is good enough. */
static void
figures_refresh(struct server *srv)
{
	struct stats_view view;

	if (srv->ops->stats_view(srv->ops->ctx, &view) == -1)
		return;
	srv->figures = (struct lane_figures){
	    .uptime_s = view.uptime_ms / 1000,
	    .memory_bytes = view.total.memory_bytes,
	    .workers = figures_serving(&view),
	};
	figures_add_others(&srv->figures, &view);
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
	figures_add(ret_figures, srv->stats);
}
