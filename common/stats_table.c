/* SPDX-License-Identifier: MIT */
/*
 * The view as the table of `corelane status`: a few lines on the server, then
 * one per worker, in units that people read.
 *
 * Owns nothing.
 * Here: columns and units.  Not here: colours, refreshing (workers/cli.c).
 * Context: any process, on a private copy of the view.
 */
#include "common/stats.h"

#include <inttypes.h>
#include <stdio.h>

#define TABLE_CELL_BYTES 24

/* One rendered cell: a value that printf's %s takes. */
struct table_cell {
	char text[TABLE_CELL_BYTES];
};

/* "3d04h", "4h05m", "5m06s", "7s": the two units that matter. */
static struct table_cell
table_duration(uint64_t ms)
{
	struct table_cell c;
	uint64_t s = ms / 1000;

	if (s >= 86400)
		snprintf(c.text, sizeof(c.text), "%" PRIu64 "d%02uh",
		    s / 86400, (unsigned)(s / 3600 % 24));
	else if (s >= 3600)
		snprintf(c.text, sizeof(c.text), "%uh%02um",
		    (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
	else if (s >= 60)
		snprintf(c.text, sizeof(c.text), "%um%02us",
		    (unsigned)(s / 60), (unsigned)(s % 60));
	else
		snprintf(c.text, sizeof(c.text), "%us", (unsigned)s);
	return c;
}

/* "950us", "12.3ms", "4.56s". */
static struct table_cell
table_latency(uint64_t us)
{
	struct table_cell c;

	if (us < 1000)
		snprintf(c.text, sizeof(c.text), "%uus", (unsigned)us);
	else if (us < 1000000)
		snprintf(c.text, sizeof(c.text), "%.1fms", (double)us / 1e3);
	else
		snprintf(c.text, sizeof(c.text), "%.2fs", (double)us / 1e6);
	return c;
}

/* "-" where nothing has been measured: 0 would be a fine latency. */
static struct table_cell
table_quantile(const struct histogram *h, double q)
{
	static const struct table_cell none = {"-"};

	return h->count == 0 ? none :
	    table_latency(histogram_quantile_us(h, q));
}

/* Scales by `step` until the number is short: "999", "12.3k", "4.5GiB". */
static struct table_cell
table_scaled(uint64_t value, unsigned step, const char *const units[])
{
	struct table_cell c;
	double scaled = (double)value;
	size_t i = 0;

	while (scaled >= step && units[i + 1] != NULL) {
		scaled /= step;
		i++;
	}
	if (i == 0)
		snprintf(c.text, sizeof(c.text), "%u%s", (unsigned)value,
		    units[0]);
	else
		snprintf(c.text, sizeof(c.text), "%.1f%s", scaled, units[i]);
	return c;
}

static struct table_cell
table_count(uint64_t value)
{
	static const char *const units[] = {"", "k", "M", "G", "T", NULL};

	return table_scaled(value, 1000, units);
}

static struct table_cell
table_bytes(uint64_t value)
{
	static const char *const units[] =
	    {"B", "KiB", "MiB", "GiB", "TiB", NULL};

	return table_scaled(value, 1024, units);
}

/* A worker has measured itself after its first tick. */
static struct table_cell
table_memory(uint64_t bytes)
{
	static const struct table_cell none = {"-"};

	return bytes == 0 ? none : table_bytes(bytes);
}

static struct table_cell
table_cpu(int cpu)
{
	struct table_cell c = {"-"};

	if (cpu >= 0)
		snprintf(c.text, sizeof(c.text), "%d", cpu);
	return c;
}

static void
table_reload(const struct stats_view *v, int64_t now_ms, struct buf *out)
{
	int64_t ago_ms = now_ms - v->reload_real_ms;

	buf_printf(out, "reloads     %" PRIu64 " succeeded, %" PRIu64
	    " failed", v->reloads, v->reloads_failed);
	if (v->reload_real_ms != 0)
		buf_printf(out, "; the last one %s %s ago",
		    v->reload_ok ? "succeeded" : "FAILED",
		    table_duration(ago_ms > 0 ? (uint64_t)ago_ms : 0).text);
	buf_add_byte(out, '\n');
}

static void
table_server(const struct stats_view *v, int64_t now_ms, struct buf *out)
{
	unsigned serving = 0;

	for (size_t i = 0; i < v->worker_count; i++)
		serving += v->workers[i].state == WORKER_SERVING;
	buf_printf(out, "corelane    %s, pid %ld, up %s, generation %u%s\n",
	    CORELANE_VERSION, (long)v->supervisor_pid,
	    table_duration(v->uptime_ms).text, v->generation,
	    v->draining ? ", STOPPING" : "");
	buf_printf(out, "workers     %u of %u serving, %" PRIu64 " crash%s, %"
	    PRIu64 " stall%s\n", serving, v->workers_wanted, v->crashes,
	    v->crashes == 1 ? "" : "es", v->stalls,
	    v->stalls == 1 ? "" : "s");
	table_reload(v, now_ms, out);
}

static void
table_channels(const struct channel_log_figures *f, struct buf *out)
{
	buf_printf(out, "channels    %s of %s, %s messages, log %s of %s\n",
	    table_count(f->channels).text, table_count(f->channels_max).text,
	    table_count(f->messages).text, table_bytes(f->ring_used).text,
	    table_bytes(f->ring_bytes).text);
}

static void
table_total(const struct stats *s, uint64_t up_ms, struct buf *out)
{
	const struct histogram *h = &s->request_time;
	double per_s = up_ms > 0 ? 1000.0 * (double)s->requests /
	    (double)up_ms : 0.0;

	buf_printf(out, "requests    %s (%.1f/s), %s 4xx, %s 5xx, "
	    "%s in flight\n", table_count(s->requests).text, per_s,
	    table_count(s->responses_4xx).text,
	    table_count(s->responses_5xx).text,
	    table_count(s->requests_active).text);
	buf_printf(out, "latency     p50 %s, p90 %s, p99 %s, max %s\n",
	    table_quantile(h, 0.50).text,
	    table_quantile(h, 0.90).text,
	    table_quantile(h, 0.99).text,
	    table_quantile(h, 1.0).text);
	buf_printf(out, "connections %s open, %s accepted, %s refused\n",
	    table_count(s->connections_active + s->tcp_active).text,
	    table_count(s->connections).text,
	    table_count(s->connections_refused).text);
	buf_printf(out, "traffic     %s in, %s out\n",
	    table_bytes(s->bytes_in).text, table_bytes(s->bytes_out).text);
}

static void
table_cluster(const struct stats_cluster *c, struct buf *out)
{
	buf_printf(out, "cluster     %s, %s sent, %s received, %s waiting, "
	    "%s dropped, %s missed\n",
	    c->connected ? "connected" : "NOT CONNECTED",
	    table_count(c->sent).text, table_count(c->received).text,
	    table_count(c->lag_messages).text, table_count(c->dropped).text,
	    table_count(c->missed).text);
}

static void
table_worker(const struct stats_worker *w, int64_t now_ms, struct buf *out)
{
	const struct stats *s = &w->stats;
	const struct histogram *h = &s->request_time;
	int64_t up_ms = now_ms - w->started_real_ms;

	buf_printf(out, "%6u %4u %8ld %-9s %4s %7s %8" PRIu64
	    " %7s %8s %7s %8s %8s %9s\n", w->index, w->generation, (long)w->pid,
	    worker_state_name(w->state), table_cpu(w->cpu).text,
	    table_duration(up_ms > 0 ? (uint64_t)up_ms : 0).text, w->restarts,
	    table_count(s->connections_active + s->tcp_active).text,
	    table_count(s->requests).text, table_count(s->responses_5xx).text,
	    table_quantile(h, 0.50).text,
	    table_quantile(h, 0.99).text,
	    table_memory(s->memory_bytes).text);
}

void
stats_print_table(const struct stats_view *view, struct buf *out)
{
	int64_t now_ms = view->started_real_ms + (int64_t)view->uptime_ms;

	table_server(view, now_ms, out);
	table_total(&view->total, view->uptime_ms, out);
	if (view->channels.channels > 0)
		table_channels(&view->channels, out);
	if (view->cluster.is_configured)
		table_cluster(&view->cluster, out);
	buf_printf(out, "\n%6s %4s %8s %-9s %4s %7s %8s %7s %8s %7s %8s %8s "
	    "%9s\n", "worker", "gen", "pid", "state", "cpu", "up", "restarts",
	    "conns", "requests", "5xx", "p50", "p99", "memory");
	for (size_t i = 0; i < view->worker_count; i++)
		table_worker(&view->workers[i], now_ms, out);
}
