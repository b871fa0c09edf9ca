/* SPDX-License-Identifier: MIT */
/*
 * WebSockets: their life.
 *
 * A connection has one deadline on the wheel, and what is due is looked at when
 * that has come: the end of its life, the ping after a silence, the pong that
 * must follow.  A message that comes only notes the time.
 *
 * Owns: struct ws_shared; each struct ws, through its connection.  Invariant:
 * the app's close() is called once for each state that was given to
 * ws_accept().
 * Here: opening, deadlines, closing.  Not here: input (ws_read.c), sending
 * (ws_send.c), frames (ws_frame.c).
 * Context: a worker's loop.  session.c -> [ws.c] -> a ws_app
 */
#include "server/ws.h"

#include <errno.h>
#include <stdlib.h>

#include "server/hub.h"
#include "server/request.h"
#include "server/ws_handshake.h"
#include "server/ws_internal.h"

/* With nothing else to wait for. */
#define LOOK_MS 3600000
/* While draining one client in so long is sent elsewhere: it connects again,
 * and all of them at once would be a flood. */
#define LEAVE_EACH_MS 4

static const struct session_kind ws_kind;

struct ws_extra *
ws_extra_get(struct ws *w)
{
	if (w->extra == NULL)
		w->extra = calloc(1, sizeof(*w->extra));
	return w->extra;
}

static void
ws_extra_free(struct ws_extra *x)
{
	if (x == NULL)
		return;
	buf_done(&x->gather);
	ws_context_free(x->context);
	free(x);
}

void
ws_extra_trim(struct ws *w)
{
	struct ws_extra *x = w->extra;

	if (x == NULL || x->is_gathering || x->has_pong || x->has_reason ||
	    x->context != NULL)
		return;
	ws_extra_free(x);
	w->extra = NULL;
}

int
ws_context_get(struct ws *w, struct ws_context **ret_context)
{
	struct ws_extra *x;

	*ret_context = NULL;
	if (!w->deflate.server_takeover && !w->deflate.client_takeover)
		return 0;
	x = ws_extra_get(w);
	if (x != NULL && x->context == NULL)
		x->context = ws_context_new(w->options->config->deflate.level);
	if (x == NULL || x->context == NULL)
		return -1;
	*ret_context = x->context;
	return 0;
}

void
ws_shared_clear(struct buf *b)
{
	if (b->cap > WS_SHARED_BYTES)
		buf_done(b);
	else
		buf_clear(b);
}

/* Most that its message may have on the wire: what doesn't get smaller by
 * compression gets longer by it. */
static size_t
ws_wire_bytes(const struct ws *w)
{
	size_t max = w->options->message_bytes;

	return w->deflate.client_bits != 0 ? max + max / 8 + 64 : max;
}

/* The worker's streams, if they are going to be needed. */
static bool
ws_get_deflate(struct server *srv, const struct ws_options *options,
    const struct ws_deflate *agreed)
{
	struct ws_shared *shared = srv->ws;

	if (agreed->server_bits != 0 && shared->zlib == NULL)
		shared->zlib = ws_zlib_new(options->config->deflate.level);
	return agreed->server_bits == 0 || shared->zlib != NULL;
}

/* The app's state is its to drop, with whatever stands for a WebSocket. */
static int
ws_refuse(struct request *r, const struct ws_options *options, void *state,
    int result)
{
	struct ws none = {
		.s.kind = &ws_kind, .srv = r->srv, .options = options,
		.state = state,
	};

	r->srv->stats->websockets_refused++;
	options->app->close(&none, WS_CLOSE_ABNORMAL, STR(""));
	return result;
}

int
ws_accept(struct request *r, const struct ws_options *options, void *state,
    struct ws **ret_ws)
{
	struct server *srv = r->srv;
	struct ws_agreed agreed;
	struct ws *w;
	int res;

