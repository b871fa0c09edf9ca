/* SPDX-License-Identifier: MIT */
/*
 * The forms of a message: what its bytes are on the wire.
 *
 *	entry --text--> data, JSON object or event --frame--> batch
 *	                         |                      ^
 *	                         `------ deflate -------'
 *
 * A batch is made once for each variant (a form and a window) that somebody
 * has subscribed in, and is what all of them are sent.
 *
 * Owns nothing: batches and scratch are the hub's.  Invariant: what stands in a
 * batch was intact in the log after it had been copied.
 * Here: text, frames, compression.  Not here: who gets them (hub_fanout.c).
 * Context: the loop's thread.  hub.c -> hub_fanout.c -> [hub_form.c]
 */
#include "server/hub_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base64.h"
#include "server/internal.h"
#include "server/sse.h"
#include "server/ws.h"

/* A batch that was longer isn't kept for the next round. */
#define BATCH_KEPT_BYTES (256u << 10)
#define BATCH_BYTES_MIN 4096

static const unsigned window_bits_none = 8;

uint8_t
hub_variant(struct session *s, enum hub_form form)
{
	struct ws *w = ws_of_session(s);
	const struct ws_deflate *agreed = w != NULL ? ws_deflate_of(w) : NULL;
	unsigned window = 0;

	/* With a context of its own a client can't share what is compressed
	 * for all. */
	if (!hub_form_is_event(form) && agreed != NULL &&
	    !agreed->server_takeover && agreed->server_bits > window_bits_none)
		window = agreed->server_bits - window_bits_none;
	return (uint8_t)(form * HUB_WINDOWS + window);
}

enum hub_form
hub_variant_form(uint8_t variant)
{
	return (enum hub_form)(variant / HUB_WINDOWS);
}

void
hub_batch_clear(struct hub_batch *b)
{
	if (b->bytes != NULL &&
	    (b->bytes->refs > 1 || b->bytes->len > BATCH_KEPT_BYTES)) {
		bytes_unref(b->bytes);
		b->bytes = NULL;
	}
	b->len = 0;
	b->count = 0;
	b->is_made = b->has_lost = b->has_failed = false;
}

void
hub_batch_done(struct hub_batch *b)
{
	bytes_unref(b->bytes);
	free(b->message);
	memset(b, 0, sizeof(*b));
}

/* The place for `more` bytes; NULL: no memory. */
static char *
batch_reserve(struct hub_batch *b, size_t more)
{
	size_t room = b->bytes != NULL ? b->bytes->len : BATCH_BYTES_MIN / 2;
	struct bytes *bigger;

	if (b->bytes != NULL && room - b->len >= more)
		return b->bytes->data + b->len;
	while (room - b->len < more)
		room *= 2;
	bigger = bytes_alloc(room);
	if (bigger == NULL)
		return NULL;
	if (b->bytes != NULL)
		memcpy(bigger->data, b->bytes->data, b->len);
	bytes_unref(b->bytes);
	b->bytes = bigger;
	return bigger->data + b->len;
}

static bool
batch_mark(struct hub_batch *b, struct hub_mark mark)
{
	struct hub_mark *bigger;
	unsigned cap;

	if (b->count == b->cap) {
		cap = b->cap > 0 ? 2 * b->cap : 16;
		bigger = reallocarray(b->message, cap, sizeof(*bigger));
		if (bigger == NULL)
			return false;
		b->message = bigger;
		b->cap = cap;
	}
	mark.end = b->len;
	b->message[b->count++] = mark;
	return true;
}

static bool
batch_copy(struct hub_batch *b, struct str data)
{
	char *p = batch_reserve(b, data.len);

	if (p == NULL)
		return false;
	memcpy(p, data.p, data.len);
	b->len += data.len;
	return true;
}

/* One message as a WebSocket's frames: RFC 6455 5.4, fragments of at most
 * buffers.websocket; RFC 7692 6.1: RSV1 in the first alone. */
