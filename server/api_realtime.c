/* SPDX-License-Identifier: MIT */
/*
 * <corelane/realtime.h>: what callbacks do with their sockets, and channels.
 *
 * Owns nothing.  Invariant: no call here runs another callback of a module, but
 * for announce(), which its caller has asked for; a socket whose session is
 * over takes every call and does nothing.
 * Here: arguments checked, slices lent.  Not here: a socket's life (socket.c),
 * delivery (hub.c), rules and members (channel.c).
 * Context: a worker's loop.  module code -> [api_realtime.c] -> hub.c
 */
#include <corelane/realtime.h>

#include <errno.h>

#include "common/log.h"
#include "common/utf8.h"
#include "server/channel.h"
#include "server/ctx.h"
#include "server/internal.h"
#include "server/json_check.h"
#include "server/module.h"
#include "server/socket.h"

/* RFC 6455 5.5: a control frame has 125 bytes, two of them the code. */
#define REASON_MAX 123

/* State. */

static void
socket_drop_given(void *ptr)
{
	struct socket_given *given = ptr;

	if (given->drop != NULL)
		given->drop(given->state);
	given->drop = NULL;
}

void
lane_socket_give(struct lane_ctx *c, void *state, void (*drop)(void *state))
{
	struct socket_given *given = c->given;

	if (given != NULL)
		socket_drop_given(given);
	else
		given = arena_zalloc(c->arena, sizeof(*given));
	if (given == NULL) {
		if (drop != NULL)
			drop(state);
		return;
	}
	given->state = state;
	given->drop = drop;
	/* A failed defer has dropped it already. */
	if (c->given == NULL &&
	    arena_defer(c->arena, socket_drop_given, given) == -1)
		return;
	c->given = given;
}

void *
lane_socket_state(const struct lane_socket *s)
{
	return s->state;
}

uint64_t
lane_socket_id(const struct lane_socket *s)
{
	return s->id;
}

struct lane_socket *
lane_socket_find(struct lane_ctx *c, uint64_t id)
{
	return socket_find(c->srv, id);
}

struct lane_str
lane_socket_protocol(const struct lane_socket *s)
{
	return lane_of(s->ws != NULL ? ws_protocol(s->ws) : str_from(NULL, 0));
}

bool
lane_socket_is_events(const struct lane_socket *s)
{
	return s->is_events;
}

/* Sending. */

static enum lane_write_result
socket_result(enum session_sent sent)
{
	switch (sent) {
	case SESSION_OK:
		return LANE_OK;
	case SESSION_FULL:
		return LANE_FULL;
	case SESSION_DROPPED:
		return LANE_DROPPED;
	case SESSION_GONE:
		break;
	}
	return LANE_GONE;
}

/* The client would close with 1007, and the module wouldn't know why. */
static enum lane_write_result
socket_refuse_text(const struct lane_socket *s)
{
	s->srv->stats->handler_errors++;
	log_error("route %.*s: %.*s: a text that is no UTF-8 isn't sent",
	    STR_FMT(s->site->config->path), STR_FMT(s->route->name));
	return LANE_DROPPED;
}

enum lane_write_result
lane_socket_send(struct lane_socket *s, struct lane_str data, bool is_text)
{
	struct str text = str_of_lane(data);

	if (socket_session(s) == NULL)
		return LANE_GONE;
	if ((is_text || s->sse != NULL) && !utf8_is_valid(text))
		return socket_refuse_text(s);
	if (s->ws != NULL)
		return socket_result(ws_send(s->ws,
		    is_text ? WS_TEXT : WS_BINARY, text));
	return socket_result(sse_send(s->sse,
	    &(struct sse_event){.data = text}));
}

/* A line of an event can't hold what would end it. */
static bool
socket_is_line(struct str s)
{
	return memchr(s.p, '\n', s.len) == NULL &&
	    memchr(s.p, '\r', s.len) == NULL &&
	    memchr(s.p, '\0', s.len) == NULL;
}

