/* SPDX-License-Identifier: MIT */
/*
 * The view as Prometheus text 0.0.4 or OpenMetrics 1.0.
 *
 * Counters and histograms are printed for the whole server, dead workers
 * included, without a label of the worker: rate() over them never sees a fall
 * when a worker is replaced, nor a jump that a "retired" sum would make.  The
 * same counters per worker are families of their own, corelane_worker_*, so
 * that a sum over one family never counts anything twice.  Gauges are printed
 * per worker only: their sum is the server's.
 *
 * Owns nothing.
 * Here: names, labels, HELP and TYPE.  Not here: the fields (stats.h).
 * Context: any process, on a private copy of the view.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/stats_fields.h"
#include "common/str.h"

/* One printing: where to, and in which of the two formats. */
struct prometheus {
	struct buf *out;
	bool openmetrics;
};

/* The upper ends of the buckets, as text, because a decimal fraction printed
 * from a double isn't the number that was written here. */
static const struct prometheus_bound {
	uint64_t us;
	const char *seconds;
} prometheus_bounds[] = {
	{100, "0.0001"}, {250, "0.00025"}, {500, "0.0005"},
	{1000, "0.001"}, {2500, "0.0025"}, {5000, "0.005"},
	{10000, "0.01"}, {25000, "0.025"}, {50000, "0.05"},
	{100000, "0.1"}, {250000, "0.25"}, {500000, "0.5"},
	{1000000, "1.0"}, {2500000, "2.5"}, {5000000, "5.0"},
	{10000000, "10.0"}, {25000000, "25.0"}, {50000000, "50.0"},
	{100000000, "100.0"},
};

#define PROMETHEUS_BOUNDS                                                      \
	(sizeof(prometheus_bounds) / sizeof(prometheus_bounds[0]))

/* HELP and TYPE.  `suffix` belongs to the samples: OpenMetrics names a family
 * without it, 0.0.4 with it. */
static void
prometheus_family(const struct prometheus *pr, const char *name,
    const char *suffix, const char *type, const char *help)
{
	if (pr->openmetrics)
		suffix = "";
	buf_printf(pr->out, "# HELP corelane_%s%s %s\n", name, suffix, help);
	buf_printf(pr->out, "# TYPE corelane_%s%s %s\n", name, suffix, type);
}

static void
prometheus_gauge(const struct prometheus *pr, const char *name, uint64_t value,
    const char *help)
{
	prometheus_family(pr, name, "", "gauge", help);
	buf_printf(pr->out, "corelane_%s %" PRIu64 "\n", name, value);
}

static void
prometheus_counter(const struct prometheus *pr, const char *name,
    uint64_t value, const char *help)
{
	prometheus_family(pr, name, "_total", "counter", help);
	buf_printf(pr->out, "corelane_%s_total %" PRIu64 "\n", name, value);
}

/* Seconds with three digits from milliseconds, exactly. */
static void
prometheus_gauge_ms(const struct prometheus *pr, const char *name, int64_t ms,
    const char *help)
{
	if (ms < 0)
		ms = 0;
	prometheus_family(pr, name, "", "gauge", help);
	buf_printf(pr->out, "corelane_%s %" PRId64 ".%03d\n", name, ms / 1000,
	    (int)(ms % 1000));
}

static void
prometheus_build(const struct prometheus *pr)
{
	if (pr->openmetrics)
		prometheus_family(pr, "build", "", "info",
		    "the version of corelane");
	else
		prometheus_family(pr, "build_info", "", "gauge",
		    "the version of corelane");
	buf_add(pr->out, STR("corelane_build_info{version=\"" CORELANE_VERSION
	    "\"} 1\n"));
}

static uint64_t
prometheus_count_state(const struct stats_view *v, enum worker_state state)
{
	uint64_t n = 0;

	for (size_t i = 0; i < v->worker_count; i++)
		n += v->workers[i].state == state;
	return n;
}

static void
prometheus_workers(const struct prometheus *pr, const struct stats_view *v)
{
	prometheus_family(pr, "workers", "", "gauge", "workers by state");
	for (int s = WORKER_STARTING; s <= WORKER_DEAD; s++)
		buf_printf(pr->out, "corelane_workers{state=\"%s\"} %" PRIu64
		    "\n", worker_state_name((enum worker_state)s),
		    prometheus_count_state(v, (enum worker_state)s));
	prometheus_gauge(pr, "workers_wanted", v->workers_wanted,
	    "workers there should be");
	prometheus_family(pr, "worker_restarts", "_total", "counter",
	    "restarts of a worker, by its number");
	for (size_t i = 0; i < v->worker_count; i++) {
		const struct stats_worker *w = &v->workers[i];

		/* Two generations of one number: the newer one is behind. */
		if (i + 1 < v->worker_count && w[1].index == w->index)
			continue;
		buf_printf(pr->out,
		    "corelane_worker_restarts_total{worker=\"%u\"} %" PRIu64
		    "\n", w->index, w->restarts);
	}
}