	if (srv->is_draining)
		return ws_refuse(r, options, state, response_error(r, 503,
		    "the server is restarting"));
	res = ws_handshake(r, options, &agreed);
	if (res != 101)
		return ws_refuse(r, options, state, res);
	w = ws_get_deflate(srv, options, &agreed.deflate)
	    ? pool_get(&srv->ws->pool) : NULL;
	if (w == NULL)
		return ws_refuse(r, options, state, -ENOMEM);
	*w = (struct ws){
		.s.kind = &ws_kind, .srv = srv, .options = options,
		.state = state, .deflate = agreed.deflate,
		.protocol = agreed.protocol,
	};
	ws_reader_init(&w->reader, &(struct ws_limits){
		.message_bytes = ws_wire_bytes(w),
		.deflate = agreed.deflate.client_bits != 0,
	});
	if (ret_ws != NULL)
		*ret_ws = w;
	return response_upgrade(r, 101, &w->s);
}

/* How long to wait for a pong: once it has come, the next ping is due after
 * `ping`, however patient `pong` is. */
static int64_t
ws_look_ms(const struct ws *w, uint32_t now_ms)
{
	const struct config_websocket *cfg = w->options->config;
	int64_t left_ms = cfg->pong_ms - (now_ms - w->pinged_ms);

	return left_ms < cfg->ping_ms ? left_ms : cfg->ping_ms;
}

/* The ping after a silence, the end of one that doesn't answer.  Returns in
 * how many milliseconds to look again; 0: it is over. */
static int64_t
ws_ping(struct ws *w, uint32_t now_ms)
{
	const struct config_websocket *cfg = w->options->config;
	uint32_t silent_ms = now_ms - w->heard_ms;

	if (cfg->ping_ms == 0)
		return LOOK_MS;
	/* Who isn't read from can't be heard; and to one that doesn't read
	 * timeouts.write holds. */
	if (session_is_paused(&w->s) || session_unsent(&w->s) > 0) {
		w->is_pinged = false;
		w->heard_ms = now_ms;
		return cfg->ping_ms;
	}
	if (w->is_pinged && (int32_t)(w->heard_ms - w->pinged_ms) < 0) {
		if (now_ms - w->pinged_ms < cfg->pong_ms)
			return ws_look_ms(w, now_ms);
		w->is_silent = true;
		session_close(&w->s, "silent: no answer to a ping");
		return 0;
	}
	w->is_pinged = silent_ms >= cfg->ping_ms;
	if (!w->is_pinged)
		return cfg->ping_ms - silent_ms;
	w->pinged_ms = now_ms;
	return ws_send_control(w, WS_PING, STR("")) != -1
	    ? ws_look_ms(w, now_ms) : 0;
}

/* Its life, or its time to close, is over. */
static void
ws_on_end(struct ws *w)
{
	if (w->phase == WS_OPEN)
		ws_close(w, WS_CLOSE_RESTART, w->srv->is_draining
		    ? STR("the server is restarting")
		    : STR("its time is over: come back"));
	else
		session_close(&w->s, "no answer to its close frame");
}

/* Looks what is due, and sets the deadline to what is due next. */
static void
ws_look(struct ws *w)
{
	uint64_t now_ms = session_now_ms(&w->s);
	int64_t left_s, next_ms = LOOK_MS;

	if (w->end_ms != 0 && now_ms >= w->end_ms) {
		ws_on_end(w);
		return;
	}
	if (w->phase == WS_OPEN && w->expiry_s != 0) {
		left_s = (int64_t)w->expiry_s - w->srv->clock.real_s;
		if (left_s <= 0) {
			ws_close(w, WS_CLOSE_EXPIRED, STR("expired"));
			return;
		}
		if (left_s * 1000 < next_ms)
			next_ms = left_s * 1000;
	}
	if (w->phase == WS_OPEN) {
		int64_t ping_ms = ws_ping(w, (uint32_t)now_ms);

		if (ping_ms == 0)
			return;
		if (ping_ms < next_ms)
			next_ms = ping_ms;
	}
	if (w->end_ms != 0 && (int64_t)(w->end_ms - now_ms) < next_ms)
		next_ms = (int64_t)(w->end_ms - now_ms);
	session_set_timer(&w->s, next_ms);
}

