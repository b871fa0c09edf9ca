/* SPDX-License-Identifier: MIT */
/*
 * What a WebSocket's peer sends.
 *
 * Owns nothing.  Invariant: messages are given to the app whole, in their
 * order, and none once either side has closed.
 * Here: messages, pings, the peer's close frame.  Not here: frames
 * (ws_frame.c), our own close (ws.c).
 * Context: a worker's loop.  session.c -> [ws_read.c] -> a ws_app
 */
#include "server/ws_internal.h"

/* A peer that doesn't read is owed pongs; past this only the last of them (RFC
 * 6455 5.5.3), or a flood of pings would fill the queue. */
#define PONGS_BYTES ((size_t)16 << 10)

static void
ws_deliver(struct ws *w, struct str data)
{
	w->srv->stats->ws_messages_in++;
	w->options->app->message(w, data, w->reader.opcode == WS_TEXT);
}

static void
ws_deliver_compressed(struct ws *w, struct str data)
{
	struct ws_shared *shared = w->srv->ws;
	struct buf *out = &shared->inflated;
	enum ws_inflate res = WS_INFLATE_NOMEM;
	struct ws_context *context;

	if (ws_context_get(w, &context) == 0)
		res = ws_inflate_message(shared->zlib, context, &w->deflate,
		    data, w->options->message_bytes, out);
	switch (res) {
	case WS_INFLATED:
		if (w->reader.opcode == WS_TEXT && !utf8_is_valid(buf_str(out)))
			ws_fail(w, WS_CLOSE_BAD_DATA, "text isn't UTF-8");
		else
			ws_deliver(w, buf_str(out));
		break;
	case WS_INFLATE_BAD:
		ws_fail(w, WS_CLOSE_BAD_DATA, "malformed compressed data");
		break;
	case WS_INFLATE_TOO_BIG:
		ws_fail(w, WS_CLOSE_TOO_BIG, "message too long");
		break;
	case WS_INFLATE_NOMEM:
		w->srv->stats->memory_errors++;
		ws_fail(w, WS_CLOSE_INTERNAL, "out of memory");
		break;
	}
	ws_shared_clear(out);
}

static void
ws_on_message(struct ws *w, struct str data)
{
	if (w->reader.is_compressed)
		ws_deliver_compressed(w, data);
	else if (data.len > w->options->message_bytes)
		ws_fail(w, WS_CLOSE_TOO_BIG, "message too long");
	else
		ws_deliver(w, data);
}

/* A part of a message, or the rest of one that came in parts. */
static __attribute__((noinline)) void
ws_gather(struct ws *w, struct str piece, bool is_end)
{
	struct ws_extra *x = ws_extra_get(w);

	if (x != NULL) {
		x->is_gathering = true;
		buf_add(&x->gather, piece);
	}
	if (x == NULL || buf_failed(&x->gather)) {
		w->srv->stats->memory_errors++;
		ws_fail(w, WS_CLOSE_INTERNAL, "out of memory");
		return;
	}
	if (!is_end)
		return;
	ws_on_message(w, buf_str(&x->gather));
	x->is_gathering = false;
	buf_done(&x->gather);
	ws_extra_trim(w);
}

static void
ws_on_ping(struct ws *w, struct str content)
{
	struct ws_extra *x;

	if (session_unsent(&w->s) < PONGS_BYTES) {
		ws_send_control(w, WS_PONG, content);
		return;
	}
	x = ws_extra_get(w);
	if (x == NULL)
		return;
	x->has_pong = true;
	x->pong_len = (uint8_t)content.len;
	memcpy(x->pong, content.p, content.len);
}

static void
ws_on_close(struct ws *w, struct str content)
{
	const char *error;
	struct ws_close close;

	if (w->phase == WS_CLOSING) {
		w->phase = WS_OVER;
		session_finish(&w->s, "closed");
		return;
	}
	if (!ws_close_parse(content, &close, &error)) {
		ws_fail(w, close.code, error);
		return;
	}
	/* RFC 6455 5.5.1: the answer echoes the code. */
	ws_send_close(w, close.code, STR(""));
	ws_end(w, close.code, close.reason, "closed by the peer");
}

static void
ws_on_control(struct ws *w, struct str content)
{
	if (w->reader.opcode == WS_CLOSE)
		ws_on_close(w, content);
	else if (w->reader.opcode == WS_PING && w->phase == WS_OPEN)
		ws_on_ping(w, content);
}

static void
ws_on_bad(struct ws *w)
{
	if (w->phase == WS_OPEN) {
		ws_fail(w, w->reader.code, w->reader.reason);
		return;
	}
	w->phase = WS_OVER;
	session_finish(&w->s, w->reader.reason);
}

/* Once we have closed only the peer's close frame counts. */
static inline void
ws_on_data(struct ws *w, struct str piece, bool is_end)
{
	if (w->phase != WS_OPEN)
		return;
	if (is_end && (w->extra == NULL || !w->extra->is_gathering))
		ws_on_message(w, piece);
	else
		ws_gather(w, piece, is_end);
}

void
ws_advance(struct session *s, struct str *in)
{
	struct ws *w = ws_from(s);
	const struct conn *c = s->conn;
	struct str piece;

	w->heard_ms = (uint32_t)w->srv->clock.mono_ms;
	while (w->phase != WS_OVER && c->state == CONN_OPEN && !c->is_paused) {
		switch (ws_read(&w->reader, in, &piece)) {
		case WS_MORE:
			return;
		case WS_DATA:
			ws_on_data(w, piece, false);
			break;
		case WS_DATA_END:
			ws_on_data(w, piece, true);
			break;
		case WS_CONTROL:
			ws_on_control(w, piece);
			break;
		case WS_BAD:
			ws_on_bad(w);
			break;
		}
	}
}
