/* SPDX-License-Identifier: MIT */
/*
 * <corelane/async.h>, but for what has a file of its own: handles (handle.c),
 * sub-requests (fetch.c), and trying again (retry.c).
 *
 * Owns nothing: what waits is in its context's arena.  Invariant: a job that a
 * thread works on holds its context's memory until it has come back.
 * Here: memory, the pool, timers, tasks, time, the log.  Not here: when a
 * context ends (ctx.c).
 * Context: a worker's loop; work() on a thread of the pool.
 *	handlers/module.c -> module code -> [api_async.c] -> offload.c, alarm.c
 */
#include <corelane/corelane.h>

#include <errno.h>
#include <stdio.h>

#include "common/log.h"
#include "server/alarm.h"
#include "server/ctx.h"
#include "server/flight.h"
#include "server/internal.h"
#include "server/module.h"
#include "server/offload.h"
#include "server/request.h"
#include "server/socket.h"

#define LOG_MESSAGE_BYTES 3072

void *
lane_alloc(struct lane_ctx *c, size_t bytes)
{
	return arena_zalloc(c->arena, bytes);
}

struct lane_str
lane_copy(struct lane_ctx *c, struct lane_str s)
{
	return lane_of(arena_copy(c->arena, str_of_lane(s)));
}

struct lane_str
lane_format(struct lane_ctx *c, const char *fmt, ...)
{
	struct str text;
	va_list ap;

	va_start(ap, fmt);
	text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return lane_of(text);
}

int
lane_defer(struct lane_ctx *c, void (*fn)(void *ptr), void *ptr)
{
	return arena_defer(c->arena, fn, ptr) == 0 ? 0 : -ENOMEM;
}

/* A queue is full: who comes back in a second may be luckier. */
int
ctx_busy(struct lane_ctx *c, const char *reason)
{
	if (c->request == NULL)
		return -EAGAIN;
	return lane_fail_with(c,
	    &(struct lane_problem){.status = 503,
		.message = lane_of(str_of(reason)),
		.retry_after_s = 1});
}

struct work {
	struct offload_job job; /* first */
	struct op op;
	void (*work)(void *state);
	lane_done_fn done;
	void *state;
	struct recorder *recorder; /* NULL: none */
	struct recorder_note note; /* what this thread is at, then */
};

static void
work_run(struct offload_job *job)
{
	struct work *w = (struct work *)job;
	struct recorder_record *record = NULL;

	if (w->recorder != NULL)
		record = recorder_thread_begin(
		    w->recorder, &w->note, clock_now_ns());
	w->work(w->state);
	recorder_thread_end(record);
}

static void
work_done(struct offload_job *job)
{
	struct work *w = (struct work *)job;
	struct lane_ctx *c = w->op.ctx;

	if (w->op.prev == NULL) {
		ctx_release(c); /* cancelled meanwhile; `w` may go, too */
		return;
	}
	op_finish(&w->op);
	ctx_release(c);
	CTX_CALL(c, w->done(c, w->state));
}

static void
work_on_cancel(struct op *op)
{
	struct work *w =
	    (struct work *)((char *)op - offsetof(struct work, op));

	if (offload_cancel(op->ctx->srv->offload, &w->job))
		ctx_release(op->ctx);
}

static struct offload_line *
work_line(struct lane_ctx *c)
{
	if (c->line == NULL)
		c->line = lane_alloc(c, sizeof(*c->line));
	return c->line;
}

int
lane_offload(struct lane_ctx *c, void (*work)(void *state), lane_done_fn done,
    void *state)
{
	struct offload_line *line;
	struct work *w;
	int rc;

	if (!ctx_may_wait(c))
		return -ECANCELED;
	line = work_line(c);
	w = lane_alloc(c, sizeof(*w));
	if (line == NULL || w == NULL)
		return -ENOMEM;
	if (c->srv->offload == NULL) {
		lane_log(c, LANE_ERROR,
		    "lane_offload(): there are no threads:"
		    " offload_threads is 0");
		return ctx_busy(c, "no threads for this work");
	}
	w->job.work = work_run;
	w->job.done = work_done;
	w->work = work;
	w->done = done;
	w->state = state;
	w->recorder = c->srv->recorder;
	if (w->recorder != NULL)
		flight_note(c, &w->note);
	rc = offload_submit(c->srv->offload, line, &w->job);
	if (rc == -EAGAIN)
		return ctx_busy(c, "too much work is waiting");
	if (rc < 0)
		return rc;
	ctx_hold(c);
	op_start(c, &w->op, work_on_cancel);
	return LANE_ASYNC;
}

struct nap {
	struct alarm alarm; /* first */
	struct op op;
	lane_done_fn done;
	void *state;
};

static void
nap_on_alarm(struct alarm *alarm)
{
	struct nap *n = (struct nap *)alarm;
	struct lane_ctx *c = n->op.ctx;

	op_finish(&n->op);
	CTX_CALL(c, n->done(c, n->state));
}

static void
nap_on_cancel(struct op *op)
{
	struct nap *n = (struct nap *)((char *)op - offsetof(struct nap, op));

	alarm_clear(op->ctx->srv->alarms, &n->alarm);
}

int
lane_after(struct lane_ctx *c, unsigned ms, lane_done_fn done, void *state)
{
	struct nap *n;

	if (!ctx_may_wait(c))
		return -ECANCELED;
	n = lane_alloc(c, sizeof(*n));
	if (n == NULL)
		return -ENOMEM;
	n->alarm.fn = nap_on_alarm;
	n->done = done;
	n->state = state;
	op_start(c, &n->op, nap_on_cancel);
	alarm_set(c->srv->alarms, &n->alarm, ms);
	return LANE_ASYNC;
}

int
lane_spawn(struct lane_ctx *c, lane_done_fn fn, void *state)
{
	return ctx_spawn(c->srv, c->module, fn, state, NULL, NULL);
}

uint64_t
lane_clock_us(void)
{
	return clock_now_ns() / 1000;
}

int64_t
lane_now_ms(struct lane_ctx *c)
{
	return (int64_t)c->srv->clock.mono_ms;
}

int64_t
lane_time_s(struct lane_ctx *c)
{
	return c->srv->clock.real_s;
}

/* What names the context in the log: " (request 0123...)". */
static struct str
log_request(struct lane_ctx *c, char *text, size_t size)
{
	int len = 0;

	text[0] = '\0';
	if (c->request != NULL) {
		request_give_id(c->request);
		len = snprintf(
		    text, size, " (request %.*s)", STR_FMT(c->request->id));
	} else if (c->socket != NULL) {
		len = snprintf(text, size, " (socket %llu)",
		    (unsigned long long)c->socket->id);
	}
	return str_from(text, (size_t)len < size ? (size_t)len : size - 1);
}

void
lane_log(struct lane_ctx *c, enum lane_log_level level, const char *fmt, ...)
{
	static const enum log_level levels[] = {[LANE_DEBUG] = LOG_DEBUG,
	    [LANE_INFO] = LOG_INFO,
	    [LANE_WARN] = LOG_WARN,
	    [LANE_ERROR] = LOG_ERROR};
	char message[LOG_MESSAGE_BYTES], request[160];
	struct str module =
	    c->module != NULL ? c->module->config->name : STR("module");
	va_list ap;

	if ((unsigned)level > LANE_ERROR)
		level = LANE_ERROR;
	if (!log_is_enabled(levels[level]))
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	log_write(levels[level], "%.*s: %s%.*s", STR_FMT(module), message,
	    STR_FMT(log_request(c, request, sizeof(request))));
}