/* Who closed first, and why: kept until the app is told. */
static void
ws_note_close(struct ws *w, unsigned code, struct str reason)
{
	struct ws_extra *x = reason.len > 0 ? ws_extra_get(w) : w->extra;

	w->close_code = (uint16_t)code;
	if (x == NULL || x->reason == reason.p)
		return;
	x->has_reason = reason.len > 0;
	x->reason_len = (uint8_t)reason.len;
	memcpy(x->reason, reason.p, reason.len);
}

static struct str
ws_noted_reason(const struct ws *w)
{
	return w->extra != NULL ?
	    str_from(w->extra->reason, w->extra->reason_len) : STR("");
}

static void
ws_begin(struct session *s)
{
	struct ws *w = ws_from(s);
	int64_t life_ms = w->options->config->lifetime_ms;

	w->srv->stats->websockets++;
	w->srv->stats->websockets_active++;
	w->phase = WS_OPEN;
	w->heard_ms = (uint32_t)session_now_ms(s);
	if (life_ms > 0)
		w->end_ms = session_now_ms(s) + (uint64_t)life_ms;
	ws_look(w);
	if (w->options->app->open != NULL)
		w->options->app->open(w);
	/* Closed before it was there. */
	if (w->phase == WS_OPEN && w->close_code != 0)
		ws_close(w, w->close_code, ws_noted_reason(w));
}

static void
ws_drained(struct session *s)
{
	struct ws *w = ws_from(s);
	struct ws_extra *x = w->extra;
	bool was_full = w->is_full;

	if (w->phase == WS_CLOSING) {
		w->end_ms = session_now_ms(s) +
		    (uint64_t)w->srv->config->timeouts.write_ms;
		ws_look(w);
	}
	if (w->phase != WS_OPEN)
		return;
	if (x != NULL && x->has_pong) {
		x->has_pong = false;
		ws_send_control(w, WS_PONG, str_from(x->pong, x->pong_len));
		ws_extra_trim(w);
	}
	w->is_full = false;
	hub_drained(s);
	if (session_unsent(s) > 0) {
		w->is_full = was_full;
		return;
	}
	if (was_full && w->options->app->drain != NULL && ws_is_open(w))
		w->options->app->drain(w);
}

static void
ws_on_deadline(struct session *s)
{
	ws_look(ws_from(s));
}

/* As many milliseconds as there are clients, times LEAVE_EACH_MS; but half of
 * the drain is left for those who are slow to go. */
static void
ws_leave(struct session *s)
{
	struct ws *w = ws_from(s);
	struct server *srv = w->srv;
	uint64_t spread_ms = srv->stats->websockets_active * LEAVE_EACH_MS;
	uint64_t max_ms = (uint64_t)srv->config->timeouts.drain_ms / 2;
	uint64_t at_ms;

	if (w->phase != WS_OPEN)
		return;
	if (spread_ms > max_ms)
		spread_ms = max_ms;
	at_ms = session_now_ms(s) + 1 +
	    random_u64(&srv->random) % (spread_ms + 1);
	if (w->end_ms == 0 || at_ms < w->end_ms)
		w->end_ms = at_ms;
	ws_look(w);
}

/* Tells the app, once. */
static void
ws_tell(struct ws *w, unsigned code, struct str reason)
{
	if (w->is_told)
		return;
	w->is_told = true;
	w->options->app->close(w, code, reason);
	w->state = NULL;
}

static void
ws_count_end(const struct ws *w)
{
	struct stats *s = w->srv->stats;

	s->websockets_active--;
	switch (w->close_code) {
	case WS_CLOSE_NORMAL:
	case WS_CLOSE_GOING_AWAY:
	case WS_CLOSE_NONE:
		s->ws_closed_normal++;
		break;
	case WS_CLOSE_PROTOCOL:
		s->ws_closed_protocol++;
		break;
	case WS_CLOSE_BAD_DATA:
		s->ws_closed_data++;
		break;
	case WS_CLOSE_TOO_BIG:
		s->ws_closed_too_big++;
		break;
	case 0:
		s->ws_closed_silent += w->is_silent;
		s->ws_closed_cut += !w->is_silent;
		break;
	default:
		s->ws_closed_other++;
	}
}