enum lane_write_result
lane_socket_event(struct lane_socket *s, const struct lane_event *event)
{
	struct sse_event to = {
		.id = str_of_lane(event->id),
		.name = str_of(event->name),
		.data = str_of_lane(event->data),
		.retry_ms = event->retry_ms,
	};

	if (s->sse == NULL)
		return LANE_GONE;
	if (!utf8_is_valid(to.data) ||
	    (to.id.p != NULL && !socket_is_line(to.id)) ||
	    (to.name.p != NULL && !socket_is_line(to.name)))
		return socket_refuse_text(s);
	return socket_result(sse_send(s->sse, &to));
}

static bool
socket_may_close_with(unsigned code)
{
	return code == WS_CLOSE_NORMAL || (code >= 3000 && code <= 4999);
}

void
lane_socket_close(struct lane_socket *s, unsigned code, const char *reason)
{
	struct str text = str_of(reason != NULL ? reason : "");

	if (!socket_may_close_with(code)) {
		log_error("route %.*s: %.*s: closed with %u, which is no "
		    "module's code; 1000 is sent",
		    STR_FMT(s->site->config->path), STR_FMT(s->route->name),
		    code);
		code = WS_CLOSE_NORMAL;
	}
	if (text.len > REASON_MAX)
		text.len = REASON_MAX;
	while (text.len > 0 && !utf8_is_valid(text))
		text.len--;
	if (s->ws != NULL)
		ws_close(s->ws, code, text);
	else if (s->sse != NULL)
		sse_close(s->sse, 0, "closed by its module");
}

/* Channels. */

static enum channel_content
publish_content(enum lane_publish_kind kind)
{
	switch (kind) {
	case LANE_PUBLISH_JSON:
		return CHANNEL_JSON;
	case LANE_PUBLISH_BINARY:
		return CHANNEL_BINARY;
	case LANE_PUBLISH_TEXT:
		break;
	}
	return CHANNEL_TEXT;
}

static enum lane_publish_kind
publish_kind(enum channel_content content)
{
	switch (content) {
	case CHANNEL_JSON:
	case CHANNEL_JOIN:
	case CHANNEL_LEAVE:
		return LANE_PUBLISH_JSON;
	case CHANNEL_BINARY:
		return LANE_PUBLISH_BINARY;
	case CHANNEL_TEXT:
		break;
	}
	return LANE_PUBLISH_TEXT;
}

static struct lane_str
position_text(struct arena *a, const struct channel_position *pos)
{
	char text[CHANNEL_POSITION_MAX];
	size_t len = channel_position_print(pos, text);

	return lane_of(arena_copy(a, str_from(text, len)));
}

int
lane_publish_to(struct lane_ctx *c, struct lane_str channel,
    struct lane_str data, enum lane_publish_kind kind,
    struct lane_str *position)
{
	struct channel_position pos;
	int rc = channel_publish(c->srv, str_of_lane(channel),
	    str_of_lane(data), publish_content(kind), &pos);

	if (rc == 0 && position != NULL)
		*position = position_text(c->arena, &pos);
	return rc;
}

int
lane_publish(struct lane_ctx *c, const char *channel, struct lane_str data,
    enum lane_publish_kind kind)
{
	return lane_publish_to(c, lane_str_of(channel), data, kind, NULL);
}

/* Who is told what came of a subscription. */
struct announce {
	struct lane_ctx *c;
	struct lane_socket *s;
	const struct lane_subscribe *args;
};

static void
subscribe_announce(struct session *session, const struct hub_subscribed *got,
    void *arg)
{
	struct announce *a = arg;

	a->args->announce(a->c, a->s,
	    position_text(a->c->arena, &got->position), got->was_recovered,
	    got->missed);
}

static enum hub_form
subscribe_form(const struct lane_socket *s, const struct lane_subscribe *args)
{
	if (s->is_events)
		return HUB_EVENT;
	return args->is_wrapped ? HUB_JSON : HUB_RAW;
}

