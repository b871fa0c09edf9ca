/* SPDX-License-Identifier: MIT */
/*
 * The inside of the chat module: a worker's state, a visitor's, and what its
 * files lend each other.
 *
 * Each room has two channels:
 *
 *	chat.room.NAME	what is said: with history, so that who comes back is
 *			given what was missed
 *	chat.live.NAME	who is there and who types: of the moment, no history
 *
 * Context: a worker's loop.
 */
#ifndef CORELANE_APPS_CHAT_H
#define CORELANE_APPS_CHAT_H

#include <corelane/corelane.h>

#define ROOM_MAX 32
#define ROOM_PATTERN "[A-Za-z0-9_-]{1,32}"
#define USER_MAX 63 /* bytes, as members have them */
#define NAME_MAX_CHARS 32
/* Every character as its longest entity. */
#define NAME_BYTES (6 * NAME_MAX_CHARS + 1)
#define CONTENT_MAX_CHARS 1000
#define CHANNEL_BYTES (16 + ROOM_MAX)
#define POSITION_BYTES 513

/* lane_state(): the configuration, and counters. */
struct chat {
	unsigned history; /* messages that a newcomer is shown */
	double rate, burst; /* messages a second, and at once */
	unsigned grace_ms; /* for who was cut off, before he has left */
	char *user_header; /* NULL: none is believed */
	struct lane_counter *messages, *limited;
	struct visitor *leaving; /* closed, but not gone yet */
};

/* lane_socket_state(). */
struct visitor {
	struct visitor *next, **prev; /* of chat->leaving; prev NULL: not */
	char user[USER_MAX + 1];
	char name[NAME_BYTES]; /* escaped, as all text that is sent */
	char room[CHANNEL_BYTES], live[CHANNEL_BYTES]; /* channels */
	char since[POSITION_BYTES]; /* where he was; "": nowhere */
	double tokens; /* messages that he may send now */
	int64_t tokens_ms; /* as of then */
	int64_t typing_ms; /* told last */
	unsigned limited; /* messages refused in a row */
};

/* visitor.c: the socket's callbacks. */
extern const struct lane_socket_handler visitor_socket, visitor_events;
void visitor_free(struct visitor *v);

/* message.c */
enum message_kind { MESSAGE_TEXT, MESSAGE_IMAGE, MESSAGE_FILE, MESSAGE_SYSTEM };
/* "Text" ... of a client; false: no such kind, or not his. */
bool message_kind_of(const char *text, enum message_kind *ret_kind);
/* Publishes it in the room, with an id and a time.  content: escaped.  user: ""
 * for the system's.  Returns as lane_publish(). */
int message_publish(struct lane_ctx *c, const struct visitor *v,
    enum message_kind kind, struct lane_str content) LANE_CHECKED;
/* &, <, >, " and ' as entities, each once; at most max_chars characters of the
 * text.  p == NULL: no memory. */
struct lane_str message_escape(
    struct lane_ctx *c, struct lane_str text, unsigned max_chars);

/* people.c: who is in a room. */
int people_send(
    struct lane_ctx *c, struct lane_socket *s, const struct visitor *v);
bool people_has(struct lane_ctx *c, const struct visitor *v);
void people_print(
    struct lane_ctx *c, struct lane_json_writer *w, const char *live);

/* page.c: what is served by HTTP. */
int page_redirect(struct lane_ctx *c);
int page_file(struct lane_ctx *c);
int page_room(struct lane_ctx *c);

#endif
