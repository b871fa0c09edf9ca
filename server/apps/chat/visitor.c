/* SPDX-License-Identifier: MIT */
/*
 * A visitor of a room: his socket from the handshake to the end.
 *
 *	client -> {"type":"message","content","message_type"?}
 *	          {"type":"typing"}  {"type":"who"}
 *	server -> {"type":"welcome","room","user_id","username","position",
 *	           "recovered","missed"}, then what was missed, then as it comes
 *	          {"type":"message","channel","id","time","data":{...}}
 *	          {"type":"join" | "leave", ...} of chat.live.*
 *	          {"type":"presence","subscribers","members":[...]}
 *	          {"type":"error","code","message"}
 *
 * Owns a struct visitor for each socket, from authorize() to close().
 * Here: who he is, how often he may speak, coming and going.  Not here: what a
 * message is made of (message.c).
 * Context: a worker's loop.  chat.c -> [visitor.c] -> message.c, people.c
 */
#include "chat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <cjson/cJSON.h>

/* Who goes on after so many refusals in a row isn't a person. */
#define LIMITED_MAX 100
#define TYPING_MS 1000
#define MESSAGE_BYTES 65536

/* Stay away; come back later: <corelane/realtime.h>. */
#define CLOSE_FLOOD 3508
#define CLOSE_LATER 3013

/* Who he is. */

static bool
is_id(struct lane_str id)
{
	size_t i;

	for (i = 0; i < id.len; i++) {
		char b = id.p[i];

		if (!(b >= '0' && b <= '9') && !(b >= 'a' && b <= 'z') &&
		    !(b >= 'A' && b <= 'Z') && memchr("._@:|-", b, 6) == NULL)
			return false;
	}
	return id.len > 0 && id.len <= USER_MAX;
}

static void
set_text(char *to, size_t size, struct lane_str text)
{
	snprintf(to, size, "%.*s", LANE_FMT(text));
}

static void
set_anonymous(struct visitor *v)
{
	uint32_t n = 0;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		n = (uint32_t)(uintptr_t)v;
	snprintf(v->user, sizeof(v->user), "anonymous_%08u", n % 100000000);
}

/* The token's subject, else the header that is believed, else what an anonymous
 * visitor was called before. */
static void
set_user(struct lane_ctx *c, const struct chat *chat, struct visitor *v)
{
	struct lane_str sub = lane_attr_text(c, "jwt.sub");
	struct lane_str header = {NULL, 0}, before = lane_arg_text(c, "user");

	if (chat->user_header != NULL)
		header = lane_header(c, chat->user_header);
	if (is_id(sub))
		set_text(v->user, sizeof(v->user), sub);
	else if (is_id(header))
		set_text(v->user, sizeof(v->user), header);
	else if (before.len > 0)
		set_text(v->user, sizeof(v->user), before);
	else
		set_anonymous(v);
}

static int
set_name(struct lane_ctx *c, struct visitor *v)
{
	struct lane_str name = lane_attr_text(c, "jwt.name");

	if (name.len == 0)
		name = lane_arg_text(c, "name");
	if (name.len == 0)
		name = lane_str_of(v->user);
	name = message_escape(c, name, NAME_MAX_CHARS);
	if (name.p == NULL)
		return -ENOMEM;
	set_text(v->name, sizeof(v->name), name);
	return LANE_NEXT;
}

void
visitor_free(struct visitor *v)
{
	if (v->prev != NULL) {
		*v->prev = v->next;
		if (v->next != NULL)
			v->next->prev = v->prev;
	}
	free(v);
}

static void
drop(void *state)
{
	visitor_free(state);
}

static int
authorize(struct lane_ctx *c)
{
	const struct chat *chat = lane_state(c);
	struct visitor *v = calloc(1, sizeof(*v));
	struct lane_str room = lane_arg_text(c, "room");
	struct lane_str since = lane_arg_text(c, "since");

	if (v == NULL)
		return -ENOMEM;
	lane_socket_give(c, v, drop);
	/* What an EventSource says by itself. */
	if (since.len == 0)
		since = lane_header(c, "Last-Event-ID");
	set_text(v->since, sizeof(v->since), since);
	set_text(v->room, sizeof(v->room),
	    lane_format(c, "chat.room.%.*s", LANE_FMT(room)));
	set_text(v->live, sizeof(v->live),
	    lane_format(c, "chat.live.%.*s", LANE_FMT(room)));
	set_user(c, chat, v);
	v->tokens = chat->burst;
	v->tokens_ms = lane_now_ms(c);
	return set_name(c, v);
}

/* Coming. */

static void
tell(struct lane_socket *s, struct lane_json_writer *w)
{
	struct lane_str text = lane_json_text(w);

	if (text.p != NULL)
		lane_socket_send(s, text, true);
}