/* Of the log itself; what workers do with it they count. */
static void
prometheus_channels(const struct prometheus *pr,
    const struct channel_log_figures *f)
{
	prometheus_gauge(pr, "channels", f->channels,
	    "channels and patterns with subscribers or history");
	prometheus_gauge(pr, "channels_max", f->channels_max,
	    "how many there is room for");
	prometheus_gauge(pr, "channel_members", f->members,
	    "members of channels whose presence tells them");
	prometheus_gauge(pr, "channel_log_bytes", f->ring_bytes,
	    "size of the log of channels");
	prometheus_gauge(pr, "channel_log_used_bytes", f->ring_used,
	    "how much of it holds messages");
	prometheus_counter(pr, "channel_log_messages", f->messages,
	    "messages put into the log, those of other machines too");
	prometheus_counter(pr, "channel_log_message_bytes", f->bytes,
	    "bytes of their data");
	prometheus_counter(pr, "channel_log_evicted", f->evicted,
	    "messages that went to make room for others");
	prometheus_counter(pr, "channel_log_repairs", f->repairs,
	    "repairs of the log after a death");
}

static void
prometheus_server(const struct prometheus *pr, const struct stats_view *v)
{
	prometheus_build(pr);
	prometheus_gauge_ms(pr, "start_time_seconds", v->started_real_ms,
	    "when the server started, since the epoch");
	prometheus_gauge(pr, "generation", v->generation,
	    "how often workers were replaced as a whole");
	prometheus_gauge(pr, "draining", v->draining,
	    "1 while the whole server is stopping");
	prometheus_workers(pr, v);
	prometheus_counter(pr, "reloads", v->reloads, "reloads that succeeded");
	prometheus_counter(pr, "reloads_failed", v->reloads_failed,
	    "reloads that failed and left the old configuration");
	prometheus_gauge(pr, "config_last_reload_successful", v->reload_ok,
	    "1 when the last reload succeeded, or none was tried");
	/* A view knows when the last reload was, whichever way it ended. */
	if (v->reload_ok)
		prometheus_gauge_ms(pr,
		    "config_last_reload_success_timestamp_seconds",
		    v->reload_real_ms != 0 ? v->reload_real_ms :
		    v->started_real_ms,
		    "when the configuration in use was loaded");
	prometheus_counter(pr, "worker_crashes", v->crashes,
	    "workers that died of themselves");
	prometheus_counter(pr, "worker_stalls", v->stalls,
	    "workers killed because their loop stood still");
	prometheus_counter(pr, "lock_repairs", v->lock_repairs,
	    "shared locks made anew after a death");
	prometheus_channels(pr, &v->channels);
}

