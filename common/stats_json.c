/* SPDX-License-Identifier: MIT */
/*
 * The view as JSON: what /stats and `corelane status --json` answer.
 *
 *	{"server":{...},"total":{...},"workers":[{...},...]}
 *
 * With a cluster there is "cluster":{...} behind "server".
 *
 * `total` and each worker hold every counter and gauge under its name, a
 * summary of every histogram ("latency" is that of the requests), and rates
 * that need no memory of an earlier look.
 *
 * Owns nothing.
 * Here: the document.  Not here: the fields (stats.h).
 * Context: any process, on a private copy of the view.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/stats_fields.h"

static void
json_u64(struct buf *out, const char *key, uint64_t value)
{
	buf_printf(out, "\"%s\":%" PRIu64 ",", key, value);
}

static void
json_bool(struct buf *out, const char *key, bool value)
{
	buf_printf(out, "\"%s\":%s,", key, value ? "true" : "false");
}

/* A time, as people read it and as programs do; null where there is none. */
static void
json_time(struct buf *out, const char *key, int64_t real_ms)
{
	char text[CLOCK_ISO_BYTES + 1];

	clock_format_iso(real_ms, text);
	if (real_ms > 0)
		buf_printf(out, "\"%s\":\"%s\",", key, text);
	else
		buf_printf(out, "\"%s\":null,", key);
	buf_printf(out, "\"%s_ms\":%" PRId64 ",", key, real_ms);
}

/* Takes back the comma that every member ends in. */
static void
json_close(struct buf *out, char bracket)
{
	if (!out->failed && out->len > 0 && out->p[out->len - 1] == ',')
		out->len--;
	buf_add_byte(out, bracket);
}

static void
json_histogram(struct buf *out, const char *key, const struct histogram *h)
{
	buf_printf(out, "\"%s\":{", key);
	json_u64(out, "count", h->count);
	json_u64(out, "sum_us", h->sum_us);
	json_u64(out, "mean_us", h->count > 0 ? h->sum_us / h->count : 0);
	json_u64(out, "p50_us", histogram_quantile_us(h, 0.50));
	json_u64(out, "p90_us", histogram_quantile_us(h, 0.90));
	json_u64(out, "p99_us", histogram_quantile_us(h, 0.99));
	json_u64(out, "p999_us", histogram_quantile_us(h, 0.999));
	json_u64(out, "max_us", h->max_us);
	json_close(out, '}');
	buf_add_byte(out, ',');
}

/* `part` per `whole`, times `scale`; 0 for nothing at all. */
static void
json_ratio(struct buf *out, const char *key, uint64_t part, uint64_t whole,
    double scale)
{
	double ratio = whole > 0 ? scale * (double)part / (double)whole : 0.0;

	buf_printf(out, "\"%s\":%.3f,", key, ratio);
}

/* Where requests and their time are one histogram, its short name. */
static const char *
json_histogram_key(const struct stats_field *f)
{
	return strcmp(f->name, "request_time") == 0 ? "latency" : f->name;
}

/* Modules' own: counters under the names that Prometheus has. */
static void
json_modules(
    struct buf *out, const struct stats *s, const struct metric_names *names)
{
	char key[METRIC_NAME_BYTES + 8];
	struct metric_text text;

	buf_add(out, STR("\"modules\":{"));
	for (unsigned i = 0; i < METRIC_COUNTERS; i++) {
		if (!metric_names_get(names, METRIC_COUNTER, i, &text))
			continue;
		snprintf(key, sizeof(key), "%s_total", text.name);
		json_u64(out, key, s->user_counter[i]);
	}
	for (unsigned i = 0; i < stats_user_histograms(s); i++)
		if (metric_names_get(names, METRIC_HISTOGRAM, i, &text))
			json_histogram(out, text.name, &s->user_histogram[i]);
	json_close(out, '}');
	buf_add_byte(out, ',');
}

static void
json_stats(struct buf *out, const struct stats *s, uint64_t up_ms)
{
	const struct stats_field *f;

	for (f = stats_counters; f->name != NULL; f++)
		json_u64(out, f->name, stats_value(s, f));
	for (f = stats_gauges; f->name != NULL; f++)
		json_u64(out, f->name, stats_value(s, f));
	for (f = stats_histograms; f->name != NULL; f++)
		json_histogram(
		    out, json_histogram_key(f), stats_histogram(s, f));
	json_ratio(out, "error_percent", s->responses_5xx, s->requests, 100);
	json_ratio(out, "mean_ms", s->request_time.sum_us,
	    s->request_time.count, 0.001);
	json_ratio(out, "requests_per_second", s->requests, up_ms, 1000);
}

