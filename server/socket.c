/* SPDX-License-Identifier: MIT */
/*
 * Sockets of modules: how a request becomes one, and how its callbacks run.
 *
 * Owns: sockets and the table that finds them by their ids.
 * Invariant: a callback runs in a context of its own, and no second one before
 * that has ended; close() runs once for every open(), in no other callback; the
 * table holds what is open and nothing else.
 * Here: life and order.  Not here: what a callback may do (api_realtime.c).
 * Context: a worker's loop.
 *	handlers/module.c -> [socket.c] -> ws.c, sse.c -> [socket.c]
 */
#include "server/socket.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "server/ctx.h"
#include "server/internal.h"
#include "server/module.h"
#include "server/request.h"

#define BUCKETS_FIRST 64

/* Room for the worker's number above what is counted. */
#define ID_WORKER_SHIFT 56

struct socket_table {
	struct lane_socket **bucket;
	size_t bucket_count;		/* a power of two */
	size_t count;
	uint64_t last_id;
};

/* The table.  An id counts on from the microsecond at which the worker began to
 * have sockets, below its number: a worker that comes after it, in this place,
 * begins at a later one. */

static struct socket_table *
table_new(const struct server *srv)
{
	struct socket_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->bucket_count = BUCKETS_FIRST;
	t->bucket = calloc(t->bucket_count, sizeof(*t->bucket));
	if (t->bucket == NULL) {
		free(t);
		return NULL;
	}
	t->last_id = ((uint64_t)srv->worker << ID_WORKER_SHIFT) +
	    (uint64_t)clock_now_real_ms() * 1000;
	return t;
}

static struct lane_socket **
table_bucket(const struct socket_table *t, uint64_t id)
{
	/* Consecutive, so that the low bits spread them. */
	return &t->bucket[id & (t->bucket_count - 1)];
}

/* Twice as many buckets; where there is no memory the lists grow longer. */
static void
table_grow(struct socket_table *t)
{
	struct lane_socket *s, *next, **old = t->bucket, **to;
	size_t i, count = t->bucket_count;

	to = calloc(2 * count, sizeof(*to));
	if (to == NULL)
		return;
	t->bucket = to;
	t->bucket_count = 2 * count;
	for (i = 0; i < count; i++) {
		for (s = old[i]; s != NULL; s = next) {
			next = s->next;
			to = table_bucket(t, s->id);
			s->next = *to;
			*to = s;
		}
	}
	free(old);
}

static void
table_add(struct socket_table *t, struct lane_socket *s)
{
	struct lane_socket **to;

	if (t->count >= t->bucket_count)
		table_grow(t);
	s->id = ++t->last_id;
	to = table_bucket(t, s->id);
	s->next = *to;
	*to = s;
	t->count++;
}

static void
table_remove(struct socket_table *t, struct lane_socket *s)
{
	struct lane_socket **at = table_bucket(t, s->id);

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	t->count--;
}

struct lane_socket *
socket_find(const struct server *srv, uint64_t id)
{
	struct lane_socket *s;

	if (srv->sockets == NULL)
		return NULL;
	s = *table_bucket(srv->sockets, id);
	while (s != NULL && s->id != id)
		s = s->next;
	return s != NULL && socket_session(s) != NULL ? s : NULL;
}

void
socket_done(struct server *srv)
{
	if (srv->sockets == NULL)
		return;
	assert(srv->sockets->count == 0);
	free(srv->sockets->bucket);
	free(srv->sockets);
	srv->sockets = NULL;
}

/* Callbacks. */

struct session *
socket_session(const struct lane_socket *s)
{
	return s->ws != NULL ? ws_session(s->ws) :
	    s->sse != NULL ? sse_session(s->sse) : NULL;
}

static void
socket_close_internal(struct lane_socket *s)
{
	if (s->ws != NULL)
		ws_close(s->ws, WS_CLOSE_INTERNAL, STR("internal error"));
	else if (s->sse != NULL)
		sse_close(s->sse, 0, "its module has failed");
}

void
socket_fail(struct lane_socket *s, const char *what)
{
	s->srv->stats->handler_errors++;
	log_error("route %.*s: %.*s: socket %llu closed: %s",
	    STR_FMT(s->site->config->path), STR_FMT(s->route->name),
	    (unsigned long long)s->id, what);
	socket_close_internal(s);
}

static void socket_drain(struct lane_socket *s);

