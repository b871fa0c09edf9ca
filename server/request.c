/* SPDX-License-Identifier: MIT */
/*
 * Requests: made, kept, freed, and read by handlers.
 *
 * Owns: the request's arena and spool.  Invariant: what a slice of a request
 * points to lives as long as the request, once it is kept.
 * Here: the object.  Not here: its way (pipeline.c), its response (response.c).
 * Context: a worker's loop.
 */
#include "server/request.h"

#include <arpa/inet.h>
#include <stddef.h>

#include "server/conn.h"
#include "server/ctx.h"
#include "server/flight.h"
#include "server/handler.h"
#include "server/internal.h"
#include "server/spool.h"

#define REQUEST_ID_BYTES 32

struct request *
request_new(struct conn *c, struct head *head)
{
	struct server *srv = c->srv;
	struct request *r = pool_get(&srv->requests);

	if (r == NULL)
		return NULL;
	/* The fields themselves are written before they are read. */
	memset(r, 0, offsetof(struct request, res.inline_fields));
	r->conn = c;
	r->srv = srv;
	r->service = srv->service[c->service];
	r->head = head;
	arena_init(&r->arena, &srv->arenas);
	r->body.fd = -1;
	r->start_ns = srv->clock.mono_ns;
	r->res.fields = r->res.inline_fields;
	r->res.field_cap = RESPONSE_FIELDS_INLINE;
	return r;
}

void
request_free(struct request *r)
{
	if (r == NULL)
		return;
	flight_end(r);
	wheel_clear(&r->deadline);
	if (r->res.kind != CONTENT_NONE)
		response_drop_content(&r->res);
	if (r->ctx == NULL || !ctx_end(r->ctx)) {
		spool_free(r->spool);
		arena_done(&r->arena);
	}
	pool_put(&r->srv->requests, r);
}

int
request_keep_body(struct request *r)
{
	struct str data;

	if (r->body.data.len == 0 || r->spool != NULL || r->is_body_kept)
		return 0;
	data = arena_copy(&r->arena, r->body.data);
	if (data.p == NULL)
		return -1;
	r->body.data = data;
	r->is_body_kept = true;
	return 0;
}

int
request_keep(struct request *r)
{
	struct head *head;

	if (!r->is_head_kept) {
		head = head_copy(r->head, &r->arena);
		if (head == NULL)
			return -1;
		r->head = head;
		r->is_head_kept = true;
	}
	/* It may come, whole, turns after its head. */
	return request_keep_body(r);
}

struct str
request_param(const struct request *r, struct str name)
{
	const struct route_match *m = &r->head->match;
	unsigned i;

	for (i = 0; r->route != NULL && i < m->param_count; i++) {
		if (str_eq(m->name[i], name))
			return m->value[i];
	}
	return str_from(NULL, 0);
}

struct str
request_route(const struct request *r)
{
	return r->route != NULL ? r->route->config->path : STR("none");
}

/* Behind the next "access_token=" of a query, or the end. */
static size_t
find_token(struct str text, size_t from)
{
	static const char name[] = "access_token=";
	const char *p;
	size_t at = from;

	while (at < text.len && (p = memmem(text.p + at, text.len - at, name,
	    sizeof(name) - 1)) != NULL) {
		at = (size_t)(p - text.p) + sizeof(name) - 1;
		if (p > text.p && (p[-1] == '?' || p[-1] == '&'))
			return at;
	}
	return text.len;
}

struct str
request_hide_token(struct str text, struct arena *a)
{
	size_t from = 0, at = find_token(text, 0), len = 0;
	char *out;

	if (at >= text.len)
		return text;
	/* A value that is empty grows. */
	out = a != NULL ? arena_alloc(a, 4 * text.len) : NULL;
	if (out == NULL)
		return str_from(text.p, at);
	for (; at < text.len; at = find_token(text, from)) {
		memcpy(out + len, text.p + from, at - from);
		memcpy(out + len + (at - from), "***", 3);
		len += at - from + 3;
		for (from = at; from < text.len && text.p[from] != '&'; from++)
			;
	}
	memcpy(out + len, text.p + from, text.len - from);
	return str_from(out, len + text.len - from);
}

struct str
request_log_target(struct request *r)
{
	return r->head->query.p == NULL ?
	    r->head->target :
	    request_hide_token(r->head->target, &r->arena);
}

struct str
request_field(const struct request *r, struct str name)
{
	return head_find_field(r->head, name);
}

struct str
request_peer(struct request *r)
{
	const struct conn *c = r->conn;
	char text[INET6_ADDRSTRLEN];

	if (c->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&c->peer.v6))
		inet_ntop(AF_INET, &c->peer.v6.s6_addr[12], text, sizeof(text));
	else if (c->family == AF_INET || c->family == AF_INET6)
		inet_ntop(c->family, &c->peer, text, sizeof(text));
	else
		return STR("unix:");
	return arena_copy(&r->arena, str_of(text));
}

void
request_peer_addr(const struct request *r, struct sockaddr_storage *ret_addr)
{
	const struct conn *c = r->conn;
	struct sockaddr_in *v4 = (void *)ret_addr;
	struct sockaddr_in6 *v6 = (void *)ret_addr;

	memset(ret_addr, 0, sizeof(*ret_addr));
	ret_addr->ss_family = c->family;
	if (c->family == AF_INET) {
		v4->sin_addr = c->peer.v4;
		v4->sin_port = c->port;
	} else if (c->family == AF_INET6) {
		v6->sin6_addr = c->peer.v6;
		v6->sin6_port = c->port;
	}
}

void
request_give_id(struct request *r)
{
	char *id;

	if (r->id.p != NULL)
		return;
	id = arena_alloc(&r->arena, REQUEST_ID_BYTES);
	if (id == NULL)
		return;
	random_hex(&r->srv->random, REQUEST_ID_BYTES / 2, id);
	r->id = str_from(id, REQUEST_ID_BYTES);
}

uint64_t
request_now_ns(const struct request *r)
{
	return r->srv->clock.mono_ns;
}

int
request_set_deadline(struct request *r, uint64_t after_ms, int status)
{
	r->deadline_status = status;
	wheel_set(&r->srv->request_timers, &r->deadline,
	    r->srv->clock.mono_ms + after_ms);
	return 0;
}

void
request_body_more(struct request *r)
{
	if (!r->is_body_paused)
		return;
	r->is_body_paused = false;
	conn_queue(r->conn);
}
