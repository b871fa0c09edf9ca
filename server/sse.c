/* SPDX-License-Identifier: MIT */
/*
 * Event streams: the response, heartbeats, the end.
 *
 * One deadline does for all that is due: the next heartbeat, the end of a life
 * or of a permission, the moment to leave a server that drains.  What is sent
 * only notes the time; the deadline finds out whether it was the last.
 *
 * Owns a stream until closed(), its app's state until then, too.
 * Here: the stream.  Not here: the form of an event (sse_format.c), where they
 * come from (hub.c, system_stream.c).
 * Context: the loop's thread.  session.c -> [sse.c] -> an sse_app
 */
#include "server/sse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/pool.h"
#include "server/accept.h"
#include "server/hub.h"
#include "server/internal.h"
#include "server/query.h"
#include "server/request.h"

/* Nobody sends to an event stream; who does for long is cut off. */
#define SSE_INPUT_MAX (64u << 10)
/* Where nothing else is due. */
#define SSE_LOOK_MS 3600000
/* A server that drains lets one go in about so many milliseconds. */
#define SSE_LEAVE_EACH_MS 1

/* An idle one is this and nothing else. */
struct sse {
	struct session s;		/* first */
	struct server *srv;
	const struct sse_options *options;	/* lent */
	void *state;			/* the app's */
	uint64_t end_ms;		/* CLOCK_MONOTONIC; 0: none */
	int64_t expiry_s;		/* CLOCK_REALTIME; 0: never */
	uint32_t sent_ms;		/* CLOCK_MONOTONIC, cut to 32 bits */
	uint32_t input_bytes;
	bool is_open;			/* counted */
	bool is_full;			/* the app waits for drain() */
	bool is_leaving;
};

struct sse_shared {
	struct pool pool;
	struct buf text;		/* one event, while it is made */
};

static const struct session_kind sse_kind;

static struct sse *
sse_from(struct session *s)
{
	return (struct sse *)s;
}

int
sse_init(struct server *srv)
{
	srv->sse = calloc(1, sizeof(*srv->sse));
	if (srv->sse == NULL)
		return -1;
	pool_init(&srv->sse->pool, sizeof(struct sse));
	buf_init(&srv->sse->text, 0);
	return 0;
}

void
sse_done(struct server *srv)
{
	if (srv->sse == NULL)
		return;
	pool_done(&srv->sse->pool);
	buf_done(&srv->sse->text);
	free(srv->sse);
	srv->sse = NULL;
}

bool
sse_is_asked(const struct request *r)
{
	struct str accept = request_get(r, FIELD_ACCEPT);

	return accept.p != NULL &&
	    accept_quality(accept, STR("text/event-stream")) > 0;
}

struct str
sse_last_id(struct request *r)
{
	struct str id = request_field(r, STR("Last-Event-ID"));
	const struct query_list *query;
	const struct pair *pair = NULL;

	if (id.p != NULL)
		return id;
	query = query_parse(r->head->query, &r->arena);
	if (query != NULL)
		pair = query_find(query, STR("last_event_id"), 0);
	return pair != NULL ? pair->value : str_from(NULL, 0);
}

/* Whoever is sent away comes back within the time again, not all at once. */
static int64_t
sse_jitter(struct sse *e)
{
	uint64_t retry_ms = (uint64_t)e->options->config->retry_ms;

	return (int64_t)(retry_ms +
	    random_u64(&e->srv->random) % (retry_ms + 1));
}