static void
ws_closed(struct session *s, const char *reason)
{
	struct ws *w = ws_from(s);
	unsigned code = w->close_code != 0 ? w->close_code : WS_CLOSE_ABNORMAL;

	if (w->phase != WS_OPENING)
		ws_count_end(w);
	w->phase = WS_OVER;
	hub_forget(s);
	ws_tell(w, code, ws_noted_reason(w));
	ws_extra_free(w->extra);
	pool_put(&w->srv->ws->pool, w);
}

static const struct session_kind ws_kind = {
	.name = "websocket",
	.begin = ws_begin,
	.advance = ws_advance,
	.drained = ws_drained,
	.on_deadline = ws_on_deadline,
	.leave = ws_leave,
	.closed = ws_closed,
};

void
ws_end(struct ws *w, unsigned code, struct str reason, const char *why)
{
	w->phase = WS_OVER;
	w->close_code = (uint16_t)code;
	hub_forget(&w->s);
	ws_tell(w, code, reason);
	session_finish(&w->s, why);
}

void
ws_fail(struct ws *w, unsigned code, const char *reason)
{
	ws_send_close(w, code, str_of(reason));
	ws_end(w, code, str_of(reason), reason);
}

void
ws_close(struct ws *w, unsigned code, struct str reason)
{
	reason = ws_cut_reason(reason);
	if (w->phase == WS_OPENING)
		ws_note_close(w, code, reason);
	if (w->phase != WS_OPEN || ws_send_close(w, code, reason) == -1)
		return;
	ws_note_close(w, code, reason);
	w->phase = WS_CLOSING;
	/* RFC 6455 5.5.1: no data behind a close frame. */
	hub_forget(&w->s);
	w->end_ms = session_now_ms(&w->s) +
	    (uint64_t)w->srv->config->timeouts.write_ms;
	ws_look(w);
	/* Its close frame may be behind what nobody wants any more. */
	session_resume(&w->s);
}

void
ws_set_expiry(struct ws *w, int64_t real_s)
{
	if (real_s < 0)
		real_s = 1;
	w->expiry_s = real_s < UINT32_MAX ? (uint32_t)real_s : 0;
	if (ws_is_open(w))
		ws_look(w);
}

struct session *
ws_session(struct ws *w)
{
	return &w->s;
}

struct ws *
ws_of_session(struct session *s)
{
	return s->kind == &ws_kind ? ws_from(s) : NULL;
}

struct server *
ws_server(const struct ws *w)
{
	return w->srv;
}

void *
ws_state(const struct ws *w)
{
	return w->state;
}

void
ws_set_state(struct ws *w, void *state)
{
	w->state = state;
}

const struct ws_options *
ws_options_of(const struct ws *w)
{
	return w->options;
}

struct str
ws_protocol(const struct ws *w)
{
	if (w->protocol == 0)
		return str_from(NULL, 0);
	return w->options->protocols.item[w->protocol - 1];
}

const struct ws_deflate *
ws_deflate_of(const struct ws *w)
{
	return &w->deflate;
}

bool
ws_is_open(const struct ws *w)
{
	return w->phase == WS_OPEN && w->s.conn != NULL &&
	    w->s.conn->state == CONN_OPEN;
}

int
ws_init(struct server *srv, struct error *err)
{
	srv->ws = calloc(1, sizeof(*srv->ws));
	if (srv->ws == NULL)
		return error_nomem(err, "WebSockets");
	pool_init(&srv->ws->pool, sizeof(struct ws));
	buf_init(&srv->ws->inflated, 0);
	buf_init(&srv->ws->deflated, 0);
	return 0;
}

void
ws_done(struct server *srv)
{
	if (srv->ws == NULL)
		return;
	pool_done(&srv->ws->pool);
	ws_zlib_free(srv->ws->zlib);
	buf_done(&srv->ws->inflated);
	buf_done(&srv->ws->deflated);
	free(srv->ws);
	srv->ws = NULL;
}
