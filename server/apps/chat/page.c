/* SPDX-License-Identifier: MIT */
/*
 * What chat serves by plain HTTP: its page, which is built in, and what a room
 * looks like at this moment.
 *
 * Context: a worker's loop.  chat.c -> [page.c]
 */
#include "chat.h"

#include <stdio.h>
#include <string.h>

#include "web.h"

#define ROOM_HISTORY_MAX 100

/* Relative, so that it works behind a prefix. */
int
page_redirect(struct lane_ctx *c)
{
	return lane_redirect(c, 308, LANE_STR("chat/"));
}

static const char *
page_type(const char *name)
{
	const char *dot = strrchr(name, '.');

	if (strcmp(dot, ".js") == 0)
		return "text/javascript; charset=utf-8";
	if (strcmp(dot, ".css") == 0)
		return "text/css; charset=utf-8";
	return strcmp(dot, ".svg") == 0 ? "image/svg+xml"
	    : "text/html; charset=utf-8";
}

int
page_file(struct lane_ctx *c)
{
	struct lane_str name = lane_param(c, "file");
	const struct embedded *file;

	if (name.p == NULL)
		name = LANE_STR("index.html");
	for (file = chat_web; file->name != NULL; file++)
		if (lane_str_eq(lane_str_of(file->name), name))
			break;
	if (file->name == NULL)
		return lane_fail(c, 404, "no such file");
	lane_set(c, "Cache-Control", LANE_STR("no-cache"));
	return lane_send_lent(c, 200, page_type(file->name),
	    (struct lane_str){file->data, file->len});
}

static void
on_message(const struct lane_message *m, void *arg)
{
	struct lane_json_writer *w = arg;

	lane_json_raw(w, m->data);
}

int
page_room(struct lane_ctx *c)
{
	struct lane_str room = lane_arg_text(c, "room");
	struct lane_json_writer *w = lane_json_new(c);
	char channel[CHANNEL_BYTES];

	lane_json_object(w);
	lane_json_add_str(w, "room", room);
	snprintf(channel, sizeof(channel), "chat.live.%.*s", LANE_FMT(room));
	people_print(c, w, channel);
	snprintf(channel, sizeof(channel), "chat.room.%.*s", LANE_FMT(room));
	lane_json_key(w, "messages");
	lane_json_array(w);
	lane_history(c, channel, ROOM_HISTORY_MAX, on_message, w);
	lane_json_end(w);
	lane_json_end(w);
	return lane_json_send(w, 200);
}
