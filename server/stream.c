/* SPDX-License-Identifier: MIT */
/*
 * Streams of modules, their trailers, and early hints.
 *
 * Owns the queue, until its last piece has gone or the response is dropped.
 * Invariant: a piece that was handed out stays until the next one is asked for;
 * once `is_gone` is set nothing is queued any more.
 * Here: the queue and its end.  Not here: chunks and the socket (http1_send.c).
 * Context: a worker's loop.  ctx.c -> [stream.c] -> http1_send.c
 */
#include "server/stream.h"

#include <errno.h>
#include <stdlib.h>

#include <corelane/response.h>

#include "common/log.h"
#include "server/api.h"
#include "server/conn.h"
#include "server/http1.h"
#include "server/internal.h"
#include "server/request.h"

/* What is written in small pieces is gathered in larger ones. */
#define PIECE_BYTES 2048

struct piece {
	struct piece *next;
	size_t len, cap;
	char data[];
};

struct stream {
	struct source source; /* first: the source is the stream */
	struct op op;
	int status;
	struct piece *first, *last; /* both NULL: nothing is queued */
	struct piece *lent; /* by the last next(); off the list */
	size_t queue_bytes, queue_max;
	lane_done_fn on_drain;
	void *state;
	bool drain_due; /* something has gone since on_drain() */
	bool has_ended, has_failed;
	bool is_gone; /* the response isn't this stream's any more */
};

static void
stream_drop_pieces(struct stream *s)
{
	struct piece *p;

	free(s->lent);
	s->lent = NULL;
	while ((p = s->first) != NULL) {
		s->first = p->next;
		free(p);
	}
	s->last = NULL;
	s->queue_bytes = 0;
}

/* The context ends: the response may go on to its end, or be dropped. */
static void
stream_cancel(struct op *op)
{
}

static void
stream_stop(struct source *source)
{
	struct stream *s = (struct stream *)source;

	s->is_gone = true;
	op_finish(&s->op);
	stream_drop_pieces(s);
}

/* Has on_drain() write more, where the queue has gone since it last did. */
static void
stream_drain(struct stream *s)
{
	struct lane_ctx *c = s->op.ctx;

	if (!s->drain_due || s->has_ended || s->on_drain == NULL)
		return;
	s->drain_due = false;
	c->module = s->op.module;
	CTX_CALL(c, s->on_drain(c, s->state));
}

/* A stream that nothing will ever write to is cut off, not waited for. */
static enum source_result
stream_wait(struct stream *s)
{
	struct lane_ctx *c = s->op.ctx;

	if (c->ops != &s->op || s->op.next != NULL)
		return SOURCE_WAIT;
	stream_take(c, LANE_ASYNC, "it waits with nothing under way");
	return SOURCE_FAILED;
}

static enum source_result
stream_next(struct source *source, size_t max_bytes, struct str *ret_piece)
{
	struct stream *s = (struct stream *)source;
	struct piece *p;

	free(s->lent);
	s->lent = NULL;
	if (s->first == NULL && !s->has_failed)
		stream_drain(s);
	if (s->has_failed)
		return SOURCE_FAILED;
	p = s->first;
	if (p == NULL && s->has_ended)
		return SOURCE_END;
	if (p == NULL)
		return stream_wait(s);
	s->first = p->next;
	if (s->first == NULL)
		s->last = NULL;
	s->queue_bytes -= p->len;
	s->drain_due = true;
	s->lent = p;
	*ret_piece = str_from(p->data, p->len);
	return SOURCE_DATA;
}

