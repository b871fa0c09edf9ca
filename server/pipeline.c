/* SPDX-License-Identifier: MIT */
/*
 * READ THIS FIRST: the life of one request.
 *
 * Bytes become a head in http1.c; here the head becomes a response, through
 * route, middleware and handler; http1_send.c turns that into bytes again.
 *
 * Owns nothing: the request owns itself.  Invariant: every request that enters
 * PHASE_ROUTE leaves with exactly one response, or its client is gone.
 * Here: the order of things.  Not here: how any of them is done.
 * Context: a worker's loop.
 *	conn.c -> http1.c -> [pipeline.c] -> handlers/ -> http1_send.c
 */
#include "server/pipeline.h"

#include <errno.h>

#include "common/log.h"
#include "server/conn.h"
#include "server/ctx.h"
#include "server/flight.h"
#include "server/http1.h"
#include "server/internal.h"
#include "server/memo.h"
#include "server/middleware.h"

/* Finds the route, unless this very head has been routed before (memo.h). */
static void
pipeline_route(struct request *r)
{
	struct head *h = r->head;

	if (r->refusal.status != 0 || h->is_asterisk)
		return;
	if (!h->is_routed) {
		route_find(r->service->routes, h->authority, h->path,
		    h->method, &h->match);
		h->is_routed = true;
		memo_offer(r->srv->memo, r->service->key, h);
	}
	if (h->match.result == ROUTE_FOUND)
		r->route = h->match.target;
}

/* A path that is known by other methods has that route's middleware: a CORS
 * preflight asks by OPTIONS, which no route names. */
static const struct chain *
pipeline_chain(const struct request *r)
{
	const struct service_route *near = r->route;

	if (near == NULL && r->head->is_routed)
		near = r->head->match.target;
	return near != NULL ? &near->chain : &r->service->chain;
}

/* Runs the `before` hooks that haven't run; REQUEST_NEXT when all have. */
static int
pipeline_before(struct request *r)
{
	const struct chain *chain = pipeline_chain(r);
	const struct chain_link *link;
	int res = REQUEST_NEXT;

	while (res == REQUEST_NEXT && r->middleware_at < chain->count) {
		link = &chain->link[r->middleware_at++];
		if (link->middleware->before != NULL)
			res = link->middleware->before(r, link->state);
	}
	return res;
}

/* Those whose `before` has run see the response, in reverse. */
static void
pipeline_after(struct request *r)
{
	const struct chain *chain = pipeline_chain(r);
	const struct chain_link *link;
	unsigned i;

	if (r->res.is_error && response_render_error(r) == -1)
		r->res.kind = CONTENT_NONE;
	for (i = r->middleware_at; i-- > 0;) {
		link = &chain->link[i];
		if (link->middleware->after != NULL)
			link->middleware->after(r, link->state);
	}
}

/* "GET, HEAD, OPTIONS": what a path answers to (RFC 9110 10.2.1). */
static void
pipeline_allow(struct request *r, unsigned methods)
{
	struct str list = STR("");
	enum method m;

	for (m = 0; m < METHOD_COUNT; m++) {
		if (methods & METHOD_BIT(m))
			list = arena_printf(&r->arena, "%.*s%s%s",
			    STR_FMT(list), list.len > 0 ? ", " : "",
			    config_method_name(m));
		if (list.p == NULL)
			return;
	}
	(void)response_add_checked(r, STR("Allow"), list);
}

/* What no route answers. */
static int
pipeline_no_route(struct request *r)
{
	unsigned allowed = r->head->match.allowed | METHOD_BIT(METHOD_OPTIONS);

	if (r->refusal.status != 0) {
		response_reset(r);
		return response_error(r, r->refusal.status, r->refusal.reason);
	}
	if (r->head->is_asterisk) {
		pipeline_allow(r, METHOD_ALL);
		return response_empty(r, 204);
	}
	if (r->head->match.result == ROUTE_NONE)
		return response_error(r, 404, "no such resource");
	pipeline_allow(r, allowed);
	if (r->head->method == METHOD_OPTIONS)
		return response_empty(r, 204);
	return response_error(r, 405, "method is not allowed here");
}

static int
pipeline_handle(struct request *r)
{
	r->res.field_base = r->res.field_count;
	if (r->route == NULL || r->refusal.status != 0)
		return pipeline_no_route(r);
	return r->route->handler->run(r, r->route->state);
}

/* "api.user", "static"; or what ran before there was a handler. */
static struct str
pipeline_handler_name(const struct request *r)
{
	if (r->phase == PHASE_BEFORE || r->route == NULL)
		return STR("middleware");
	if (r->route->config->handler == HANDLER_MODULE)
		return r->route->config->module_handler;
	return str_of(r->route->handler->name);
}

