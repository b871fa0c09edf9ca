/* SPDX-License-Identifier: MIT */
/*
 * Channels as JSON: see channel_print.h.
 *
 * Owns nothing.
 * Here: words.  Not here: whom they are for.
 * Context: a worker's loop.
 */
#include "server/channel_print.h"

#include <errno.h>
#include <inttypes.h>

#include "server/internal.h"

/* An answer that is longer ends early: whoever wants the rest asks from its
 * last message on. */
#define HISTORY_BYTES_MAX (4u << 20)

void
channel_print_position(struct buf *out, const struct channel_position *pos)
{
	char text[CHANNEL_POSITION_MAX];
	size_t len = channel_position_print(pos, text);

	buf_add(out, STR("\"position\":\""));
	buf_add(out, str_from(text, len));
	buf_add_byte(out, '"');
}

void
channel_print_state(struct buf *out, struct server *srv, struct str name)
{
	struct channel_state state = {0};
	bool is_known = channel_log_find(hub_log(srv->hub), name, &state);

	buf_add(out, STR("\"channel\":"));
	buf_add_json(out, name);
	buf_add_byte(out, ',');
	if (is_known)
		channel_print_position(out, &state.position);
	else
		buf_add(out, STR("\"position\":null"));
	buf_printf(out, ",\"subscribers\":%" PRIu32, state.subscribers);
}

/* --- members --- */

static void
add_member(const struct channel_member *m, void *arg)
{
	struct buf *out = arg;

	if (out->len > 0 && out->p[out->len - 1] == '}')
		buf_add_byte(out, ',');
	buf_add_byte(out, '{');
	channel_member_print(m, out);
	buf_printf(out, ",\"since\":%" PRId64 "}", m->joined_ms);
}

void
channel_print_members(struct buf *out, struct server *srv,
    const struct config_channel *rule, struct str name)
{
	size_t max = (size_t)rule->members_max, count;

	buf_add(out, STR("\"members\":["));
	count = channel_log_members(hub_log(srv->hub), name, max, add_member,
	    out);
	buf_add_byte(out, ']');
	if (count > max)
		buf_printf(out, ",\"more\":true");
}

/* --- history --- */

static void
add_message(const struct channel_entry *e, void *arg)
{
	struct buf *out = arg;

	if (out->len > HISTORY_BYTES_MAX)
		return;
	if (out->len > 0 && out->p[out->len - 1] == '}')
		buf_add_byte(out, ',');
	hub_print_json(out, e);
}

void
channel_print_history(struct buf *out, struct server *srv, const char *key,
    const struct hub_past *past)
{
	struct hub_past bounded = *past;
	bool is_whole = false;

	buf_printf(out, "\"%s\":[", key);
	if (bounded.max > CHANNEL_HISTORY_MAX)
		bounded.max = CHANNEL_HISTORY_MAX;
	if (bounded.max > 0)
		(void)hub_history(srv->hub, &bounded, &is_whole, add_message,
		    out);
	buf_add_byte(out, ']');
	if (past->since != NULL)
		buf_printf(out, ",\"recovered\":%s",
		    is_whole ? "true" : "false");
}

/* --- failures --- */

const struct channel_failure *
channel_failure(int rc)
{
	static const struct channel_failure table[] = {
		{-EINVAL, 400, "BAD_NAME",
		    "a channel's name has 1 to 255 of A-Z a-z 0-9 . _ : -, a "
		    "pattern a * behind it"},
		{-EACCES, 403, "FORBIDDEN", "that isn't allowed here"},
		{-ENOKEY, 403, "FORBIDDEN",
		    "that takes a token, and the connection brought none"},
		{-EKEYREJECTED, 403, "FORBIDDEN",
		    "the token doesn't list this channel for that"},
		{-ENOENT, 404, "NOT_FOUND",
		    "no rule of the configuration has this channel"},
		{-EMSGSIZE, 413, "CONTENT_TOO_LARGE",
		    "longer than this channel's messages may be"},
		{-EEXIST, 409, "ALREADY_SUBSCRIBED",
		    "it is subscribed to already"},
		{-ENOSPC, 503, "BUSY", "too many channels are in use"},
		{-EBUSY, 503, "BUSY", "not now: try again in a moment"},
		{-ENOMEM, 503, "BUSY", "not now: try again in a moment"},
	};
	static const struct channel_failure other = {0, 500, "INTERNAL_ERROR",
		"it can't be done"};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].rc == rc)
			return &table[i];
	return &other;
}