/* What is due next is looked at when the time has come. */
static void
sse_look_later(struct sse *e)
{
	int64_t heartbeat_ms = e->options->config->heartbeat_ms;
	uint64_t now_ms = session_now_ms(&e->s);
	int64_t in_ms = SSE_LOOK_MS, left_ms;

	if (heartbeat_ms > 0) {
		left_ms = heartbeat_ms - (int64_t)((uint32_t)now_ms -
		    e->sent_ms);
		in_ms = left_ms < in_ms ? left_ms : in_ms;
	}
	if (e->end_ms != 0) {
		left_ms = e->end_ms > now_ms ? (int64_t)(e->end_ms - now_ms)
		    : 0;
		in_ms = left_ms < in_ms ? left_ms : in_ms;
	}
	if (e->expiry_s != 0) {
		left_ms = (e->expiry_s - e->srv->clock.real_s) * 1000;
		in_ms = left_ms < in_ms ? left_ms : in_ms;
	}
	session_set_timer(&e->s, in_ms > 0 ? in_ms : 1);
}

static enum session_sent
sse_send_text(struct sse *e, struct str text)
{
	int r = session_send(&e->s, text);

	if (r == -1)
		return SESSION_GONE;
	e->sent_ms = (uint32_t)session_now_ms(&e->s);
	if (r == 0 || session_unsent(&e->s) < e->options->queue_bytes)
		return SESSION_OK;
	e->is_full = true;
	return SESSION_FULL;
}

static void
sse_begin(struct session *s)
{
	struct sse *e = sse_from(s);
	const struct config_sse *cfg = e->options->config;
	struct stats *stats = e->srv->stats;
	char text[40];
	int n = snprintf(text, sizeof(text), "retry: %" PRId64 "\n\n",
	    cfg->retry_ms);

	e->is_open = true;
	stats->sse_streams++;
	stats->sse_active++;
	if (cfg->lifetime_ms > 0)
		e->end_ms = session_now_ms(s) + (uint64_t)cfg->lifetime_ms;
	if (sse_send_text(e, str_from(text, (size_t)n)) == SESSION_GONE)
		return;
	sse_look_later(e);
	if (e->options->app->open != NULL)
		e->options->app->open(e);
}

static void
sse_advance(struct session *s, struct str *in)
{
	struct sse *e = sse_from(s);

	e->input_bytes += (uint32_t)(in->len < SSE_INPUT_MAX
	    ? in->len : SSE_INPUT_MAX);
	*in = str_from(NULL, 0);
	if (e->input_bytes >= SSE_INPUT_MAX)
		session_close(s, "sends to an event stream");
}

static void
sse_drained(struct session *s)
{
	struct sse *e = sse_from(s);

	sse_look_later(e);
	hub_drained(s);
	if (e->is_full && session_unsent(s) == 0) {
		e->is_full = false;
		if (e->options->app->drain != NULL)
			e->options->app->drain(e);
	}
}

static void
sse_on_deadline(struct session *s)
{
	struct sse *e = sse_from(s);
	int64_t heartbeat_ms = e->options->config->heartbeat_ms;
	uint64_t now_ms = session_now_ms(s);

	if (e->expiry_s != 0 && e->srv->clock.real_s >= e->expiry_s) {
		sse_close(e, 0, "its token has expired");
		return;
	}
	if (e->end_ms != 0 && now_ms >= e->end_ms) {
		sse_close(e, sse_jitter(e), e->is_leaving
		    ? "sent away: the server drains" : "lived long enough");
		return;
	}
	/* Behind what waits already a heartbeat says nothing. */
	if (heartbeat_ms > 0 && session_unsent(s) == 0 &&
	    (uint32_t)now_ms - e->sent_ms >= (uint64_t)heartbeat_ms &&
	    sse_send_text(e, STR(":\n\n")) == SESSION_GONE)
		return;
	sse_look_later(e);
}

/* All of them at once would come back at once. */
static void
sse_leave(struct session *s)
{
	struct sse *e = sse_from(s);
	struct server *srv = e->srv;
	uint64_t spread_ms = srv->stats->sse_active * SSE_LEAVE_EACH_MS;
	uint64_t max_ms = (uint64_t)srv->config->timeouts.drain_ms / 2;
	uint64_t at_ms;

	if (spread_ms > max_ms)
		spread_ms = max_ms;
	at_ms = session_now_ms(s) + 1 +
	    random_u64(&srv->random) % (spread_ms + 1);
	if (e->end_ms == 0 || at_ms < e->end_ms)
		e->end_ms = at_ms;
	e->is_leaving = true;
	sse_look_later(e);
}

