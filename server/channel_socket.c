/* SPDX-License-Identifier: MIT */
/*
 * Channels by WebSocket: the handshake, and what isn't the protocol.
 *
 *	GET /channels/room.1		messages are the data, both ways
 *	the same + corelane.json	the protocol, subscribed already
 *	GET /channels			the protocol
 *
 * Owns: the state of each such WebSocket.
 * Here: what is common, and the raw kind.  Not here: the protocol
 * (channel_protocol.c), frames (ws.c).
 * Context: a worker's loop.  handlers/channel.c -> [channel_socket.c] -> ws.c
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "server/channel_print.h"
#include "server/channel_route.h"
#include "server/internal.h"
#include "server/json_check.h"
#include "server/problem.h"
#include "server/query.h"

/* --- what requests ask for --- */

struct str
channel_query(struct request *r, const char *name)
{
	const struct query_list *list = query_parse(r->head->query, &r->arena);
	const struct pair *found =
	    list != NULL ? query_find(list, str_of(name), 0) : NULL;

	return found != NULL ? found->value : str_from(NULL, 0);
}

int
channel_refuse(struct request *r, int rc)
{
	const struct channel_failure *f = channel_failure(rc);
	struct lane_problem problem = {
		.status = f->status,
		.message = {f->message, strlen(f->message)},
		.retry_after_s = f->status == 503,
	};

	if (problem.retry_after_s > 0 &&
	    response_set(r, STR("Retry-After"), STR("1")) == -1)
		return -ENOMEM;
	return problem_set(r, &problem);
}

bool
channel_info_is_valid(struct str info)
{
	struct json_fault fault;

	return info.len <= CHANNEL_INFO_MAX && json_check(info, 8, &fault) == 0;
}

static struct channel_start *
start_alloc(struct str name, struct str info)
{
	struct channel_start *start =
	    calloc(1, sizeof(*start) + name.len + info.len);
	char *at;

	if (start == NULL)
		return NULL;
	at = mempcpy(start->text, name.p, name.len);
	if (info.len > 0)
		memcpy(at, info.p, info.len);
	start->args.channel = str_from(start->text, name.len);
	start->info = str_from(start->text + name.len, info.len);
	return start;
}

int
channel_start_new(struct request *r, struct channel_client *client,
    struct str name, struct str since, struct channel_start **ret_start)
{
	struct str info = channel_query(r, "info");
	struct str history = channel_query(r, "history");
	struct channel_start *start;
	uint64_t count = 0;
	int rc = channel_may(client, CHANNEL_SUBSCRIBE, name,
	    str_from(NULL, 0));

	if (rc < 0)
		return channel_refuse(r, rc);
	if (info.len > 0 && !channel_info_is_valid(info))
		return response_error(r, 400, "info: must be a JSON value of "
		    "at most 255 bytes");
	if (history.p != NULL && str_to_u64(history, &count) == -1)
		return response_error(r, 400, "history: must be a number");
	if ((start = start_alloc(name, info)) == NULL)
		return -ENOMEM;
	start->args.rule = channel_rule(r->srv->config, start->args.channel);
	start->args.history = count < CHANNEL_HISTORY_MAX ?
	    (unsigned)count :
	    CHANNEL_HISTORY_MAX;
	start->args.wants_recovery = since.p != NULL;
	if (since.p != NULL &&
	    !channel_position_parse(since, &start->args.since)) {
		free(start);
		return response_error(r, 400, "since: must be a position, as "
		    "\"5f3a9c21:42\"");
	}
	*ret_start = start;
	return 0;
}

void
channel_start_free(struct channel_start *start)
{
	struct channel_start *next;

	for (; start != NULL; start = next) {
		next = start->next;
		free(start);
	}
}

/* --- the WebSocket's life --- */

static void
socket_free(struct channel_socket *st)
{
	if (st == NULL)
		return;
	channel_presence_done(st->client.srv, &st->presence);
	channel_client_done(&st->client);
	channel_start_free(st->start);
	free(st->awaited);
	free(st);
}

const struct channel_route *
channel_socket_route(const struct ws *w)
{
	const char *options = (const char *)ws_options_of(w);

	return (const void *)(options - offsetof(struct channel_route, ws));
}

static bool
socket_is_protocol(const struct ws *w)
{
	return ws_protocol(w).p != NULL ||
	    !channel_socket_route(w)->names_channel;
}

static struct channel_socket *
socket_get(struct ws *w)
{
	struct channel_socket *st = ws_state(w);

	if (st != NULL)
		return st;
	st = calloc(1, sizeof(*st));
	if (st != NULL)
		st->client.srv = ws_server(w);
	ws_set_state(w, st);
	return st;
}

/* Drops a state that says nothing. */
static void
socket_trim(struct ws *w)
{
	struct channel_socket *st = ws_state(w);

	if (st == NULL || st->client.token != NULL ||
	    st->presence.seats != NULL || st->start != NULL ||
	    st->awaited != NULL || st->error_count > 0)
		return;
	ws_set_state(w, NULL);
	socket_free(st);
}

/* Data alone can't say that a part of it is missing. */
static void
raw_announce(struct session *s, const struct hub_subscribed *got, void *arg)
{
	const struct channel_start *start = arg;

	if (start->args.wants_recovery && !got->was_recovered)
		ws_close(ws_of_session(s), WS_CLOSE_LOST,
		    STR("what was missed is lost: come back without since"));
}