/* Members' information is told as it is. */
static bool
is_info(struct str info)
{
	struct json_fault fault;

	return info.len <= CHANNEL_INFO_MAX && (info.len == 0 ||
	    json_check(info, JSON_DEPTH_DEFAULT, &fault) == 0);
}

int
lane_subscribe(struct lane_ctx *c, struct lane_socket *s,
    const struct lane_subscribe *args)
{
	struct str name = str_of(args->channel);
	struct announce announce = {c, s, args};
	struct hub_subscribe sub = {
		.channel = name,
		.rule = channel_rule(c->srv->config, name),
		.form = subscribe_form(s, args),
		.wants_recovery = args->since.p != NULL,
		.history = args->history,
		.announce = args->announce != NULL ? subscribe_announce : NULL,
		.arg = &announce,
	};
	const struct channel_who who = {str_of_lane(args->user),
	    str_of_lane(args->info)};

	if (socket_session(s) == NULL)
		return -ENOTCONN;
	if (!channel_pattern_is_valid(name) || (sub.wants_recovery &&
	    !channel_position_parse(str_of_lane(args->since), &sub.since)))
		return -EINVAL;
	if (sub.rule == NULL)
		return -ENOENT;
	if (args->user.p == NULL)
		return hub_subscribe(c->srv->hub, socket_session(s), &sub,
		    NULL);
	if (!is_info(who.info))
		return -EINVAL;
	s->presence.client = s->id;
	return channel_subscribe(socket_session(s), &s->presence, &sub, &who);
}

int
lane_unsubscribe(struct lane_socket *s, const char *channel)
{
	struct str name = str_of(channel);

	if (socket_session(s) == NULL)
		return -ENOTCONN;
	return channel_unsubscribe(socket_session(s), &s->presence, name);
}

/* What is kept, and who is there. */

struct history {
	struct arena *arena;
	void (*fn)(const struct lane_message *m, void *arg);
	void *arg;
	size_t count;
};

static void
history_on_entry(const struct channel_entry *e, void *arg)
{
	struct history *h = arg;
	struct channel_position pos;
	struct lane_message m = {
		.channel = lane_of(e->channel), .data = lane_of(e->data),
		.kind = publish_kind(e->content), .time_ms = e->time_ms,
	};

	/* Members who come and go aren't what was said. */
	if (e->content == CHANNEL_JOIN || e->content == CHANNEL_LEAVE)
		return;
	channel_entry_position(e, &pos);
	m.position = position_text(h->arena, &pos);
	h->fn(&m, h->arg);
	h->count++;
}

size_t
lane_history(struct lane_ctx *c, const char *channel, size_t max,
    void (*fn)(const struct lane_message *m, void *arg), void *arg)
{
	struct str name = str_of(channel);
	const struct config_channel *rule = channel_rule(c->srv->config, name);
	struct history h = {c->arena, fn, arg, 0};
	bool is_whole;

	if (rule != NULL)
		hub_history(c->srv->hub, &(struct hub_past){.channel = name,
			.rule = rule, .max = max},
		    &is_whole, history_on_entry, &h);
	return h.count;
}

uint64_t
lane_subscribers(struct lane_ctx *c, const char *channel)
{
	struct channel_state state;

	return channel_log_find(hub_log(c->srv->hub), str_of(channel), &state)
	    ? state.subscribers : 0;
}

struct members {
	void (*fn)(const struct lane_member *m, void *arg);
	void *arg;
};

static void
members_on_member(const struct channel_member *m, void *arg)
{
	struct members *list = arg;
	struct lane_member to = {.user = lane_of(m->user),
	    .info = lane_of(m->info), .client = m->client,
	    .since_ms = m->joined_ms};

	list->fn(&to, list->arg);
}

size_t
lane_members(struct lane_ctx *c, const char *channel, size_t max,
    void (*fn)(const struct lane_member *m, void *arg), void *arg)
{
	struct members list = {fn, arg};

	return channel_log_members(hub_log(c->srv->hub), str_of(channel), max,
	    members_on_member, &list);
}