static struct stream *
stream_new(struct lane_ctx *c, const struct lane_stream_args *args)
{
	struct stream *s = arena_zalloc(c->arena, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->source = (struct source){stream_next, stream_stop};
	s->status = args->status;
	s->queue_max = args->queue_bytes > 0 ? args->queue_bytes
	    : (size_t)c->srv->config->limits.write_queue_bytes;
	s->on_drain = args->on_drain;
	s->state = args->state;
	s->drain_due = true;
	return s;
}

int
lane_stream(struct lane_ctx *c, const struct lane_stream_args *args)
{
	struct str type = str_from(NULL, 0);
	struct stream *s;
	int result;

	if (args->type != NULL && !is_field_value(str_of(args->type)))
		return -EINVAL;
	result = api_begin_answer(c, args->status);
	if (result != 0)
		return result;
	s = stream_new(c, args);
	if (s != NULL && args->type != NULL)
		type = arena_copy(c->arena, str_of(args->type));
	if (s == NULL || (args->type != NULL && type.p == NULL))
		return -ENOMEM;
	if (type.p != NULL)
		response_remove(c->request, STR("Content-Type"));
	result = response_source(c->request, args->status, type, &s->source,
	    CONTENT_LENGTH_UNKNOWN);
	if (result < 0)
		return result;
	c->stream = s;
	op_start(c, &s->op, stream_cancel);
	return LANE_ASYNC;
}

/* Room for more in the last piece, or in a new one; NULL: no memory. */
static struct piece *
stream_room(struct stream *s, size_t bytes)
{
	struct piece *p = s->last;
	size_t cap = bytes > PIECE_BYTES ? bytes : PIECE_BYTES;

	if (p != NULL && p->cap - p->len >= bytes)
		return p;
	p = malloc(sizeof(*p) + cap);
	if (p == NULL)
		return NULL;
	p->next = NULL;
	p->len = 0;
	p->cap = cap;
	if (s->last == NULL)
		s->first = p;
	else
		s->last->next = p;
	s->last = p;
	return p;
}

/* Whether somebody is there to write to. */
static bool
stream_is_live(const struct lane_ctx *c)
{
	const struct stream *s = c->stream;

	return s != NULL && !s->is_gone && !s->has_ended && !s->has_failed &&
	    c->request != NULL && !c->request->is_ended &&
	    c->request->conn->state != CONN_CLOSED;
}

enum lane_write_result
lane_write(struct lane_ctx *c, struct lane_str piece)
{
	struct stream *s = c->stream;
	struct piece *p;

	if (!stream_is_live(c))
		return LANE_GONE;
	if (piece.len == 0)
		return s->queue_bytes >= s->queue_max ? LANE_FULL : LANE_OK;
	if (s->queue_bytes >= s->queue_max)
		return LANE_DROPPED;
	p = stream_room(s, piece.len);
	if (p == NULL)
		return LANE_DROPPED;
	memcpy(p->data + p->len, piece.p, piece.len);
	p->len += piece.len;
	s->queue_bytes += piece.len;
	response_wake(c->request);
	return s->queue_bytes >= s->queue_max ? LANE_FULL : LANE_OK;
}

/* What is queued goes out, and nothing behind it. */
static void
stream_end(struct lane_ctx *c, struct stream *s)
{
	s->has_ended = true;
	op_finish(&s->op);
	response_wake(c->request);
}

int
lane_stream_end(struct lane_ctx *c)
{
	if (c->stream == NULL)
		return -EINVAL;
	if (stream_is_live(c))
		stream_end(c, c->stream);
	return c->stream->status;
}

bool
stream_is_open(const struct lane_ctx *c)
{
	return c->stream != NULL && !c->stream->is_gone;
}

int
stream_result(struct lane_ctx *c, int result)
{
	struct stream *s = c->stream;

	if (result == s->status) {
		if (!s->has_ended)
			stream_end(c, s);
		ctx_cancel(c);
	}
	if (result == LANE_ASYNC || result == s->status)
		return s->status;
	/* Something else is the answer; nothing of this one has gone out. */
	if (result != LANE_NEXT)
		response_reset(c->request);
	return result;
}

void
stream_take(struct lane_ctx *c, int result, const char *mistake)
{
	struct request *r = c->request;
	struct stream *s = c->stream;

	if (s->has_ended) {
		if (result != LANE_ASYNC)
			ctx_cancel(c);
		return;
	}
	if (mistake == NULL && result == LANE_ASYNC)
		return;
	if (mistake == NULL && result == s->status) {
		stream_end(c, s);
		ctx_cancel(c);
		return;
	}
	/* Too late for an error response: the client sees content that was cut
	 * off, never one that looks whole. */
	if (mistake == NULL)
		mistake = result < 0 ? strerrordesc_np(-result)
		    : "another status than its stream's";
	request_give_id(r);
	log_error("%.*s %.*s: route %.*s: stream cut off: %s (request %.*s)",
	    STR_FMT(r->head->method_name), STR_FMT(request_log_target(r)),
	    STR_FMT(request_route(r)), mistake, STR_FMT(r->id));
	r->srv->stats->handler_errors++;
	s->has_failed = true;
	ctx_cancel(c);
	response_wake(r);
}

/* Trailers and hints. */

/* RFC 9110 6.5.1: not what frames, routes, authenticates or describes the
 * content: a recipient has acted on it by then. */
static bool
is_trailer(struct str name)
{
	static const struct str refused[] = {
		STR_INIT("Host"), STR_INIT("Trailer"), STR_INIT("TE"),
		STR_INIT("Upgrade"), STR_INIT("Content-Type"),
		STR_INIT("Content-Encoding"), STR_INIT("Content-Range"),
		STR_INIT("Cache-Control"), STR_INIT("Expires"),
		STR_INIT("Location"), STR_INIT("Retry-After"),
		STR_INIT("Set-Cookie"), STR_INIT("Vary"),
		STR_INIT("Authorization"), STR_INIT("WWW-Authenticate"),
	};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (str_eq_nocase(name, refused[i]))
			return false;
	return is_token(name) && !field_is_reserved(name);
}

int
lane_trailer(struct lane_ctx *c, const char *name, struct lane_str value)
{
	struct response *res;
	struct str all;

	if (!is_trailer(str_of(name)) || !is_field_value(str_of_lane(value)))
		return -EINVAL;
	if (!stream_is_live(c))
		return -EINVAL;
	/* RFC 9110 6.5.1: only for who has said that he takes them. */
	if (c->request->head->minor == 0 || !str_list_has(
	    request_field(c->request, STR("TE")), STR("trailers")))
		return 0;
	res = &c->request->res;
	all = arena_printf(c->arena, "%.*s%s: %.*s\r\n",
	    STR_FMT(res->trailers), name, LANE_FMT(value));
	if (all.p == NULL)
		return -ENOMEM;
	if (all.len > RESPONSE_TRAILERS_MAX)
		return -EMSGSIZE;
	res->trailers = all;
	return 0;
}

int
lane_early_hint(struct lane_ctx *c, struct lane_str link)
{
	if (link.len == 0 || !is_field_value(str_of_lane(link)) ||
	    link.len > HTTP1_HINT_MAX || !api_can_answer(c) || c->is_answered)
		return -EINVAL;
	/* RFC 9110 15.2: 1.0 knows no interim responses. */
	if (c->request->head->minor == 0)
		return 0;
	return http1_send_hint(c->request, str_of_lane(link));
}