static bool
batch_frame(struct hub *hub, struct hub_batch *b, unsigned opcode,
    struct str data)
{
	size_t piece_max = server_config(hub->srv)->buffers.websocket;
	bool is_last;

	do {
		size_t piece = data.len < piece_max ? data.len : piece_max;
		char *p = batch_reserve(b, WS_HEADER_MAX + piece);
		size_t head;

		if (p == NULL)
			return false;
		is_last = piece == data.len;
		head = ws_write_header(p, opcode | (is_last ? WS_FIN : 0),
		    piece);
		memcpy(p + head, data.p, piece);
		b->len += head + piece;
		data = str_from(data.p + piece, data.len - piece);
		opcode = WS_CONTINUATION;
	} while (!is_last);
	return true;
}

/* Whether the message was worth to be compressed: then it is in deflated. */
static bool
hub_deflate(struct hub *hub, unsigned window, struct str data)
{
	const struct config_websocket *cfg =
	    &server_config(hub->srv)->websocket;
	struct ws_deflate agreed = {
		.server_bits = (uint8_t)(window + window_bits_none),
	};

	if (window == 0 || data.len < cfg->deflate.min_bytes)
		return false;
	if (hub->zlib == NULL)
		hub->zlib = ws_zlib_new(cfg->deflate.level);
	buf_clear(&hub->deflated);
	return hub->zlib != NULL &&
	    ws_deflate_message(hub->zlib, NULL, &agreed, data,
		&hub->deflated) == 0 &&
	    hub->deflated.len < data.len;
}

static bool
batch_add_message(struct hub *hub, struct hub_batch *b, uint8_t variant,
    unsigned opcode, struct str data)
{
	if (hub_deflate(hub, variant % HUB_WINDOWS, data))
		return batch_frame(hub, b, opcode | WS_RSV1,
		    buf_str(&hub->deflated));
	return batch_frame(hub, b, opcode, data);
}

static void
add_base64(struct buf *out, struct str data)
{
	char text[BASE64_TEXT_BYTES(768)];
	size_t piece;

	/* Whole groups of three, so that the parts make one text. */
	for (; data.len > 0; data.p += piece, data.len -= piece) {
		piece = data.len < 768 ? data.len : 768;
		buf_add(out, str_from(text, base64_encode(
		    str_from(data.p, piece), BASE64_PLAIN, text)));
	}
}

static struct str
entry_id(const struct channel_entry *e, char text[CHANNEL_POSITION_MAX])
{
	struct channel_position pos;

	channel_entry_position(e, &pos);
	return str_from(text, channel_position_print(&pos, text));
}

void
hub_print_json(struct buf *out, const struct channel_entry *e)
{
	static const char *const types[] = {
		[CHANNEL_TEXT] = "message",
		[CHANNEL_JSON] = "message",
		[CHANNEL_BINARY] = "message",
		[CHANNEL_JOIN] = "join",
		[CHANNEL_LEAVE] = "leave",
	};
	char id[CHANNEL_POSITION_MAX];

	buf_printf(out, "{\"type\":\"%s\",\"channel\":\"%.*s\",\"id\":\"",
	    types[e->content], STR_FMT(e->channel));
	buf_add(out, entry_id(e, id));
	buf_printf(out, "\",\"time\":%" PRId64, e->time_ms);
	switch (e->content) {
	case CHANNEL_TEXT:
		buf_add(out, STR(",\"data\":"));
		buf_add_json(out, e->data);
		break;
	case CHANNEL_BINARY:
		buf_add(out, STR(",\"data64\":\""));
		add_base64(out, e->data);
		buf_add_byte(out, '"');
		break;
	case CHANNEL_JSON:
	case CHANNEL_JOIN:
	case CHANNEL_LEAVE:
		buf_add(out, STR(",\"data\":"));
		buf_add(out, e->data);
		break;
	}
	buf_add_byte(out, '}');
}

