/* SPDX-License-Identifier: MIT */
/*
 * Chat: rooms in which people on any worker, and any machine, talk to each
 * other, with history, presence, and a page to try it.
 *
 * Owns the state of a worker (struct chat), from init() to fini().
 * Here: configuration, routes, state.  Not here: what is said (visitor.c).
 * Context: a worker's loop.  [chat.c] -> visitor.c -> message.c
 */
#include "chat.h"

#include <stdlib.h>
#include <string.h>

static const struct lane_field config[] = {
	{.name = "history", .where = LANE_IN_CONFIG, .type = LANE_TYPE_INT,
	    .max = 1000, .fallback = "50",
	    .help = "messages that a newcomer is shown, of those that the "
	    "rule for chat.room.* keeps"},
	{.name = "rate", .where = LANE_IN_CONFIG, .type = LANE_TYPE_FLOAT,
	    .min = 0.01, .max = 1000, .fallback = "5",
	    .help = "messages a second that a visitor may send"},
	{.name = "burst", .where = LANE_IN_CONFIG, .type = LANE_TYPE_INT,
	    .min = 1, .max = 1000, .fallback = "10",
	    .help = "and so many at once"},
	{.name = "grace_ms", .where = LANE_IN_CONFIG, .type = LANE_TYPE_INT,
	    .max = 600000, .fallback = "15000",
	    .help = "who was cut off and isn't back by then has left"},
	{.name = "user_header", .where = LANE_IN_CONFIG,
	    .type = LANE_TYPE_TEXT, .max = 100, .fallback = "X-User-ID",
	    .help = "names the user where there is no token; \"\" where "
	    "clients could set it themselves and that matters"},
	{0},
};

static const struct lane_field visit[] = {
	{.name = "room", .where = LANE_IN_QUERY, .type = LANE_TYPE_TEXT,
	    .pattern = ROOM_PATTERN, .fallback = "lobby"},
	{.name = "name", .where = LANE_IN_QUERY, .type = LANE_TYPE_TEXT,
	    .min = 1, .max = NAME_MAX_CHARS, .pattern = "[^\\x00-\\x1f\\x7f]+",
	    .help = "shown to others; else the user's id"},
	{.name = "user", .where = LANE_IN_QUERY, .type = LANE_TYPE_TEXT,
	    .pattern = "anonymous_[0-9]{8}",
	    .help = "the id that an anonymous visitor was given before"},
	{.name = "since", .where = LANE_IN_QUERY, .type = LANE_TYPE_TEXT,
	    .max = POSITION_BYTES - 1,
	    .help = "the id of the last message that was received"},
	{0},
};

static const struct lane_field room[] = {
	{.name = "room", .where = LANE_IN_PATH, .type = LANE_TYPE_TEXT,
	    .is_required = true, .pattern = ROOM_PATTERN},
	{0},
};

static const struct lane_route routes[] = {
	{.name = "redirect", .methods = "GET", .path = "/chat",
	    .run = page_redirect, .summary = "To the page"},
	{.name = "page", .methods = "GET", .path = "/chat/",
	    .run = page_file, .summary = "The page"},
	{.name = "file", .methods = "GET",
	    .path = "/chat/{file:[a-z]+\\.[a-z]+}", .run = page_file,
	    .summary = "What the page is made of"},
	{.name = "socket", .path = "/chat/socket", .fields = visit,
	    .websocket = &visitor_socket, .events = &visitor_events,
	    .summary = "Talks, or only listens"},
	{.name = "room", .methods = "GET", .path = "/chat/rooms/{room}",
	    .run = page_room, .fields = room,
	    .summary = "Who is there, and what was said"},
	{0},
};

static void
fini(void *state)
{
	struct chat *chat = state;

	/* Whose wait the server's end has cut short. */
	while (chat->leaving != NULL)
		visitor_free(chat->leaving);
	free(chat->user_header);
	free(chat);
}

static int
init_user_header(struct lane_init *in, struct chat *chat)
{
	struct lane_str name = lane_config_text(in, "user_header");

	if (name.len == 0)
		return 0;
	chat->user_header = strndup(name.p, name.len);
	return chat->user_header != NULL ? 0
	    : lane_init_fail(in, "user_header", "out of memory");
}

static int
init(struct lane_init *in)
{
	struct chat *chat = calloc(1, sizeof(*chat));

	if (chat == NULL)
		return lane_init_fail(in, NULL, "out of memory");
	chat->history = (unsigned)lane_config_int(in, "history");
	chat->rate = lane_config_float(in, "rate");
	chat->burst = (double)lane_config_int(in, "burst");
	chat->grace_ms = (unsigned)lane_config_int(in, "grace_ms");
	if (init_user_header(in, chat) != 0) {
		fini(chat);
		return -1;
	}
	chat->messages =
	    lane_counter(in, "messages_total", "Messages that were said");
	chat->limited = lane_counter(
	    in, "limited_total", "Messages refused because they came too fast");
	lane_init_state(in, chat);
	return 0;
}

LANE_MODULE(.name = "chat", .version = "1.0", .config = config,
    .routes = routes, .init = init, .fini = fini);