static void
prometheus_cluster(const struct prometheus *pr, const struct stats_cluster *c)
{
#define X(field, family, type, help)                                           \
	if (strcmp(type, "counter") == 0)                                      \
		prometheus_counter(pr, #family, c->field, help);               \
	else                                                                   \
		prometheus_gauge(pr, #family, c->field, help);
	STATS_CLUSTER(X)
#undef X
}

/* Whether `f` stands in one family with the field before it. */
static bool
prometheus_is_same_family(const struct stats_field *fields,
    const struct stats_field *f)
{
	return f != fields && strcmp(f[-1].family, f->family) == 0;
}

static void
prometheus_totals(const struct prometheus *pr, const struct stats *total)
{
	const struct stats_field *f;

	for (f = stats_counters; f->name != NULL; f++) {
		if (!prometheus_is_same_family(stats_counters, f))
			prometheus_family(pr, f->family, "_total", "counter",
			    f->help);
		buf_printf(pr->out, "corelane_%s_total", f->family);
		if (f->labels[0] != '\0')
			buf_printf(pr->out, "{%s}", f->labels);
		buf_printf(pr->out, " %" PRIu64 "\n", stats_value(total, f));
	}
}

static void
prometheus_value(const struct prometheus *pr, const struct stats_field *f,
    uint64_t value)
{
	if (str_has_suffix(str_of(f->name), STR("_ms")) &&
	    str_has_suffix(str_of(f->family), STR("_seconds")))
		buf_printf(pr->out, " %" PRIu64 ".%03u\n", value / 1000,
		    (unsigned)(value % 1000));
	else
		buf_printf(pr->out, " %" PRIu64 "\n", value);
}

/* One sample per worker that lives. */
static void
prometheus_field_per_worker(const struct prometheus *pr,
    const struct stats_view *v, const struct stats_field *f,
    const char *prefix, const char *suffix)
{
	for (size_t i = 0; i < v->worker_count; i++) {
		const struct stats_worker *w = &v->workers[i];

		if (w->state == WORKER_NONE || w->state == WORKER_DEAD)
			continue;
		buf_printf(pr->out, "corelane_%s%s%s{worker=\"%u\","
		    "generation=\"%u\"%s%s}", prefix, f->family, suffix,
		    w->index, w->generation,
		    f->labels[0] != '\0' ? "," : "", f->labels);
		prometheus_value(pr, f, stats_value(&w->stats, f));
	}
}

static void
prometheus_per_worker(const struct prometheus *pr, const struct stats_view *v)
{
	const struct stats_field *f;
	char name[128];

	for (f = stats_gauges; f->name != NULL; f++) {
		if (!prometheus_is_same_family(stats_gauges, f))
			prometheus_family(pr, f->family, "", "gauge", f->help);
		prometheus_field_per_worker(pr, v, f, "", "");
	}
	for (f = stats_counters; f->name != NULL; f++) {
		snprintf(name, sizeof(name), "worker_%s", f->family);
		if (!prometheus_is_same_family(stats_counters, f))
			prometheus_family(pr, name, "_total", "counter",
			    f->help);
		prometheus_field_per_worker(pr, v, f, "worker_", "_total");
	}
}

static void
prometheus_histogram(const struct prometheus *pr, const char *family,
    const char *help, const struct histogram *h)
{
	prometheus_family(pr, family, "", "histogram", help);
	for (size_t i = 0; i < PROMETHEUS_BOUNDS; i++)
		buf_printf(pr->out,
		    "corelane_%s_bucket{le=\"%s\"} %" PRIu64 "\n", family,
		    prometheus_bounds[i].seconds,
		    histogram_count_below(h, prometheus_bounds[i].us));
	buf_printf(pr->out, "corelane_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n",
	    family, h->count);
	buf_printf(pr->out, "corelane_%s_sum %" PRIu64 ".%06" PRIu64 "\n",
	    family, h->sum_us / 1000000, h->sum_us % 1000000);
	buf_printf(pr->out, "corelane_%s_count %" PRIu64 "\n", family,
	    h->count);
}

/* Escapes as HELP has it, which quotes matter to in OpenMetrics only. */
static void
prometheus_escape(const struct prometheus *pr, const char *text, char *out)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || (*text == '"' && pr->openmetrics))
			*out++ = '\\';
		*out++ = *text;
	}
	*out = '\0';
}

/* Modules' own, under names of theirs. */
static void
prometheus_modules(const struct prometheus *pr, const struct stats_view *v)
{
	struct metric_text text;
	char help[2 * METRIC_HELP_BYTES];

	for (unsigned i = 0; i < METRIC_COUNTERS; i++) {
		if (!metric_names_get(v->names, METRIC_COUNTER, i, &text))
			continue;
		prometheus_escape(pr, text.help, help);
		prometheus_counter(pr, text.name, v->total.user_counter[i],
		    help);
	}
	for (unsigned i = 0; i < stats_user_histograms(&v->total); i++) {
		if (!metric_names_get(v->names, METRIC_HISTOGRAM, i, &text))
			continue;
		prometheus_escape(pr, text.help, help);
		prometheus_histogram(pr, text.name, help,
		    &v->total.user_histogram[i]);
	}
}

void
stats_print_prometheus(const struct stats_view *view, bool openmetrics,
    struct buf *out)
{
	struct prometheus pr = {.out = out, .openmetrics = openmetrics};
	const struct stats_field *f;

	prometheus_server(&pr, view);
	if (view->cluster.is_configured)
		prometheus_cluster(&pr, &view->cluster);
	prometheus_totals(&pr, &view->total);
	prometheus_per_worker(&pr, view);
	for (f = stats_histograms; f->name != NULL; f++)
		prometheus_histogram(&pr, f->family, f->help,
		    stats_histogram(&view->total, f));
	if (view->names != NULL)
		prometheus_modules(&pr, view);
	if (openmetrics)
		buf_add(out, STR("# EOF\n"));
}

bool
stats_has_family(const char *name)
{
	struct stats_view *nothing = calloc(1, sizeof(*nothing));
	char line[METRIC_NAME_BYTES + 32];
	struct buf out;
	bool has = true;

	buf_init(&out, 0);
	if (nothing != NULL) {
		nothing->cluster.is_configured = true;
		/* "build" is a family of the one format, "build_info" of the
		 * other. */
		stats_print_prometheus(nothing, true, &out);
		stats_print_prometheus(nothing, false, &out);
		buf_add_byte(&out, '\0');
		snprintf(line, sizeof(line), "# TYPE corelane_%s ", name);
		has = buf_failed(&out) || strstr(buf_str(&out).p, line) != NULL;
	}
	free(nothing);
	buf_done(&out);
	return has;
}
