/* SPDX-License-Identifier: MIT */
/*
 * "module.name": the handlers and the middleware of modules.
 *
 * Owns a middleware's options.  Invariant: module code runs between ctx_enter()
 * and ctx_leave(), and what it returns is looked at by ctx_result() or
 * ctx_take().
 *
 * Here: calling.  Not here: loading (module.c), what a module calls (api_*.c).
 * Context: the loop's thread.  pipeline.c -> [handlers/module.c] -> ctx.c
 */
#include "server/module.h"

#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "config/node.h"
#include "server/args.h"
#include "server/ctx.h"
#include "server/handler.h"
#include "server/internal.h"
#include "server/middleware.h"
#include "server/stream.h"

static int
module_handler_setup(const struct config_route *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	union {
		const struct module_route *in;
		void *out;
	} route;

	/* The supervisor checks a file without loading anything. */
	if (srv->modules == NULL)
		return 0;
	route.in = module_find_route(srv->modules, cfg->module_handler, err);
	*ret_state = route.out;
	return route.in != NULL ? 0 : -1;
}

static enum handler_body
module_handler_body(const void *state)
{
	const struct module_route *route = state;

	switch (route->def->body) {
	case LANE_BODY_IGNORE:
		return HANDLER_BODY_IGNORE;
	case LANE_BODY_STREAM:
		return HANDLER_BODY_STREAM;
	case LANE_BODY_WHOLE:
		break;
	}
	return HANDLER_BODY_WHOLE;
}

/* A route for sockets alone, and a request that wants none. */
static int
module_refuse_plain(struct request *r, const struct lane_route *def)
{
	if (def->websocket == NULL)
		return response_error(r, 406, "only text/event-stream is here");
	/* RFC 9110 15.5.22: it says to what. */
	(void)response_set(r, STR("Upgrade"), STR("websocket"));
	return response_error(r, 426, def->events == NULL ?
	    "only WebSockets are here" :
	    "only WebSockets and event streams are here");
}

static int
module_handler_run(struct request *r, const void *state)
{
	const struct module_route *route = state;
	struct lane_ctx *c = ctx_of(r);
	uint64_t since;
	int rc;

	if (c == NULL)
		return -ENOMEM;
	c->module = route->module;
	c->route = route;
	if (route->args != NULL && (rc = args_check(c, route->args)) != 0)
		return rc;
	if (socket_is_asked(r, route))
		return socket_run(r, route);
	if (route->def->run == NULL)
		return module_refuse_plain(r, route->def);
	since = ctx_enter(c);
	rc = ctx_result(c, route->def->run(c), true);
	ctx_leave(c, since);
	/* It has answered beside what it began. */
	if (rc != LANE_ASYNC && !stream_is_open(c))
		ctx_cancel(c);
	return rc;
}

/* The content has ended and nobody has answered, nor will. */
static bool
module_is_stuck(const struct lane_ctx *c)
{
	return c->ops == &c->body_op && c->body_op.next == NULL;
}

static size_t
module_handler_on_body(struct request *r, const void *state, struct str piece,
    bool is_last)
{
	const struct module_route *route = state;
	struct lane_ctx *c = r->ctx;
	uint64_t since;
	size_t taken;

	/* It has answered: what still comes is dropped. */
	if (c == NULL || c->body_op.prev == NULL)
		return piece.len;
	c->module = route->module;
	since = ctx_enter(c);
	taken = route->def->on_body(c, lane_of(piece), is_last);
	ctx_leave(c, since);
	if (taken > piece.len)
		taken = piece.len;
	/* Whether anything will go on with an open stream is its business. */
	if (!c->has_finished && is_last && stream_is_open(c)) {
		op_finish(&c->body_op);
		response_wake(r);
	} else if (!c->has_finished && is_last && module_is_stuck(c)) {
		c->has_finished = true;
		c->finish_result = LANE_NEXT;
	}
	if (c->has_finished) {
		op_finish(&c->body_op);
		ctx_take(c, c->finish_result);
	}
	return taken;
}

const struct handler handler_module = {
	.name = "module",
	.methods = METHOD_ALL & ~METHOD_BIT(METHOD_OPTIONS),
	.setup = module_handler_setup,
	.body = module_handler_body,
	.run = module_handler_run,
	.on_body = module_handler_on_body,
};

/* Middleware. */

static int
module_use_options(struct module_use *use, const struct config_middleware *cfg,
    struct server *srv, struct error *err)
{
	struct config_problems problems = {0};

	if (use->def->config == NULL &&
	    (cfg->config == NULL || cfg->config->child == NULL))
		return 0;
	use->options = args_from_node(&use->arena, &(struct args_source){
	    .fields = use->def->config, .node = cfg->config,
	    .config = srv->config, .pos = cfg->pos, .path = NULL,
	    .problems = &problems});
	if (use->options == NULL)
		error_set(err, ERROR_INVALID, "%s", problems.count > 0
		    ? problems.item[0] : "out of memory");
	config_problems_done(&problems);
	return use->options != NULL ? 0 : -1;
}

static void
module_use_free(void *state)
{
	struct module_use *use = state;

	arena_done(&use->arena);
	free(use);
}

static int
module_use_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct module_use *use;

	if (srv->modules == NULL)
		return 0;
	use = calloc(1, sizeof(*use));
	if (use == NULL)
		return error_nomem(err, "middleware");
	arena_init(&use->arena, NULL);
	use->def = module_find_middleware(srv->modules, cfg->module_middleware,
	    &use->module, err);
	if (use->def == NULL || module_use_options(use, cfg, srv, err) == -1) {
		module_use_free(use);
		return -1;
	}
	*ret_state = use;
	return 0;
}

static int
module_use_before(struct request *r, const void *state)
{
	const struct module_use *use = state;
	struct lane_ctx *c;
	uint64_t since;
	int rc;

	if (use->def->before == NULL)
		return REQUEST_NEXT;
	c = ctx_of(r);
	if (c == NULL)
		return -ENOMEM;
	c->module = use->module;
	c->options = use->options;
	since = ctx_enter(c);
	rc = use->def->before(c);
	ctx_leave(c, since);
	return ctx_result(c, rc, false);
}

static void
module_tell_after(const struct module_use *use, struct request *r)
{
	r->srv->stats->handler_errors++;
	request_give_id(r);
	log_error("%.*s %.*s: route %.*s: the after hook of %.*s.%s answered, "
	    "which is too late (request %.*s)", STR_FMT(r->head->method_name),
	    STR_FMT(request_log_target(r)), STR_FMT(request_route(r)),
	    STR_FMT(use->module->config->name), use->def->name,
	    STR_FMT(r->id));
}

static void
module_use_after(struct request *r, const void *state)
{
	const struct module_use *use = state;
	struct lane_ctx *c = use->def->after != NULL ? ctx_of(r) : NULL;
	uint64_t since;

	if (c == NULL)
		return;
	c->module = use->module;
	c->options = use->options;
	/* The response is complete, whoever has made it. */
	c->is_answered = true;
	c->is_answered_twice = false;
	since = ctx_enter(c);
	use->def->after(c);
	ctx_leave(c, since);
	if (c->is_answered_twice)
		module_tell_after(use, r);
}

const struct middleware middleware_module = {
	.name = "module",
	.setup = module_use_setup,
	.teardown = module_use_free,
	.before = module_use_before,
	.after = module_use_after,
};
