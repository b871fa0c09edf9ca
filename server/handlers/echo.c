/* SPDX-License-Identifier: MIT */
/*
 * "echo": sends a request's content back, with its Content-Type; on a WebSocket
 * each message.
 *
 * By default the content is gathered first; what was spilled to a file goes
 * back from that file.  With "stream" it goes back while it arrives, through
 * one small buffer: a client that doesn't read stops being read from.
 *
 *	client -> echo_on_body -> [from ... to] -> echo_next -> client
 *
 * Owns nothing beyond the request's arena.
 * Here: all three ways.  Not here: raw TCP echo (tcp.c).
 * Context: the loop's thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "server/handler.h"
#include "server/internal.h"
#include "server/ws.h"

#define ECHO_BUFFER_BYTES 16384

struct echo {
	bool is_streamed;
	struct ws_options ws;
};

/* One echo on its way. */
struct echo_stream {
	struct source source;		/* first: the source is the stream */
	struct request *r;
	size_t from, to;		/* what is in the buffer */
	size_t lent;			/* of that, by the last next() */
	bool is_last, is_paused, is_stopped;
	char buffer[ECHO_BUFFER_BYTES];
};

/* A client that doesn't read its echoes isn't read from. */
static void
echo_on_message(struct ws *w, struct str data, bool is_text)
{
	if (ws_send(w, is_text ? WS_TEXT : WS_BINARY, data) == SESSION_FULL)
		session_pause(ws_session(w));
}

static void
echo_on_drain(struct ws *w)
{
	session_resume(ws_session(w));
}

static void
echo_on_close(struct ws *w, unsigned code, struct str reason)
{
}

static const struct ws_app echo_app = {
	.name = "echo",
	.message = echo_on_message,
	.drain = echo_on_drain,
	.close = echo_on_close,
};

static int
echo_setup(const struct config_route *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct echo *st = calloc(1, sizeof(*st));

	if (st == NULL)
		return error_nomem(err, "handler");
	st->is_streamed = cfg->echo.stream;
	st->ws = (struct ws_options){
		.app = &echo_app,
		.config = &server_config(srv)->websocket,
		.origins = cfg->echo.origins,
		.message_bytes = cfg->echo.message_bytes,
		.queue_bytes = server_config(srv)->limits.write_queue_bytes,
	};
	*ret_state = st;
	return 0;
}

static enum handler_body
echo_body(const void *state)
{
	const struct echo *st = state;

	return st->is_streamed ? HANDLER_BODY_STREAM : HANDLER_BODY_WHOLE;
}

/* The request's own type, in the arena. */
static struct str
echo_type(struct request *r)
{
	struct str type = request_get(r, FIELD_CONTENT_TYPE);

	if (str_is_null(type))
		return STR("application/octet-stream");
	return arena_copy(&r->arena, type);
}

static int
echo_run_whole(struct request *r)
{
	struct str text;
	int fd;

	if (r->body.length == 0)
		return response_empty(r, 200);
	if (r->body.fd != -1) {
		fd = fcntl(r->body.fd, F_DUPFD_CLOEXEC, 0);
		if (fd == -1)
			return -errno;
		return response_file(r, 200, echo_type(r),
		    &(struct file_range){fd, 0, r->body.length});
	}
	text = arena_copy(&r->arena, r->body.data);
	if (text.p == NULL)
		return -ENOMEM;
	return response_text(r, 200, echo_type(r), text);
}

/* Moves what is left to the front, unless a piece of it is lent. */
static void
echo_make_room(struct echo_stream *e)
{
	if (e->lent > 0 || e->from == 0)
		return;
	memmove(e->buffer, e->buffer + e->from, e->to - e->from);
	e->to -= e->from;
	e->from = 0;
}

static enum source_result
echo_next(struct source *s, size_t max_bytes, struct str *ret_piece)
{
	struct echo_stream *e = (struct echo_stream *)s;

	e->from += e->lent;
	e->lent = 0;
	if (e->from == e->to && e->is_paused) {
		e->is_paused = false;
		request_body_more(e->r);
	}
	if (e->from == e->to)
		return e->is_last ? SOURCE_END : SOURCE_WAIT;
	e->lent = e->to - e->from < max_bytes ? e->to - e->from : max_bytes;
	*ret_piece = str_from(e->buffer + e->from, e->lent);
	return SOURCE_DATA;
}

static void
echo_stop(struct source *s)
{
	((struct echo_stream *)s)->is_stopped = true;
}

static size_t
echo_on_body(struct request *r, const void *state, struct str piece,
    bool is_last)
{
	struct echo_stream *e = r->handler_data;
	size_t taken;

	/* Nobody is left to send to: what still comes is dropped. */
	if (e == NULL || e->is_stopped)
		return piece.len;
	echo_make_room(e);
	taken = ECHO_BUFFER_BYTES - e->to;
	if (taken > piece.len)
		taken = piece.len;
	if (taken > 0)
		memcpy(e->buffer + e->to, piece.p, taken);
	e->to += taken;
	e->is_paused = taken < piece.len;
	e->is_last = is_last;
	response_wake(r);
	return taken;
}

static int
echo_run_stream(struct request *r)
{
	struct echo_stream *e;

	if (r->head->framing == BODY_NONE)
		return response_empty(r, 200);
	if ((e = arena_alloc(&r->arena, sizeof(*e))) == NULL)
		return -ENOMEM;
	/* All but the buffer, which needs no clearing. */
	memset(e, 0, offsetof(struct echo_stream, buffer));
	e->source.next = echo_next;
	e->source.stop = echo_stop;
	e->r = r;
	r->handler_data = e;
	return response_source(r, 200, echo_type(r), &e->source,
	    r->head->framing == BODY_LENGTH ? r->head->content_length
					    : CONTENT_LENGTH_UNKNOWN);
}

static int
echo_run(struct request *r, const void *state)
{
	const struct echo *st = state;

	if (ws_is_asked(r))
		return ws_accept(r, &st->ws, NULL, NULL);
	return st->is_streamed ? echo_run_stream(r) : echo_run_whole(r);
}

const struct handler handler_echo = {
	.name = "echo",
	.methods = METHOD_ALL & ~METHOD_BIT(METHOD_OPTIONS),
	.has_websocket = true,
	.setup = echo_setup,
	.teardown = free,
	.body = echo_body,
	.run = echo_run,
	.on_body = echo_on_body,
};
