/* SPDX-License-Identifier: MIT */
/*
 * The JSON protocol "corelane.json": see channel.h.
 *
 *	message -> json_check -> call_read -> one of `requests` -> reply
 *
 * Requests are read as slices of the message, so that data is published as it
 * was written and ids come back as they were sent.
 *
 * Owns nothing beyond a call.  Invariant: each request has one answer, in the
 * order in which they came; a client that doesn't read its answers isn't read.
 * Here: the words.  Not here: what they do (channel.c, hub.c).
 * Context: a worker's loop.  channel_socket.c -> [channel_protocol.c]
 */
#include <errno.h>
#include <stdlib.h>

#include "server/channel_print.h"
#include "server/channel_route.h"
#include "server/internal.h"
#include "server/json_check.h"
#include "server/json_walk.h"

#define ID_BYTES_MAX 64
/* The message around what is published. */
#define REQUEST_DEPTH (CHANNEL_JSON_DEPTH + 1)
/* So many errors in so long are a flood. */
#define ERRORS_MAX 100
#define ERRORS_MS 10000
#define HISTORY_DEFAULT 100

/* One request, and who has sent it. */
struct call {
	struct ws *ws;
	struct channel_socket *st;
	struct server *srv;
	struct arena arena;
	struct str text;		/* the message; .len 0: there is none */
	/* As they stand in the message; .p NULL: not there. */
	struct str id, type, channel, since, data, info, history, limit;
	/* What they mean. */
	struct str name;
	struct channel_position position; /* with `since` */
	uint64_t count;			/* of `history` or `limit` */
};

/* --- answers --- */

/* {"id":1,"type":"subscribed" */
static void
reply_begin(struct buf *out, const struct call *call, const char *type)
{
	buf_init(out, 0);
	buf_add_byte(out, '{');
	if (call->id.p != NULL)
		buf_printf(out, "\"id\":%.*s,", STR_FMT(call->id));
	buf_printf(out, "\"type\":\"%s\"", type);
}

static void
reply_send(struct buf *out, const struct call *call)
{
	enum session_sent sent;

	buf_add_byte(out, '}');
	if (buf_failed(out)) {
		ws_close(call->ws, WS_CLOSE_TRY_LATER, STR("no memory"));
		buf_done(out);
		return;
	}
	sent = ws_send(call->ws, WS_TEXT, buf_str(out));
	buf_done(out);
	/* It asks faster than it reads: drain() goes on. */
	if (sent == SESSION_FULL)
		session_pause(ws_session(call->ws));
	else if (sent == SESSION_DROPPED)
		ws_close(call->ws, WS_CLOSE_TRY_LATER,
		    STR("answers aren't read"));
}

/* Errors don't close; a flood of them does. */
static bool
call_is_flood(const struct call *call)
{
	struct channel_socket *st = call->st;
	uint64_t now = session_now_ms(ws_session(call->ws));

	if (now - st->error_ms >= ERRORS_MS) {
		st->error_ms = now;
		st->error_count = 0;
	}
	return ++st->error_count > ERRORS_MAX;
}

/* Returns -1: nothing else is to be said. */
static int
call_fail(const struct call *call, const char *code, const char *message)
{
	struct buf out;

	if (call_is_flood(call)) {
		ws_close(call->ws, WS_CLOSE_POLICY, STR("too many errors"));
		return -1;
	}
	reply_begin(&out, call, "error");
	buf_printf(&out, ",\"code\":\"%s\",\"message\":", code);
	buf_add_json(&out, str_of(message));
	reply_send(&out, call);
	return -1;
}

static int
call_fail_with(const struct call *call, int rc)
{
	const struct channel_failure *f = channel_failure(rc);

	return call_fail(call, f->code, f->message);
}

/* --- reading requests --- */

/* The number of `history` or `limit`. */
static int
call_read_count(struct call *call, struct str value, uint64_t otherwise)
{
	call->count = otherwise;
	if (value.p != NULL && json_u64(value, &call->count) == -1)
		return call_fail(call, "BAD_REQUEST",
		    "history and limit are whole numbers");
	return 0;
}

static int
call_read_since(struct call *call)
{
	struct str text;

	if (call->since.p == NULL || json_kind(call->since) == 'n') {
		call->since.p = NULL;
		return 0;
	}
	text = json_text(call->since, &call->arena);
	if (text.p == NULL || !channel_position_parse(text, &call->position))
		return call_fail(call, "BAD_REQUEST",
		    "since is a position, as \"5f3a9c21:42\"");
	return 0;
}

/* The channel, for `action`; a pattern only where that is subscribed to. */
static int
call_read_channel(struct call *call, enum channel_action action)
{
	int rc;

	if (call->channel.p != NULL)
		call->name = json_text(call->channel, &call->arena);
	if (call->name.p == NULL)
		return call_fail(call, "BAD_REQUEST",
		    "channel is missing, or no string");
	rc = channel_may(&call->st->client, action, call->name, call->data);
	return rc < 0 ? call_fail_with(call, rc) : 0;
}

