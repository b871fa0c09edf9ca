/* SPDX-License-Identifier: MIT */
/*
 * Contexts and their operations: see ctx.h.
 *
 * Owns: background contexts; a request's is in its arena.
 * Invariant: a context whose LANE_ASYNC was accepted has an operation under
 * way; no continuation runs after its context has ended.
 * Here: who waits for what, and how it ends.  Not here: what is waited for
 * (api_async.c, fetch.c, db/), the phases of a request (pipeline.c).
 * Context: a worker's loop.  pipeline.c -> handlers/module.c -> [ctx.c]
 */
#include "server/ctx.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "server/flight.h"
#include "server/internal.h"
#include "server/module.h"
#include "server/request.h"
#include "server/retry.h"
#include "server/socket.h"
#include "server/spool.h"
#include "server/stream.h"

struct lane_ctx *
ctx_of(struct request *r)
{
	struct lane_ctx *c = r->ctx;

	if (c != NULL)
		return c;
	c = arena_zalloc(&r->arena, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->srv = r->srv;
	c->request = r;
	c->arena = &r->arena;
	r->ctx = c;
	return c;
}

/* Operations. */

void
op_start(struct lane_ctx *c, struct op *op, void (*cancel)(struct op *))
{
	assert(ctx_may_wait(c));
	op->ctx = c;
	op->module = c->module;
	op->retry = c->retry;
	op->cancel = cancel;
	op->next = c->ops;
	op->prev = &c->ops;
	if (c->ops != NULL)
		c->ops->prev = &op->next;
	c->ops = op;
}

void
op_finish(struct op *op)
{
	if (op->prev == NULL)
		return;
	*op->prev = op->next;
	if (op->next != NULL)
		op->next->prev = op->prev;
	op->prev = NULL;
	op->ctx->module = op->module;
	op->ctx->retry = op->retry;
}

void
ctx_cancel(struct lane_ctx *c)
{
	struct op *op;

	while ((op = c->ops) != NULL) {
		op_finish(op);
		op->cancel(op);
	}
	c->retry = NULL;
}

/* The coarse clock is good for what lasts 50 ms, and costs 5 ns. */
static uint64_t
ctx_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static struct str
ctx_module_name(const struct lane_ctx *c)
{
	return c->module != NULL ? c->module->config->name : STR("the server");
}

uint64_t
ctx_enter(struct lane_ctx *c)
{
	c->is_running = true;
	/* What the pipeline runs it records itself. */
	if (c->socket != NULL)
		flight_enter_socket(c->srv, c->socket->site);
	else if (c->request == NULL)
		flight_enter_task(c->srv, ctx_module_name(c));
	else if (!c->request->is_running)
		flight_enter(c->request, RECORD_HANDLER);
	return ctx_now_ns();
}

static void
ctx_tell_stall(struct lane_ctx *c, uint64_t held_ms)
{
	const struct request *r = c->request;
	struct str name = c->route != NULL ? c->route->name
	    : c->module != NULL ? c->module->config->name : STR("a module");

	c->srv->stats->loop_stalls++;
	if (r == NULL)
		log_warn("%.*s held the loop for %llu ms: long work belongs on "
		    "the pool (lane_offload)", STR_FMT(name),
		    (unsigned long long)held_ms);
	else
		log_warn("%.*s held the loop for %llu ms in %.*s %.*s: long "
		    "work belongs on the pool (lane_offload)", STR_FMT(name),
		    (unsigned long long)held_ms, STR_FMT(r->head->method_name),
		    STR_FMT(r->head->path));
}

void
ctx_leave(struct lane_ctx *c, uint64_t since_ns)
{
	uint64_t held_ms = (ctx_now_ns() - since_ns) / 1000000;

	c->is_running = false;
	if (c->request == NULL)
		flight_leave_task(c->srv);
	else if (c->request->phase == PHASE_SEND && !c->request->is_running)
		flight_end(c->request);	/* a stream that is slow isn't stuck */
	else if (!c->request->is_running)
		flight_leave(c->request);
	if (held_ms >= LOOP_STALL_MS)
		ctx_tell_stall(c, held_ms);
}

/* INT_MIN has no positive. */
static bool
ctx_is_errno(int result)
{
	return result < 0 && result > INT_MIN &&
	    strerrordesc_np(-result) != NULL;
}

/* What module code returned: its mistakes get a text for the log. */
static const char *
ctx_mistake(struct lane_ctx *c, int result, bool may_go_on)
{
	struct str text;

	if (c->is_answered_twice)
		return "answered twice";
	if (result == LANE_ASYNC)
		return c->ops != NULL ? NULL
		    : "returned LANE_ASYNC with nothing under way";
	if (result == LANE_NEXT)
		return may_go_on ? NULL : "returned without an answer";
	if ((result >= 200 && result <= 599) || ctx_is_errno(result))
		return NULL;
	text = arena_printf(c->arena,
	    "returned %d, which is neither a status nor an errno", result);
	return text.p != NULL ? text.p
	    : "returned what is neither a status nor an errno";
}

int
ctx_result(struct lane_ctx *c, int result, bool is_handler)
{
	const char *mistake = ctx_mistake(c, result, !is_handler);

	if (mistake != NULL) {
		c->mistake = mistake;
		c->is_answered_twice = false;
		result = -EPROTO;
	}
	if (stream_is_open(c))
		result = stream_result(c, result);
	/* It is settled: what is still under way mustn't go on. */
	if (result != LANE_ASYNC && c->ops != NULL && !stream_is_open(c))
		ctx_cancel(c);
	return result;
}

/* Background tasks. */

static void
ctx_free_memory(struct lane_ctx *c)
{
	struct pool *contexts = &c->srv->contexts;
	bool is_task = c->is_task;
	struct arena arena;

	/* They may allocate, and defer more. */
	arena_run_defers(&c->own);
	spool_free(c->spool);
	arena = c->own;
	arena_done(&arena);	/* a request's context lies in it */
	if (is_task)
		pool_put(contexts, c);
}

static void
ctx_end_task(struct lane_ctx *c, int result)
{
	ctx_cancel(c);
	*c->prev_task = c->next_task;
	if (c->next_task != NULL)
		c->next_task->prev_task = c->prev_task;
	if (result < 0 && result != -ECANCELED && c->socket == NULL)
		log_error("%s: a background task failed: %s",
		    c->module != NULL ? c->module->config->name.p : "server",
		    c->mistake != NULL ? c->mistake : strerror(-result));
	if (c->on_end != NULL)
		c->on_end(c, result, c->on_end_arg);
	c->is_ended = true;
	if (c->hold_count == 0)
		ctx_free_memory(c);
}

void
ctx_abort(struct lane_ctx *c)
{
	ctx_end_task(c, -ECANCELED);
}

static void
ctx_take_task(struct lane_ctx *c, int result)
{
	const char *mistake = ctx_mistake(c, result, true);

	if (mistake == NULL && result == LANE_ASYNC)
		return;
	if (mistake != NULL) {
		c->mistake = mistake;
		result = -EPROTO;
	}
	ctx_end_task(c, result);
}

void
ctx_take(struct lane_ctx *c, int result)
{
	struct request *r = c->request;

	if (c->is_ended || retry_take(c, result))
		return;
	if (c->is_task) {
		ctx_take_task(c, result);
		return;
	}
	if (r->phase == PHASE_SEND) {
		if (stream_is_open(c))
			stream_take(c, result, ctx_mistake(c, result, false));
		return;
	}
	if (result == LANE_ASYNC && c->ops != NULL && !c->is_answered_twice &&
	    !stream_is_open(c))
		return;
	result = ctx_result(c, result,
	    r->pending_from == PHASE_HANDLE && !c->is_authorizing);
	if (c->is_authorizing && result == LANE_NEXT)
		result = socket_accept(c);
	request_resume(r, result);
}

/* Runs the tasks that were spawned; those that these spawn have a turn of their
 * own, so that a chain without end holds nobody up. */
void
ctx_tasks_run(struct server *srv)
{
	struct lane_ctx *c, *next = srv->new_tasks;

	server_wake(srv);
	srv->new_tasks = NULL;
	srv->new_tasks_last = &srv->new_tasks;
	while ((c = next) != NULL) {
		next = c->next_new;
		CTX_CALL(c, c->task(c, c->task_state));
	}
}

static void
ctx_on_tasks(int fd, short what, void *arg)
{
	ctx_tasks_run(arg);
}

int
ctx_tasks_init(struct server *srv)
{
	srv->new_tasks_last = &srv->new_tasks;
	return event_assign(&srv->task_event, srv->base, -1, 0, ctx_on_tasks,
	    srv);
}

void
ctx_tasks_done(struct server *srv)
{
	struct lane_ctx *c;

	/* What is deferred may not spawn more. */
	srv->has_no_tasks = true;
	srv->new_tasks = NULL;
	srv->new_tasks_last = &srv->new_tasks;
	while ((c = srv->tasks) != NULL) {
		ctx_end_task(c, -ECANCELED);
		assert(srv->tasks != c);
	}
	if (srv->base != NULL && event_initialized(&srv->task_event))
		event_del(&srv->task_event);
}

struct lane_ctx *
ctx_begin(struct server *srv, const struct module *module,
    void (*on_end)(struct lane_ctx *c, int result, void *arg), void *arg)
{
	struct lane_ctx *c = pool_get(&srv->contexts);

	if (c == NULL)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->srv = srv;
	c->is_task = true;
	arena_init(&c->own, &srv->arenas);
	c->arena = &c->own;
	c->module = module;
	c->on_end = on_end;
	c->on_end_arg = arg;
	c->next_task = srv->tasks;
	c->prev_task = &srv->tasks;
	if (srv->tasks != NULL)
		srv->tasks->prev_task = &c->next_task;
	srv->tasks = c;
	return c;
}

int
ctx_spawn(struct server *srv, const struct module *module, lane_done_fn fn,
    void *state, void (*on_end)(struct lane_ctx *c, int result, void *arg),
    void *arg)
{
	const struct timeval at_once = {0, 0};
	struct lane_ctx *c;

	if (srv->has_no_tasks)
		return -ECANCELED;
	c = ctx_begin(srv, module, on_end, arg);
	if (c == NULL)
		return -ENOMEM;
	c->task = fn;
	c->task_state = state;
	*srv->new_tasks_last = c;
	srv->new_tasks_last = &c->next_new;
	/* Behind what the sockets have: an active event would go first. */
	if (!event_pending(&srv->task_event, EV_TIMEOUT, NULL))
		event_add(&srv->task_event, &at_once);
	return 0;
}

/* The end of a request, and of what a pool thread kept of it. */

bool
ctx_end(struct lane_ctx *c)
{
	struct request *r = c->request;

	ctx_cancel(c);
	c->is_ended = true;
	c->request = NULL;
	if (c->hold_count == 0)
		return false;
	c->own = r->arena;
	c->arena = &c->own;
	c->spool = r->spool;
	r->spool = NULL;
	return true;
}

void
ctx_hold(struct lane_ctx *c)
{
	c->hold_count++;
}

void
ctx_release(struct lane_ctx *c)
{
	if (--c->hold_count == 0 && c->is_ended)
		ctx_free_memory(c);
}