/* A handler has failed: the log gets the detail, the client doesn't. */
static __attribute__((noinline, cold)) void
pipeline_fail(struct request *r, int result)
{
	const char *what = result < 0 ? strerrordesc_np(-result) : NULL;
	struct str name = pipeline_handler_name(r);

	if (r->ctx != NULL && r->ctx->mistake != NULL)
		what = r->ctx->mistake;
	if (what == NULL)
		what = "returned without an answer";
	r->srv->stats->handler_errors++;
	request_give_id(r);
	log_error("%.*s %.*s: route %.*s: %.*s: %s (request %.*s)",
	    STR_FMT(r->head->method_name), STR_FMT(request_log_target(r)),
	    STR_FMT(request_route(r)), STR_FMT(name), what, STR_FMT(r->id));
	response_reset(r);
	if (result == -ENOMEM)
		response_error(r, 503, "out of memory");
	else
		response_error(r, 500, "internal error");
}

/* The timeout middleware's, or that of all; one that passed while content came
 * holds for the handler at once. */
void
pipeline_start_deadline(struct request *r)
{
	if (r->deadline_status == 0)
		request_set_deadline(r,
		    (uint64_t)r->srv->config->timeouts.request_ms, 503);
	else if (r->deadline.prev == NULL)
		request_set_deadline(r, 0, r->deadline_status);
}

/* What a hook or a handler returned decides where the request goes. */
static void
pipeline_take(struct request *r, int result)
{
	if (result == REQUEST_PENDING) {
		r->pending_from = r->phase;
		r->phase = PHASE_PENDING;
		/* While content comes, timeouts.body holds. */
		if (!http1_takes_body(r))
			pipeline_start_deadline(r);
	} else if (result == REQUEST_NEXT && r->phase == PHASE_BEFORE) {
		r->phase = PHASE_BODY;
	} else {
		if (result < 200 && r->res.kind != CONTENT_UPGRADE)
			pipeline_fail(r, result);
		else if (r->res.status == 0 && result >= 400)
			response_error(r, result, NULL);
		else
			r->res.status = result;
		r->phase = PHASE_AFTER;
	}
}

void
pipeline_run(struct request *r)
{
	r->is_running = true;
	while (r->phase < PHASE_PENDING) {
		switch (r->phase) {
		case PHASE_ROUTE:
			pipeline_route(r);
			http1_limit_body(r);
			flight_start(r, RECORD_MIDDLEWARE);
			r->phase = PHASE_BEFORE;
			break;
		case PHASE_BEFORE:
			pipeline_take(r, pipeline_before(r));
			break;
		case PHASE_BODY:
			if (!http1_want_body(r))
				goto waits;
			r->phase = PHASE_HANDLE;
			break;
		case PHASE_HANDLE:
			flight_enter(r, RECORD_HANDLER);
			flight_tell_id(r);
			pipeline_take(r, pipeline_handle(r));
			break;
		case PHASE_AFTER:
			flight_enter(r, RECORD_RESPONSE);
			wheel_clear(&r->deadline);
			pipeline_after(r);
			r->phase = PHASE_SEND;
			http1_respond(r);
			flight_end(r);
			goto waits;
		case PHASE_PENDING:
		case PHASE_SEND:
			goto waits;
		}
	}
waits:
	flight_leave(r);
	r->is_running = false;
}

void
request_resume(struct request *r, int result)
{
	if (r->phase != PHASE_PENDING || r->is_running) {
		log_error("%.*s: resumed while it isn't pending",
		    STR_FMT(request_log_target(r)));
		return;
	}
	r->phase = r->pending_from;
	/* The `before` hooks behind the one that waited run now. */
	if (r->phase != PHASE_BEFORE || result != REQUEST_NEXT)
		pipeline_take(r, result);
	conn_continue(r->conn);
}

void
pipeline_cancel(struct request *r)
{
	wheel_clear(&r->deadline);
	if (r->ctx != NULL)
		ctx_cancel(r->ctx);
	if (r->phase == PHASE_PENDING && r->pending_from == PHASE_HANDLE &&
	    r->route->handler->cancel != NULL)
		r->route->handler->cancel(r, r->route->state);
}

void
pipeline_on_deadline(struct wheel_node *node, void *arg)
{
	struct request *r = (struct request *)((char *)node -
	    offsetof(struct request, deadline));

	if (r->phase != PHASE_PENDING)
		return;
	r->srv->stats->timeouts_request++;
	pipeline_cancel(r);
	response_reset(r);
	request_resume(r, response_error(r, r->deadline_status,
	    "the handler took too long"));
}