/* Subscribes a raw one: it is given nothing but data, and learns of failure by
 * the close. */
static void
socket_begin_raw(struct ws *w, struct channel_socket *st,
    struct channel_start *start)
{
	struct channel_who who = {channel_client_user(&st->client),
		start->info};
	int rc;

	start->args.form = HUB_RAW;
	start->args.announce = raw_announce;
	start->args.arg = start;
	rc = channel_subscribe(ws_session(w), &st->presence, &start->args,
	    &who);
	if (rc < 0 && rc != -ENOTCONN)
		ws_close(w, WS_CLOSE_TRY_LATER,
		    str_of(channel_failure(rc)->message));
}

static void
socket_begin(struct ws *w, struct channel_socket *st)
{
	struct channel_start *start = st->start;

	st->start = NULL;
	if (start != NULL && socket_is_protocol(w))
		channel_protocol_begin(w, st, start);
	else if (start != NULL)
		socket_begin_raw(w, st, start);
	channel_start_free(start);
}

/* Other machines' messages are here: what has waited is done as if it came
 * now, and then what came behind it. */
static void
socket_on_awaited(struct session *s, bool is_here)
{
	struct ws *w = ws_of_session(s);
	struct channel_socket *st = ws_state(w);
	char *text = st->awaited;

	st->awaited = NULL;
	st->is_awaited = true;
	st->never_waits = !is_here;
	if (st->start != NULL)
		socket_begin(w, st);
	else
		channel_protocol_message(w, st,
		    str_from(text, st->awaited_len), true);
	free(text);
	st->is_awaited = false;
	socket_trim(w);
	session_resume(s);
}

bool
channel_socket_awaits(struct ws *w, struct channel_socket *st,
    const struct hub_subscribe *args)
{
	if (st->never_waits || st->is_awaited ||
	    !hub_await(st->client.srv->hub, ws_session(w), args,
		socket_on_awaited))
		return false;
	session_pause(ws_session(w));
	return true;
}

static void
socket_open(struct ws *w)
{
	struct channel_socket *st = ws_state(w);

	ws_set_expiry(w, channel_client_expiry(&st->client));
	if (st->start != NULL &&
	    !channel_socket_awaits(w, st, &st->start->args))
		socket_begin(w, st);
	socket_trim(w);
}

static unsigned
raw_close_code(int rc)
{
	switch (rc) {
	case -EMSGSIZE:
		return WS_CLOSE_TOO_BIG;
	case -EACCES:
	case -ENOKEY:
	case -EKEYREJECTED:
	case -EINVAL:
		return WS_CLOSE_POLICY;
	default:
		return WS_CLOSE_TRY_LATER;
	}
}

/* The message is published as it is. */
static void
socket_publish_raw(struct ws *w, struct channel_socket *st, struct str data,
    bool is_text)
{
	struct str name = hub_channel_of(ws_session(w));
	int rc = -EACCES;

	if (channel_socket_route(w)->cfg->channel.publish)
		rc = channel_may(&st->client, CHANNEL_PUBLISH, name, data);
	/* Text has been checked while it came. */
	if (rc == 0)
		rc = channel_check(st->client.srv->config, name, data,
		    CHANNEL_BINARY, NULL);
	if (rc == 0)
		rc = channel_publish_checked(st->client.srv, name, data,
		    is_text ? CHANNEL_TEXT : CHANNEL_BINARY, NULL);
	if (rc == 0)
		return;
	ws_close(w, raw_close_code(rc), str_of(rc == -EACCES ?
	    "publishing isn't allowed here" : channel_failure(rc)->message));
}

static void
socket_message(struct ws *w, struct str data, bool is_text)
{
	struct channel_socket *st = socket_get(w);

	if (st == NULL) {
		ws_close(w, WS_CLOSE_TRY_LATER, STR("no memory"));
		return;
	}
	if (socket_is_protocol(w))
		channel_protocol_message(w, st, data, is_text);
	else
		socket_publish_raw(w, st, data, is_text);
	socket_trim(w);
}

/* Its answers have gone: more may be asked. */
static void
socket_drain(struct ws *w)
{
	const struct channel_socket *st = ws_state(w);

	if (session_is_paused(ws_session(w)) &&
	    (st == NULL || (st->start == NULL && st->awaited == NULL)))
		session_resume(ws_session(w));
}

static void
socket_close(struct ws *w, unsigned code, struct str reason)
{
	socket_free(ws_state(w));
}

const struct ws_app channel_socket_app = {
	.name = "channel",
	.open = socket_open,
	.message = socket_message,
	.drain = socket_drain,
	.close = socket_close,
};

/* Where it was: of the query, as a browser can't set a field. */
static struct str
socket_since(struct request *r)
{
	struct str since = channel_query(r, "since");

	return since.p != NULL ? since : channel_query(r, "last_event_id");
}

int
channel_socket_accept(struct request *r, const struct channel_route *route)
{
	struct channel_socket *st = calloc(1, sizeof(*st));
	struct str name = request_param(r, STR("channel"));
	int rc;

	if (st == NULL)
		return -ENOMEM;
	rc = channel_client_init(&st->client, r);
	if (rc == 0 && route->names_channel)
		rc = channel_start_new(r, &st->client, name, socket_since(r),
		    &st->start);
	if (rc != 0) {
		socket_free(st);
		return rc;
	}
	return ws_accept(r, &route->ws, st, NULL);
}