static int
tell_error(struct lane_ctx *c, struct lane_socket *s, const char *code,
    const char *message)
{
	struct lane_json_writer *w = lane_json_new(c);

	lane_json_object(w);
	lane_json_add_str(w, "type", LANE_STR("error"));
	lane_json_add_str(w, "code", lane_str_of(code));
	lane_json_add_str(w, "message", lane_str_of(message));
	lane_json_end(w);
	tell(s, w);
	return 200;
}

static void
welcome(struct lane_ctx *c, struct lane_socket *s, struct lane_str position,
    bool recovered, unsigned missed)
{
	const struct visitor *v = lane_socket_state(s);
	struct lane_json_writer *w = lane_json_new(c);

	lane_json_object(w);
	lane_json_add_str(w, "type", LANE_STR("welcome"));
	lane_json_add_str(
	    w, "room", lane_str_of(v->room + strlen("chat.room.")));
	lane_json_add_str(w, "user_id", lane_str_of(v->user));
	lane_json_add_str(w, "username", lane_str_of(v->name));
	lane_json_add_str(w, "position", position);
	lane_json_add_bool(w, "resumed", v->since[0] != '\0');
	lane_json_add_bool(w, "recovered", recovered);
	lane_json_add_int(w, "missed", missed);
	lane_json_end(w);
	tell(s, w);
}

/* A position that can't be read is none. */
static int
subscribe_room(struct lane_ctx *c, struct lane_socket *s, struct visitor *v)
{
	const struct chat *chat = lane_state(c);
	struct lane_subscribe args = {.channel = v->room, .is_wrapped = true,
	    .history = chat->history,
	    .announce = lane_socket_is_events(s) ? NULL : welcome};
	int rc = -EINVAL;

	if (v->since[0] != '\0') {
		args.since = lane_str_of(v->since);
		rc = lane_subscribe(c, s, &args);
		args.since.p = NULL;
	}
	return rc == -EINVAL ? lane_subscribe(c, s, &args) : rc;
}

static int
subscribe_live(struct lane_ctx *c, struct lane_socket *s, struct visitor *v)
{
	struct lane_json_writer *w = lane_json_new(c);

	lane_json_object(w);
	lane_json_add_str(w, "username", lane_str_of(v->name));
	lane_json_end(w);
	return lane_subscribe(c, s,
	    &(struct lane_subscribe){.channel = v->live, .is_wrapped = true,
		.user = lane_str_of(v->user), .info = lane_json_text(w)});
}

/* "User Ada joined the chat": to all in the room. */
static int
tell_room(struct lane_ctx *c, const struct visitor *v, const char *what)
{
	return message_publish(c, v, MESSAGE_SYSTEM,
	    lane_format(c, "User %s %s the chat", v->name, what));
}

static int
open_socket(struct lane_ctx *c, struct lane_socket *s)
{
	struct visitor *v = lane_socket_state(s);
	int rc = subscribe_room(c, s, v);

	if (rc == 0)
		rc = subscribe_live(c, s, v);
	/* Who comes back hasn't been away, to others. */
	if (rc == 0 && v->since[0] == '\0')
		rc = tell_room(c, v, "joined");
	if (rc == -ENOSPC || rc == -EBUSY) {
		lane_socket_close(s, CLOSE_LATER, "no room for more people");
		return 200;
	}
	return rc == 0 || rc == -ENOTCONN ? 200 : rc;
}

static int
open_events(struct lane_ctx *c, struct lane_socket *s)
{
	int rc = subscribe_room(c, s, lane_socket_state(s));

	return rc == 0 || rc == -ENOTCONN ? 200 : rc;
}

/* What he says. */

/* Takes a token of his bucket. */
static bool
may_speak(struct lane_ctx *c, struct visitor *v)
{
	const struct chat *chat = lane_state(c);
	int64_t now_ms = lane_now_ms(c);

	v->tokens += (double)(now_ms - v->tokens_ms) / 1000 * chat->rate;
	if (v->tokens > chat->burst)
		v->tokens = chat->burst;
	v->tokens_ms = now_ms;
	if (v->tokens < 1)
		return false;
	v->tokens -= 1;
	return true;
}

static int
refuse_flood(struct lane_ctx *c, struct lane_socket *s, struct visitor *v)
{
	const struct chat *chat = lane_state(c);

	lane_count(chat->limited, 1);
	if (++v->limited > LIMITED_MAX) {
		lane_socket_close(s, CLOSE_FLOOD, "far too many messages");
		return 200;
	}
	return tell_error(c, s, "RATE_LIMIT", "Too many messages: wait a bit");
}

static bool
is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '\0';
}