/* A callback has ended: the next one may run. */
static void
socket_on_end(struct lane_ctx *c, int result, void *arg)
{
	struct lane_socket *s = arg;

	s->ctx = NULL;
	/* Its memory may be kept for a pool thread, and outlive the socket. */
	c->socket = NULL;
	if (socket_session(s) == NULL)
		return;
	if (result < 0)
		socket_fail(s, c->mistake != NULL ? c->mistake :
		    strerror(-result));
	if (s->is_paused) {
		s->is_paused = false;
		session_resume(socket_session(s));
	}
	if (s->is_drained)
		socket_drain(s);
}

static struct lane_ctx *
socket_begin(struct lane_socket *s)
{
	struct lane_ctx *c = ctx_begin(s->srv, s->route->module, socket_on_end,
	    s);

	assert(s->ctx == NULL);
	if (c == NULL) {
		s->srv->stats->memory_errors++;
		socket_close_internal(s);
		return NULL;
	}
	c->route = s->route;
	c->socket = s;
	s->ctx = c;
	return c;
}

/* Behind a callback: while it waits nothing is read, but the close frame that
 * answers ours.  An event stream has no input, and is read from for its end. */
static void
socket_settle(struct lane_socket *s)
{
	if (s->ctx == NULL || s->ws == NULL || !ws_is_open(s->ws))
		return;
	s->is_paused = true;
	session_pause(ws_session(s->ws));
}

static void
socket_open(struct lane_socket *s)
{
	struct lane_ctx *c;

	s->is_open = true;
	table_add(s->srv->sockets, s);
	if (s->handler->open == NULL || (c = socket_begin(s)) == NULL)
		return;
	CTX_CALL(c, s->handler->open(c, s));
	socket_settle(s);
}

static void
socket_message(struct lane_socket *s, struct str data, bool is_text)
{
	struct lane_ctx *c;
	struct str copy;

	if (s->handler->message == NULL || (c = socket_begin(s)) == NULL)
		return;
	/* It came in the read buffer, and the callback may wait. */
	copy = arena_copy(c->arena, data);
	if (copy.p == NULL) {
		ctx_take(c, -ENOMEM);
		return;
	}
	CTX_CALL(c, s->handler->message(c, s, lane_of(copy), is_text));
	socket_settle(s);
}

static void
socket_drain(struct lane_socket *s)
{
	struct lane_ctx *c;

	s->is_drained = s->ctx != NULL;
	if (s->ctx != NULL || s->handler->drain == NULL ||
	    (c = socket_begin(s)) == NULL)
		return;
	CTX_CALL(c, s->handler->drain(c, s));
	socket_settle(s);
}

/* It can't wait, so that it needs no memory: nothing keeps it from running. */
static void
socket_run_close(struct lane_socket *s, unsigned code, struct str reason)
{
	struct lane_ctx c = {.srv = s->srv, .module = s->route->module,
	    .route = s->route, .socket = s, .is_ended = true};
	uint64_t since;

	arena_init(&c.own, &s->srv->arenas);
	c.arena = &c.own;
	since = ctx_enter(&c);
	s->handler->close(&c, s, code, lane_of(reason));
	ctx_leave(&c, since);
	arena_done(&c.own);
}

static void
socket_close(struct lane_socket *s, unsigned code, struct str reason)
{
	assert(s->ctx == NULL || !s->ctx->is_running);
	s->ws = NULL;
	s->sse = NULL;
	if (s->ctx != NULL)
		ctx_abort(s->ctx);
	channel_presence_done(s->srv, &s->presence);
	if (s->is_open && s->handler->close != NULL)
		socket_run_close(s, code, reason);
	else if (s->drop != NULL)
		s->drop(s->state);
	if (s->is_open)
		table_remove(s->srv->sockets, s);
	free(s);
}

/* What ws.c and sse.c call. */

static void
socket_on_ws_open(struct ws *w)
{
	struct lane_socket *s = ws_state(w);

	s->ws = w;
	socket_open(s);
}

static void
socket_on_ws_message(struct ws *w, struct str data, bool is_text)
{
	socket_message(ws_state(w), data, is_text);
}

static void
socket_on_ws_drain(struct ws *w)
{
	socket_drain(ws_state(w));
}

static void
socket_on_ws_close(struct ws *w, unsigned code, struct str reason)
{
	socket_close(ws_state(w), code, reason);
}

static const struct ws_app socket_ws_app = {
	.name = "module",
	.open = socket_on_ws_open,
	.message = socket_on_ws_message,
	.drain = socket_on_ws_drain,
	.close = socket_on_ws_close,
};