static int
call_need_name(const struct call *call)
{
	return channel_name_is_valid(call->name) ?
	    0 :
	    call_fail(call, "BAD_NAME",
		"a pattern can only be subscribed to");
}

/* --- requests --- */

/* The first answer, before what was missed. */
static void
call_announce(struct session *s, const struct hub_subscribed *got, void *arg)
{
	const struct call *call = arg;
	struct buf out;

	reply_begin(&out, call, "subscribed");
	buf_add(&out, STR(",\"channel\":"));
	buf_add_json(&out, call->name);
	buf_add_byte(&out, ',');
	channel_print_position(&out, &got->position);
	if (call->since.p != NULL)
		buf_printf(&out, ",\"recovered\":%s",
		    got->was_recovered ? "true" : "false");
	buf_printf(&out, ",\"missed\":%u,\"subscribers\":%u", got->missed,
	    got->subscribers);
	reply_send(&out, call);
}

static int
call_do_subscribe(struct call *call, struct hub_subscribe *args,
    struct str info)
{
	struct channel_who who = {channel_client_user(&call->st->client), info};
	int rc;

	args->form = HUB_JSON;
	args->announce = call_announce;
	args->arg = call;
	rc = channel_subscribe(ws_session(call->ws), &call->st->presence, args,
	    &who);
	if (rc < 0 && rc != -ENOTCONN)
		return call_fail_with(call, rc);
	return rc;
}

/* The request as it came, for when it can be done. */
static bool
call_awaits(struct call *call, const struct hub_subscribe *args)
{
	struct channel_socket *st = call->st;

	if (st->awaited != NULL || call->text.len == 0)
		return false;
	st->awaited = strndup(call->text.p, call->text.len);
	st->awaited_len = call->text.len;
	if (st->awaited != NULL && channel_socket_awaits(call->ws, st, args))
		return true;
	free(st->awaited);
	st->awaited = NULL;
	return false;
}

static int
request_subscribe(struct call *call)
{
	struct hub_subscribe args = {0};

	if (call_read_channel(call, CHANNEL_SUBSCRIBE) == -1 ||
	    call_read_since(call) == -1 ||
	    call_read_count(call, call->history, 0) == -1)
		return -1;
	if (call->info.p != NULL && !channel_info_is_valid(call->info))
		return call_fail(call, "BAD_REQUEST",
		    "info has at most 255 bytes");
	if (hub_count(ws_session(call->ws)) >= CHANNEL_SUBSCRIPTIONS_MAX)
		return call_fail(call, "TOO_MANY",
		    "a connection has at most 128 subscriptions");
	args.channel = call->name;
	args.wants_recovery = call->since.p != NULL;
	args.since = call->position;
	args.history = call->count < CHANNEL_HISTORY_MAX ?
	    (unsigned)call->count :
	    CHANNEL_HISTORY_MAX;
	return call_awaits(call, &args) ? 0 :
	    call_do_subscribe(call, &args, call->info);
}

static int
request_unsubscribe(struct call *call)
{
	struct buf out;

	if (call->channel.p != NULL)
		call->name = json_text(call->channel, &call->arena);
	if (call->name.p == NULL ||
	    channel_unsubscribe(ws_session(call->ws), &call->st->presence,
		call->name) < 0)
		return call_fail(call, "NOT_SUBSCRIBED",
		    "there is no such subscription");
	reply_begin(&out, call, "unsubscribed");
	buf_add(&out, STR(",\"channel\":"));
	buf_add_json(&out, call->name);
	reply_send(&out, call);
	return 0;
}

static int
request_publish(struct call *call)
{
	const struct config *cfg = call->srv->config;
	struct channel_position position;
	struct buf out;
	int rc;

	if (call->data.p == NULL)
		return call_fail(call, "BAD_REQUEST", "data is missing");
	if (!channel_socket_route(call->ws)->cfg->channel.publish)
		return call_fail_with(call, -EACCES);
	if (call_read_channel(call, CHANNEL_PUBLISH) == -1)
		return -1;
	/* It is JSON, as a part of the message that was checked. */
	rc = channel_check(cfg, call->name, call->data, CHANNEL_BINARY, NULL);
	if (rc == 0)
		rc = channel_publish_checked(call->srv, call->name, call->data,
		    CHANNEL_JSON, &position);
	if (rc < 0)
		return call_fail_with(call, rc);
	reply_begin(&out, call, "published");
	buf_add_byte(&out, ',');
	channel_print_position(&out, &position);
	reply_send(&out, call);
	return 0;
}

static int
request_presence(struct call *call)
{
	const struct config_channel *rule;
	struct buf out;

	if (call_read_channel(call, CHANNEL_SUBSCRIBE) == -1 ||
	    call_need_name(call) == -1)
		return -1;
	rule = channel_rule(call->srv->config, call->name);
	reply_begin(&out, call, "presence");
	buf_add_byte(&out, ',');
	channel_print_state(&out, call->srv, call->name);
	if (rule->presence == PRESENCE_MEMBERS) {
		buf_add_byte(&out, ',');
		channel_print_members(&out, call->srv, rule, call->name);
	}
	reply_send(&out, call);
	return 0;
}