static bool
batch_add_raw(struct hub *hub, struct hub_batch *b, uint8_t variant,
    const struct channel_entry *e)
{
	switch (e->content) {
	case CHANNEL_TEXT:
	case CHANNEL_JSON:
		return batch_add_message(hub, b, variant, WS_TEXT, e->data);
	case CHANNEL_BINARY:
		return batch_add_message(hub, b, variant, WS_BINARY, e->data);
	case CHANNEL_JOIN:
	case CHANNEL_LEAVE:
		/* Who gets bare data could not tell it from data. */
		break;
	}
	return true;
}

static bool
batch_add_json(struct hub *hub, struct hub_batch *b, uint8_t variant,
    const struct channel_entry *e)
{
	buf_clear(&hub->text);
	hub_print_json(&hub->text, e);
	return !buf_failed(&hub->text) &&
	    batch_add_message(hub, b, variant, WS_TEXT, buf_str(&hub->text));
}

static bool
batch_add_event(struct hub *hub, struct hub_batch *b,
    const struct channel_entry *e)
{
	static const struct str names[] = {
		[CHANNEL_TEXT] = {NULL, 0},
		[CHANNEL_JSON] = {NULL, 0},
		[CHANNEL_BINARY] = STR_INIT("binary"),
		[CHANNEL_JOIN] = STR_INIT("join"),
		[CHANNEL_LEAVE] = STR_INIT("leave"),
	};
	char id[CHANNEL_POSITION_MAX];
	struct sse_event event = {
		.id = entry_id(e, id),
		.name = names[e->content],
		.data = e->data,
	};

	buf_clear(&hub->text);
	buf_clear(&hub->deflated);
	if (e->content == CHANNEL_BINARY) {
		add_base64(&hub->deflated, e->data);
		event.data = buf_str(&hub->deflated);
	}
	sse_format(&hub->text, &event);
	return !buf_failed(&hub->text) && !buf_failed(&hub->deflated) &&
	    batch_copy(b, buf_str(&hub->text));
}

/* Without its id, which each client has its own of: see hub_fanout.c. */
static bool
batch_add_tagged(struct hub *hub, struct hub_batch *b,
    const struct channel_entry *e)
{
	buf_clear(&hub->text);
	buf_clear(&hub->deflated);
	hub_print_json(&hub->deflated, e);
	sse_format(&hub->text,
	    &(struct sse_event){.data = buf_str(&hub->deflated)});
	return !buf_failed(&hub->text) && !buf_failed(&hub->deflated) &&
	    batch_copy(b, buf_str(&hub->text));
}

static bool
batch_add_text(struct hub *hub, struct hub_batch *b, uint8_t variant,
    const struct channel_entry *e)
{
	switch (hub_variant_form(variant)) {
	case HUB_RAW:
		return batch_add_raw(hub, b, variant, e);
	case HUB_JSON:
		return batch_add_json(hub, b, variant, e);
	case HUB_EVENT:
		return batch_add_event(hub, b, e);
	case HUB_TAGGED:
		return batch_add_tagged(hub, b, e);
	case HUB_FORM_COUNT:
		break;
	}
	return false;
}

bool
hub_batch_add(struct hub *hub, struct hub_batch *b, uint8_t variant,
    const struct channel_entry *e, struct hub_mark mark)
{
	size_t before = b->len;
	/* Who is subscribed has its mark moved, and nothing else. */
	bool is_for_all = !e->is_old || b->gives_old;

	mark.at = e->at;
	if (is_for_all && !batch_add_text(hub, b, variant, e)) {
		hub->srv->stats->memory_errors++;
		b->has_failed = true;
	} else if (channel_log_is_intact(hub->log, e->at)) {
		if (batch_mark(b, mark))
			return true;
		b->has_failed = true;
	}
	b->len = before;
	return false;
}
