/* SPDX-License-Identifier: MIT */
/*
 * Ways to kill a worker, one for each route, and what is said of it: GET
 * /reports answers with the crash that this worker was told of; GET /count
 * counts, in a counter and a histogram of its own.
 */
#include <corelane/corelane.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct deadly {
	struct lane_counter *counts;
	struct lane_histogram *times;
	char report[512];
};

/* Volatile: a compiler that knows what is done here needn't do it. */
static int *volatile nowhere;
static void (*volatile nothing)(void);
static volatile int zero;

static int
run_null(struct lane_ctx *c)
{
	*nowhere = 1;
	return 204;
}

static int
run_call(struct lane_ctx *c)
{
	nothing();
	return 204;
}

static int
run_abort(struct lane_ctx *c)
{
	abort();
}

static int
run_divide(struct lane_ctx *c)
{
	return 200 / zero;
}

static int
run_exit(struct lane_ctx *c)
{
	exit(3);
}

static int
run_endless(struct lane_ctx *c)
{
	while (zero == 0)
		continue;
	return 204;
}

/* Each turn's array is used after the next turn: no tail call.  It would end,
 * far below any stack. */
static int
dig(int depth)
{
	volatile char pit[4096];

	pit[depth % 4096] = (char)depth;
	if (depth < 0)
		return 204;
	return dig(depth + 1) + pit[depth % 4096];
}

static int
run_overflow(struct lane_ctx *c)
{
	return dig(zero);
}

static void
pool_null(void *state)
{
	*nowhere = 1;
}

static void
pool_overflow(void *state)
{
	dig(zero);
}

static int
pool_done(struct lane_ctx *c, void *state)
{
	return 204;
}

static int
run_pool(struct lane_ctx *c)
{
	return lane_offload(c, pool_null, pool_done, NULL);
}

static int
run_pool_overflow(struct lane_ctx *c)
{
	return lane_offload(c, pool_overflow, pool_done, NULL);
}

static int
late_done(struct lane_ctx *c, void *state)
{
	*nowhere = 1;
	return 204;
}

static int
run_late(struct lane_ctx *c)
{
	return lane_after(c, 1, late_done, NULL);
}

/* The same from a socket, by what it is told. */
static int
socket_message(struct lane_ctx *c, struct lane_socket *s, struct lane_str data,
    bool is_text)
{
	if (lane_str_eq(data, LANE_STR("later")))
		return lane_after(c, 1, late_done, NULL);
	if (lane_str_eq(data, LANE_STR("pool")))
		return lane_offload(c, pool_null, pool_done, NULL);
	if (lane_str_eq(data, LANE_STR("close")))
		lane_socket_close(s, 1000, "");
	else
		*nowhere = 1;
	return 200;
}

static void
socket_close(struct lane_ctx *c, struct lane_socket *s, unsigned code,
    struct lane_str reason)
{
	*nowhere = 1;
}

static const struct lane_socket_handler deadly_socket = {
    .message = socket_message, .close = socket_close};

static int
run_reports(struct lane_ctx *c)
{
	const struct deadly *d = lane_state(c);

	return lane_send(c, 200, "text/plain", lane_str_of(d->report));
}

static int
run_count(struct lane_ctx *c)
{
	const struct deadly *d = lane_state(c);

	lane_count(d->counts, 2);
	lane_observe_us(d->times, 1500);
	return 204;
}

static int
run_figures(struct lane_ctx *c)
{
	struct lane_figures f;

	lane_figures(c, &f);
	return lane_send(c, 200, "text/plain",
	    lane_format(c, "%u %llu", f.workers,
		(unsigned long long)f.connections_active));
}

static int
deadly_report(struct lane_ctx *c, const struct lane_crash *crash)
{
	struct deadly *d = lane_state(c);

	snprintf(d->report, sizeof(d->report),
	    "worker %u signal %d code %d "
	    "at %llx in %.*s id %.*s phase %.*s",
	    crash->worker, crash->signal, crash->exit_code,
	    (unsigned long long)crash->fault_address, LANE_FMT(crash->request),
	    LANE_FMT(crash->request_id), LANE_FMT(crash->phase));
	return 200;
}

static int
deadly_init(struct lane_init *in)
{
	struct deadly *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return lane_init_fail(in, NULL, "out of memory");
	lane_init_state(in, d);
	d->counts = lane_counter(in, "counts_total", "what was counted");
	d->times = lane_histogram(in, "times", "what was observed");
	/* The server's own, and one of another kind. */
	if (lane_counter(in, "times", "taken") != NULL)
		return lane_init_fail(in, NULL, "a name of two kinds");
	return 0;
}

static const struct lane_route routes[] = {
    {.name = "null", .path = "/null/{id}", .run = run_null},
    {.name = "call", .path = "/call", .run = run_call},
    {.name = "abort", .path = "/abort", .run = run_abort},
    {.name = "divide", .path = "/divide", .run = run_divide},
    {.name = "exit", .path = "/exit", .run = run_exit},
    {.name = "endless", .path = "/endless", .run = run_endless},
    {.name = "overflow", .path = "/overflow", .run = run_overflow},
    {.name = "pool", .path = "/pool", .run = run_pool},
    {.name = "pool_overflow",
	.path = "/pool_overflow",
	.run = run_pool_overflow},
    {.name = "socket", .path = "/socket", .websocket = &deadly_socket},
    {.name = "late", .path = "/late", .run = run_late},
    {.name = "reports", .path = "/reports", .run = run_reports},
    {.name = "count", .path = "/count", .run = run_count},
    {.name = "figures", .path = "/figures", .run = run_figures}, {0}};

LANE_MODULE(.name = "deadly", .routes = routes, .init = deadly_init,
    .fini = free, .on_crash_report = deadly_report);
