/* SPDX-License-Identifier: MIT */
/*
 * WebSocket frames on their way out.
 *
 * Owns nothing.  Invariant: the frames of a message leave one behind the other,
 * and what doesn't fit into the queue isn't begun.
 * Here: messages, control frames.  Not here: when they are due (ws.c), the
 * queue (session.c).
 * Context: a worker's loop.  ws.c, an app -> [ws_send.c] -> session.c
 */
#include "server/ws_internal.h"

static int
ws_send_frame(struct ws *w, unsigned opcode, struct str content)
{
	char header[WS_HEADER_MAX];
	size_t len = ws_write_header(header, opcode, content.len);

	return session_send_pair(&w->s, str_from(header, len), content);
}

int
ws_send_control(struct ws *w, enum ws_opcode opcode, struct str content)
{
	return ws_send_frame(w, WS_FIN | opcode, content);
}

struct str
ws_cut_reason(struct str reason)
{
	if (reason.len <= WS_REASON_BYTES)
		return reason;
	reason.len = WS_REASON_BYTES;
	while (reason.len > 0 && (reason.p[reason.len] & 0xc0) == 0x80)
		reason.len--;
	return reason;
}

int
ws_send_close(struct ws *w, unsigned code, struct str reason)
{
	char content[WS_CONTROL_BYTES];

	if (code == WS_CLOSE_NONE)
		return ws_send_control(w, WS_CLOSE, STR(""));
	content[0] = (char)(code >> 8);
	content[1] = (char)code;
	if (reason.len > 0)
		memcpy(content + 2, reason.p, reason.len);
	return ws_send_control(w, WS_CLOSE, str_from(content, 2 + reason.len));
}

/* In fragments of at most buffers.websocket (RFC 6455 5.4). */
static int
ws_send_frames(struct ws *w, unsigned opcode, struct str data)
{
	size_t max = w->srv->config->buffers.websocket;
	int res;

	while (data.len > max) {
		res = ws_send_frame(w, opcode, str_from(data.p, max));
		if (res == -1)
			return -1;
		opcode = WS_CONTINUATION;
		data = str_from(data.p + max, data.len - max);
	}
	return ws_send_frame(w, WS_FIN | opcode, data);
}

static bool
ws_is_compressed(const struct ws *w, size_t len)
{
	return w->deflate.server_bits != 0 &&
	    len >= w->options->config->deflate.min_bytes;
}

/* Sends it compressed; as it is where that is shorter, and the peer keeps no
 * record of what was said. */
static int
ws_send_compressed(struct ws *w, enum ws_opcode opcode, struct str data)
{
	struct ws_shared *shared = w->srv->ws;
	struct buf *out = &shared->deflated;
	struct ws_context *context;
	int res = ws_context_get(w, &context);

	if (res == 0)
		res = ws_deflate_message(shared->zlib, context, &w->deflate,
		    data, out);
	if (res == -1) {
		w->srv->stats->memory_errors++;
		session_close(&w->s, "no memory to compress a message");
	} else if (out->len < data.len || w->deflate.server_takeover) {
		res = ws_send_frames(w, opcode | WS_RSV1, buf_str(out));
	} else {
		res = ws_send_frames(w, opcode, data);
	}
	ws_shared_clear(out);
	return res;
}

enum session_sent
ws_send(struct ws *w, enum ws_opcode opcode, struct str data)
{
	size_t max = w->options->queue_bytes;
	int res;

	if (!ws_is_open(w))
		return SESSION_GONE;
	/* What has been sent in one turn may be more than that, before anybody
	 * could be told. */
	if (w->is_full && session_unsent(&w->s) >= max)
		return SESSION_DROPPED;
	if (ws_is_compressed(w, data.len))
		res = ws_send_compressed(w, opcode, data);
	else
		res = ws_send_frames(w, opcode, data);
	if (res == -1)
		return SESSION_GONE;
	w->srv->stats->ws_messages_out++;
	if (session_unsent(&w->s) < max)
		return SESSION_OK;
	w->is_full = true;
	return SESSION_FULL;
}
