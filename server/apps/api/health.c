/* SPDX-License-Identifier: MIT */
/*
 * /api/health and /api/stats: how the machine and the server are.
 *
 * Owns nothing.  Invariant: every figure is measured.
 * Context: a worker's loop; memory_read() on a thread of its pool.
 */
#include <errno.h>
#include <stdio.h>

#include "api.h"

/* The machine's memory, from the kernel. */
struct memory {
	unsigned long long total_kb, available_kb;
};

/* A file of the kernel's still is a file: not for the loop. */
static void
memory_read(void *state)
{
	struct memory *m = state;
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		(void)sscanf(line, "MemTotal: %llu", &m->total_kb);
		(void)sscanf(line, "MemAvailable: %llu", &m->available_kb);
	}
	fclose(f);
}

static void
health_add_memory(struct lane_json_writer *w, const struct memory *m)
{
	unsigned long long used_kb = m->total_kb - m->available_kb;
	double percent = m->total_kb > 0
	    ? 100.0 * (double)used_kb / (double)m->total_kb : 0;

	lane_json_key(w, "memory");
	lane_json_object(w);
	lane_json_add_int(w, "used_mb", (int64_t)(used_kb / 1024));
	lane_json_add_int(w, "available_mb", (int64_t)(m->available_kb / 1024));
	lane_json_add_float(w, "usage_percent", percent);
	lane_json_end(w);
}

static int
health_send(struct lane_ctx *c, void *state)
{
	bool is_ready = lane_database_is_ready(c, NULL);
	struct lane_json_writer *w = lane_json_new(c);
	struct lane_figures now;

	lane_figures(c, &now);
	lane_json_object(w);
	lane_json_add_str(w, "status",
	    is_ready ? LANE_STR("healthy") : LANE_STR("degraded"));
	lane_json_add_int(w, "timestamp", lane_time_s(c));
	health_add_memory(w, state);
	lane_json_key(w, "connections");
	lane_json_object(w);
	lane_json_add_int(w, "active", (int64_t)now.connections_active);
	lane_json_add_int(w, "total_processed", (int64_t)now.requests);
	lane_json_end(w);
	lane_json_add_int(w, "uptime_seconds", (int64_t)now.uptime_s);
	lane_json_end(w);
	return lane_json_send(w, 200);
}

int
health(struct lane_ctx *c)
{
	struct memory *m = lane_alloc(c, sizeof(*m));

	if (m == NULL)
		return -ENOMEM;
	return lane_offload(c, memory_read, health_send, m);
}

static double
ratio(uint64_t part, uint64_t whole)
{
	return whole > 0 ? (double)part / (double)whole : 0;
}

int
stats(struct lane_ctx *c)
{
	struct lane_json_writer *w = lane_json_new(c);
	struct lane_figures now;

	lane_figures(c, &now);
	lane_json_object(w);
	lane_json_add_int(w, "requests", (int64_t)now.requests);
	lane_json_add_int(w, "errors", (int64_t)now.errors);
	lane_json_add_float(
	    w, "error_rate_percent", 100 * ratio(now.errors, now.requests));
	lane_json_add_float(w, "mean_time_ms",
	    ratio(now.request_us_total, now.requests) / 1000);
	lane_json_add_float(
	    w, "requests_per_second", ratio(now.requests, now.uptime_s));
	lane_json_add_int(w, "uptime_seconds", (int64_t)now.uptime_s);
	lane_json_add_int(w, "memory_bytes", (int64_t)now.memory_bytes);
	lane_json_add_int(w, "workers", now.workers);
	lane_json_end(w);
	return lane_json_send(w, 200);
}