static int
say(struct lane_ctx *c, struct lane_socket *s, const cJSON *message)
{
	const struct chat *chat = lane_state(c);
	struct visitor *v = lane_socket_state(s);
	const char *text = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(message, "content"));
	const cJSON *type =
	    cJSON_GetObjectItemCaseSensitive(message, "message_type");
	enum message_kind kind = MESSAGE_TEXT;
	int rc;

	if (!may_speak(c, v))
		return refuse_flood(c, s, v);
	v->limited = 0;
	v->typing_ms = 0;	/* what he types next is something new */
	if (text == NULL || is_blank(text))
		return tell_error(c, s, "EMPTY", "A message has a content");
	if (type != NULL && (!cJSON_IsString(type) ||
	    !message_kind_of(type->valuestring, &kind)))
		return tell_error(c, s, "MESSAGE_TYPE",
		    "A message is Text, Image or File");
	rc = message_publish(c, v, kind,
	    message_escape(c, lane_str_of(text), CONTENT_MAX_CHARS));
	if (rc == 0)
		lane_count(chat->messages, 1);
	else if (rc == -EBUSY || rc == -ENOSPC)
		return tell_error(c, s, "BUSY", "Not sent: try again");
	return rc == 0 ? 200 : rc;
}

/* Of no weight: more often than once a second it isn't told, nor where it
 * can't be. */
static int
type(struct lane_ctx *c, struct visitor *v)
{
	struct lane_json_writer *w = lane_json_new(c);
	int64_t now_ms = lane_now_ms(c);
	int rc;

	if (v->typing_ms != 0 && now_ms - v->typing_ms < TYPING_MS)
		return 200;
	v->typing_ms = now_ms;
	lane_json_object(w);
	lane_json_add_str(w, "typing", lane_str_of(v->user));
	lane_json_add_str(w, "username", lane_str_of(v->name));
	lane_json_end(w);
	rc = lane_publish(c, v->live, lane_json_text(w), LANE_PUBLISH_JSON);
	return rc == -ENOMEM ? rc : 200;
}

static int
take(struct lane_ctx *c, struct lane_socket *s, const cJSON *message)
{
	const char *what = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(message, "type"));

	if (what == NULL || strcmp(what, "message") == 0)
		return say(c, s, message);
	if (strcmp(what, "typing") == 0)
		return type(c, lane_socket_state(s));
	if (strcmp(what, "who") == 0)
		return people_send(c, s, lane_socket_state(s));
	return tell_error(c, s, "TYPE", "There is message, typing and who");
}

static void
delete_tree(void *tree)
{
	cJSON_Delete(tree);
}

static int
on_message(struct lane_ctx *c, struct lane_socket *s, struct lane_str data,
    bool is_text)
{
	cJSON *message = is_text ? cJSON_ParseWithLength(data.p, data.len)
	    : NULL;

	if (message != NULL && lane_defer(c, delete_tree, message) != 0)
		return -ENOMEM;
	if (!cJSON_IsObject(message))
		return tell_error(c, s, "JSON", "A message is a JSON object");
	return take(c, s, message);
}

/* Going. */

static int
left(struct lane_ctx *c, void *state)
{
	const struct visitor *v = state;

	/* Another tab of his, or he is back, on whatever worker. */
	return people_has(c, v) || tell_room(c, v, "left") == 0 ? 200 : -EBUSY;
}

static int
leave_later(struct lane_ctx *c, void *state)
{
	const struct chat *chat = lane_state(c);
	int rc = lane_defer(c, drop, state);

	return rc != 0 ? rc : lane_after(c, chat->grace_ms, left, state);
}

/* He may be back soon.  The list has those whose task the server never runs. */
static void
wait_for(struct lane_ctx *c, struct visitor *v)
{
	struct chat *chat = lane_state(c);

	v->next = chat->leaving;
	v->prev = &chat->leaving;
	if (v->next != NULL)
		v->next->prev = &v->next;
	chat->leaving = v;
	if (lane_spawn(c, leave_later, v) != 0)
		visitor_free(v);
}

static void
on_close(struct lane_ctx *c, struct lane_socket *s, unsigned code,
    struct lane_str reason)
{
	struct visitor *v = lane_socket_state(s);

	/* 1000, 1001: he has closed it, or his page. */
	if (code != 1000 && code != 1001) {
		wait_for(c, v);
		return;
	}
	(void)left(c, v);
	visitor_free(v);
}

static void
on_close_events(struct lane_ctx *c, struct lane_socket *s, unsigned code,
    struct lane_str reason)
{
	visitor_free(lane_socket_state(s));
}

const struct lane_socket_handler visitor_socket = {
	.authorize = authorize,
	.open = open_socket,
	.message = on_message,
	.close = on_close,
	.message_bytes = MESSAGE_BYTES,
};

const struct lane_socket_handler visitor_events = {
	.authorize = authorize,
	.open = open_events,
	.close = on_close_events,
};