static void
json_channels(struct buf *out, const struct channel_log_figures *f)
{
	buf_add(out, STR("\"channels\":{"));
	json_u64(out, "count", f->channels);
	json_u64(out, "count_max", f->channels_max);
	json_u64(out, "members", f->members);
	json_u64(out, "messages", f->messages);
	json_u64(out, "message_bytes", f->bytes);
	json_u64(out, "evicted", f->evicted);
	json_u64(out, "log_bytes", f->ring_bytes);
	json_u64(out, "log_used_bytes", f->ring_used);
	json_u64(out, "repairs", f->repairs);
	json_close(out, '}');
	buf_add_byte(out, ',');
}

static void
json_server(struct buf *out, const struct stats_view *v)
{
	uint64_t serving = 0;

	for (size_t i = 0; i < v->worker_count; i++)
		serving += v->workers[i].state == WORKER_SERVING;
	buf_add(out, STR("\"server\":{\"version\":\"" CORELANE_VERSION "\","));
	json_u64(out, "pid", (uint64_t)v->supervisor_pid);
	json_u64(out, "generation", v->generation);
	json_time(out, "started", v->started_real_ms);
	json_u64(out, "uptime_ms", v->uptime_ms);
	json_bool(out, "draining", v->draining);
	json_u64(out, "workers_wanted", v->workers_wanted);
	json_u64(out, "workers_serving", serving);
	json_u64(out, "reloads", v->reloads);
	json_u64(out, "reloads_failed", v->reloads_failed);
	json_bool(out, "last_reload_ok", v->reload_ok);
	json_time(out, "last_reload", v->reload_real_ms);
	json_u64(out, "crashes", v->crashes);
	json_u64(out, "stalls", v->stalls);
	json_u64(out, "lock_repairs", v->lock_repairs);
	if (v->channels.ring_bytes > 0)
		json_channels(out, &v->channels);
	json_close(out, '}');
}

static void
json_cluster(struct buf *out, const struct stats_cluster *c)
{
	buf_add(out, STR(",\"cluster\":{"));
#define X(field, family, type, help) json_u64(out, #field, c->field);
	STATS_CLUSTER(X)
#undef X
	json_close(out, '}');
}

static void
json_worker(
    struct buf *out, const struct stats_view *v, const struct stats_worker *w)
{
	int64_t now_ms = v->started_real_ms + (int64_t)v->uptime_ms;
	int64_t up_ms = now_ms - w->started_real_ms;

	if (up_ms < 0)
		up_ms = 0;
	buf_add_byte(out, '{');
	json_u64(out, "index", w->index);
	json_u64(out, "generation", w->generation);
	json_u64(out, "pid", (uint64_t)w->pid);
	buf_printf(out, "\"state\":\"%s\",", worker_state_name(w->state));
	if (w->cpu >= 0)
		json_u64(out, "cpu", (uint64_t)w->cpu);
	else
		buf_add(out, STR("\"cpu\":null,"));
	json_time(out, "started", w->started_real_ms);
	json_u64(out, "uptime_ms", (uint64_t)up_ms);
	json_u64(out, "heartbeat_age_ms", w->heartbeat_age_ms);
	json_u64(out, "restarts", w->restarts);
	json_stats(out, &w->stats, (uint64_t)up_ms);
	if (v->names != NULL)
		json_modules(out, &w->stats, v->names);
	json_close(out, '}');
	buf_add_byte(out, ',');
}

void
stats_print_json(const struct stats_view *view, struct buf *out)
{
	buf_add_byte(out, '{');
	json_server(out, view);
	if (view->cluster.is_configured)
		json_cluster(out, &view->cluster);
	buf_add(out, STR(",\"total\":{"));
	json_stats(out, &view->total, view->uptime_ms);
	if (view->names != NULL)
		json_modules(out, &view->total, view->names);
	json_close(out, '}');
	buf_add(out, STR(",\"workers\":["));
	for (size_t i = 0; i < view->worker_count; i++)
		json_worker(out, view, &view->workers[i]);
	json_close(out, ']');
	buf_add(out, STR("}\n"));
}