static int
request_history(struct call *call)
{
	struct hub_past past = {0};
	struct buf out;

	if (call_read_channel(call, CHANNEL_SUBSCRIBE) == -1 ||
	    call_need_name(call) == -1 || call_read_since(call) == -1 ||
	    call_read_count(call, call->limit, HISTORY_DEFAULT) == -1)
		return -1;
	past.channel = call->name;
	past.rule = channel_rule(call->srv->config, call->name);
	past.since = call->since.p != NULL ? &call->position : NULL;
	past.max = call->count < CHANNEL_HISTORY_MAX ? (size_t)call->count :
	    CHANNEL_HISTORY_MAX;
	reply_begin(&out, call, "history");
	buf_add_byte(&out, ',');
	channel_print_state(&out, call->srv, call->name);
	buf_add_byte(&out, ',');
	channel_print_history(&out, call->srv, "messages", &past);
	reply_send(&out, call);
	return 0;
}

static int
request_ping(struct call *call)
{
	struct buf out;

	reply_begin(&out, call, "pong");
	reply_send(&out, call);
	return 0;
}

static const struct {
	struct str type;
	int (*run)(struct call *call);
} requests[] = {
	{STR_INIT("publish"), request_publish},
	{STR_INIT("subscribe"), request_subscribe},
	{STR_INIT("unsubscribe"), request_unsubscribe},
	{STR_INIT("presence"), request_presence},
	{STR_INIT("history"), request_history},
	{STR_INIT("ping"), request_ping},
};

/* --- messages --- */

static void
call_take(struct call *call, struct str key, struct str value)
{
	const struct {
		struct str key;
		struct str *to;
	} fields[] = {
		{STR("id"), &call->id},
		{STR("type"), &call->type},
		{STR("channel"), &call->channel},
		{STR("data"), &call->data},
		{STR("since"), &call->since},
		{STR("history"), &call->history},
		{STR("limit"), &call->limit},
		{STR("info"), &call->info},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (str_eq(key, fields[i].key))
			*fields[i].to = value;
}

/* What an id may be: it is sent back as it came. */
static bool
id_is_good(struct str id)
{
	char kind = json_kind(id);

	if (kind == '"')
		return id.len <= ID_BYTES_MAX + strlen("\"\"");
	return id.p == NULL || (kind == '0' && id.len <= ID_BYTES_MAX);
}

static int
call_read(struct call *call, struct str text)
{
	struct json_fault fault;
	struct json_walk w;
	struct str key, value, trimmed = text;
	static const char not_object[] = "a message is a JSON object";

	if (json_check(text, REQUEST_DEPTH, &fault) == -1)
		return call_fail(call, "BAD_REQUEST",
		    fault.what != NULL ? fault.what : "no memory");
	while (trimmed.len > 0 && strchr(" \n\t\r", trimmed.p[0]) != NULL)
		trimmed = str_from(trimmed.p + 1, trimmed.len - 1);
	if (json_kind(trimmed) != '{')
		return call_fail(call, "BAD_REQUEST", not_object);
	json_walk_init(&w, trimmed);
	while (json_walk_member(&w, &call->arena, &key, &value))
		call_take(call, key, value);
	if (!id_is_good(call->id)) {
		call->id.p = NULL;
		return call_fail(call, "BAD_REQUEST",
		    "id is a number or a string of at most 64 bytes");
	}
	return 0;
}

static void
call_run(struct call *call)
{
	struct str type = json_text(call->type, &call->arena);

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (type.p != NULL && str_eq(type, requests[i].type)) {
			(void)requests[i].run(call);
			return;
		}
	(void)call_fail(call, "BAD_REQUEST",
	    "type is subscribe, unsubscribe, publish, presence, history or "
	    "ping");
}

static void
call_init(struct call *call, struct ws *w, struct channel_socket *st)
{
	*call = (struct call){.ws = w, .st = st, .srv = st->client.srv};
	arena_init(&call->arena, &call->srv->arenas);
}

void
channel_protocol_message(struct ws *w, struct channel_socket *st,
    struct str data, bool is_text)
{
	struct call call;

	call_init(&call, w, st);
	call.text = data;
	if (!is_text)
		(void)call_fail(&call, "BAD_REQUEST",
		    "a message is a text: a JSON object");
	else if (call_read(&call, data) == 0)
		call_run(&call);
	arena_done(&call.arena);
}

void
channel_protocol_begin(struct ws *w, struct channel_socket *st,
    struct channel_start *start)
{
	struct call call;

	call_init(&call, w, st);
	call.name = start->args.channel;
	/* Whether it was said, for the answer. */
	if (start->args.wants_recovery)
		call.since = STR("\"\"");
	(void)call_do_subscribe(&call, &start->args, start->info);
	arena_done(&call.arena);
}