static void
sse_closed(struct session *s, const char *reason)
{
	struct sse *e = sse_from(s);

	hub_forget(s);
	if (e->is_open)
		e->srv->stats->sse_active--;
	e->options->app->close(e);
	pool_put(&e->srv->sse->pool, e);
}

static const struct session_kind sse_kind = {
	.name = "sse",
	.begin = sse_begin,
	.advance = sse_advance,
	.drained = sse_drained,
	.on_deadline = sse_on_deadline,
	.leave = sse_leave,
	.closed = sse_closed,
};

int
sse_accept(struct request *r, const struct sse_options *options, void *state,
    struct sse **ret_sse)
{
	struct sse *e = pool_get(&r->srv->sse->pool);

	if (e == NULL) {
		struct sse none = {.srv = r->srv, .options = options,
		    .state = state};

		options->app->close(&none);
		return -ENOMEM;
	}
	memset(e, 0, sizeof(*e));
	e->s.kind = &sse_kind;
	e->srv = r->srv;
	e->options = options;
	e->state = state;
	/* The last one is nginx's: it passes on what comes as it comes. */
	if (response_set(r, STR("Content-Type"), STR("text/event-stream")) ==
	    -1 ||
	    response_set(r, STR("Cache-Control"), STR("no-cache")) == -1 ||
	    response_set(r, STR("X-Accel-Buffering"), STR("no")) == -1) {
		sse_closed(&e->s, "no memory for its head");
		return -ENOMEM;
	}
	if (ret_sse != NULL)
		*ret_sse = e;
	return response_upgrade(r, 200, &e->s);
}

struct session *
sse_session(struct sse *e)
{
	return &e->s;
}

struct sse *
sse_of_session(struct session *s)
{
	return s->kind == &sse_kind ? sse_from(s) : NULL;
}

struct server *
sse_server(const struct sse *e)
{
	return e->srv;
}

void *
sse_state(const struct sse *e)
{
	return e->state;
}

void
sse_set_state(struct sse *e, void *state)
{
	e->state = state;
}

const struct sse_options *
sse_options_of(const struct sse *e)
{
	return e->options;
}

void
sse_note_sent(struct session *s)
{
	struct sse *e = sse_from(s);

	e->sent_ms = (uint32_t)e->srv->clock.mono_ms;
}

void
sse_tag(struct session *s, struct buf *out)
{
	struct sse *e = sse_from(s);

	if (e->options->app->tag != NULL)
		e->options->app->tag(e, out);
	else
		hub_print_positions(s, out);
}

enum session_sent
sse_send(struct sse *e, const struct sse_event *event)
{
	struct buf *text = &e->srv->sse->text;
	enum session_sent sent;

	if (session_unsent(&e->s) >= e->options->queue_bytes)
		return SESSION_DROPPED;
	buf_clear(text);
	sse_format(text, event);
	if (buf_failed(text)) {
		e->srv->stats->memory_errors++;
		return SESSION_DROPPED;
	}
	sent = sse_send_text(e, buf_str(text));
	if (sent != SESSION_GONE)
		e->srv->stats->sse_events++;
	return sent;
}

void
sse_close(struct sse *e, int64_t retry_ms, const char *reason)
{
	char text[40];
	int n;

	if (retry_ms > 0) {
		n = snprintf(text, sizeof(text), "retry: %" PRId64 "\n\n",
		    retry_ms);
		if (session_send(&e->s, str_from(text, (size_t)n)) == -1)
			return;
	}
	hub_forget(&e->s);
	session_finish(&e->s, reason);
}

void
sse_set_expiry(struct sse *e, int64_t real_s)
{
	e->expiry_s = real_s;
	if (e->is_open)
		sse_look_later(e);
}