static void
socket_on_sse_open(struct sse *e)
{
	struct lane_socket *s = sse_state(e);

	s->sse = e;
	socket_open(s);
}

static void
socket_on_sse_drain(struct sse *e)
{
	socket_drain(sse_state(e));
}

static void
socket_on_sse_close(struct sse *e)
{
	socket_close(sse_state(e), WS_CLOSE_ABNORMAL, STR(""));
}

static const struct sse_app socket_sse_app = {
	.name = "module",
	.open = socket_on_sse_open,
	.drain = socket_on_sse_drain,
	.close = socket_on_sse_close,
};

/* Routes. */

/* A list that ends with NULL, as configurations have theirs. */
static int
socket_list(struct config_strings *to, const char *const *from, struct arena *a)
{
	size_t i, count = 0;

	while (from != NULL && from[count] != NULL)
		count++;
	*to = (struct config_strings){NULL, 0};
	if (count == 0)
		return 0;
	to->item = arena_alloc(a, count * sizeof(*to->item));
	if (to->item == NULL)
		return -1;
	for (i = 0; i < count; i++)
		to->item[i] = str_of(from[i]);
	to->count = count;
	return 0;
}

int
socket_route_init(struct socket_route *sr, const struct lane_route *def,
    const struct config *cfg, struct arena *a)
{
	const struct lane_socket_handler *h = def->websocket;
	size_t queue_bytes = cfg->limits.write_queue_bytes;

	if (h != NULL) {
		sr->ws = (struct ws_options){.app = &socket_ws_app,
		    .config = &cfg->websocket,
		    .message_bytes = h->message_bytes > 0 ? h->message_bytes :
		    cfg->websocket.message_bytes,
		    .queue_bytes = h->queue_bytes > 0 ? h->queue_bytes :
		    queue_bytes};
		if (socket_list(&sr->ws.protocols, h->protocols, a) == -1 ||
		    socket_list(&sr->ws.origins, h->origins, a) == -1)
			return -1;
	}
	h = def->events;
	if (h != NULL)
		sr->sse = (struct sse_options){.app = &socket_sse_app,
		    .config = &cfg->sse,
		    .queue_bytes = h->queue_bytes > 0 ? h->queue_bytes :
		    queue_bytes};
	return 0;
}

/* The handler that a request wants of a route, or NULL: neither. */
static const struct lane_socket_handler *
socket_handler(struct request *r, const struct lane_route *def)
{
	if (def->websocket != NULL && ws_is_asked(r))
		return def->websocket;
	return def->events != NULL && sse_is_asked(r) ? def->events : NULL;
}

bool
socket_is_asked(struct request *r, const struct module_route *route)
{
	return socket_handler(r, route->def) != NULL;
}

int
socket_run(struct request *r, const struct module_route *route)
{
	const struct lane_socket_handler *h = socket_handler(r, route->def);
	struct lane_ctx *c = r->ctx;
	int rc = LANE_NEXT;
	uint64_t since;

	c->is_authorizing = true;
	if (h->authorize != NULL) {
		since = ctx_enter(c);
		rc = ctx_result(c, h->authorize(c), false);
		ctx_leave(c, since);
	}
	return rc == LANE_NEXT ? socket_accept(c) : rc;
}

static struct lane_socket *
socket_new(struct lane_ctx *c, const struct lane_socket_handler *handler)
{
	struct socket_given *given = c->given;
	struct lane_socket *s;

	if (c->srv->sockets == NULL)
		c->srv->sockets = table_new(c->srv);
	if (c->srv->sockets == NULL)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->srv = c->srv;
	s->handler = handler;
	s->route = c->route;
	s->site = c->request->route;
	if (given != NULL) {
		s->state = given->state;
		s->drop = given->drop;
		given->drop = NULL;
	}
	return s;
}

int
socket_accept(struct lane_ctx *c)
{
	const struct lane_socket_handler *h =
	    socket_handler(c->request, c->route->def);
	struct lane_socket *s = socket_new(c, h);

	c->is_authorizing = false;
	if (s == NULL)
		return -ENOMEM;
	s->is_events = !(h == c->route->def->websocket &&
	    ws_is_asked(c->request));
	/* Each takes it: what goes wrong ends in socket_close(). */
	if (s->is_events)
		return sse_accept(c->request, &c->route->sockets.sse, s, NULL);
	return ws_accept(c->request, &c->route->sockets.ws, s, NULL);
}
