/* SPDX-License-Identifier: MIT */
/*
 * Channels by event stream.
 *
 *	GET /channels/room.1			data is the data
 *	GET /channels?channel=a&channel=b.*	data is the protocol's object,
 *						which names the channel
 *
 * The first event of a channel is "subscribed" and tells whether what was
 * missed follows.  A browser comes back with the id of the last event and
 * nothing else.  So an event of a stream of several channels has an id that
 * says how far all of them are, "a=5f3a9c21:42,b=77d01e00:7": those that have
 * subscriptions as the hub knows them, and those that wait for theirs as the
 * client came with them.
 *
 * Owns: the state of each such stream.
 * Here: which channels, and where they begin.  Not here: events (sse.c),
 * fan-out (hub.c).
 * Context: a worker's loop.  handlers/channel.c -> [channel_stream.c] -> sse.c
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "server/channel_print.h"
#include "server/channel_route.h"
#include "server/internal.h"
#include "server/query.h"

/* Channels of one stream: the id of each event names all of them, and comes
 * back in a field that a head must hold. */
#define STREAM_CHANNELS_MAX 32

struct channel_stream {
	struct channel_client client;
	struct channel_presence presence;
	struct channel_start *start;	/* owned: those that wait */
	bool is_awaited;	/* the first has waited for other machines */
	bool never_waits;	/* that has taken too long once */
};

/* Of several channels: its route names none. */
static bool
stream_is_tagged(const struct sse *e)
{
	const char *options = (const char *)sse_options_of(e);
	const struct channel_route *route =
	    (const void *)(options - offsetof(struct channel_route, sse));

	return !route->names_channel;
}

static void
stream_free(struct channel_stream *st)
{
	if (st == NULL)
		return;
	channel_presence_done(st->client.srv, &st->presence);
	channel_client_done(&st->client);
	channel_start_free(st->start);
	free(st);
}

/* --- ids --- */

static void
stream_tag(struct sse *e, struct buf *out)
{
	const struct channel_stream *st = sse_state(e);
	const struct channel_start *start;
	char text[CHANNEL_POSITION_MAX];

	hub_print_positions(sse_session(e), out);
	start = st != NULL ? st->start : NULL;
	for (; start != NULL; start = start->next) {
		if (!start->args.wants_recovery)
			continue;
		if (out->len > 0)
			buf_add_byte(out, ',');
		buf_add(out, start->args.channel);
		buf_add_byte(out, '=');
		buf_add(out, str_from(text,
		    channel_position_print(&start->args.since, text)));
	}
}

/* What an id says of a channel; .p NULL: nothing. */
static struct str
id_find(struct str id, struct str name)
{
	struct str rest = id, part, key;

	/* Of a stream of one channel: its epoch tells whose it is. */
	if (str_find(id, '=') == id.len)
		return id;
	while (str_cut(&rest, ',', &part))
		if (str_cut(&part, '=', &key) && str_eq(key, name))
			return part;
	return str_from(NULL, 0);
}

/* --- the stream's life --- */

struct announcement {
	struct sse *sse;
	const struct channel_start *start;
};

/* Its id is there only when nothing that was missed comes behind it: whoever is
 * cut off between the two would never ask for that again. */
static void
stream_announce(struct session *s, const struct hub_subscribed *got, void *arg)
{
	const struct announcement *a = arg;
	struct sse_event event = {.name = STR("subscribed")};
	char id[CHANNEL_POSITION_MAX];
	struct buf data;

	buf_init(&data, 0);
	buf_add(&data, STR("{\"channel\":"));
	buf_add_json(&data, a->start->args.channel);
	buf_add_byte(&data, ',');
	channel_print_position(&data, &got->position);
	if (a->start->args.wants_recovery)
		buf_printf(&data, ",\"recovered\":%s",
		    got->was_recovered ? "true" : "false");
	buf_printf(&data, ",\"missed\":%u,\"subscribers\":%" PRIu32 "}",
	    got->missed, got->subscribers);
	event.data = buf_str(&data);
	if (got->missed == 0 && !stream_is_tagged(a->sse))
		event.id = str_from(id,
		    channel_position_print(&got->position, id));
	if (!buf_failed(&data))
		(void)sse_send(a->sse, &event);
	buf_done(&data);
}

static int
stream_subscribe(struct sse *e, struct channel_stream *st,
    struct channel_start *start)
{
	struct channel_who who = {channel_client_user(&st->client),
		start->info};
	struct announcement a = {e, start};

	start->args.form = stream_is_tagged(e) ? HUB_TAGGED : HUB_EVENT;
	start->args.announce = stream_announce;
	start->args.arg = &a;
	return channel_subscribe(sse_session(e), &st->presence, &start->args,
	    &who);
}

/* The id of a stream of several channels, of no event: the browser keeps it. */
static void
stream_send_tag(struct sse *e)
{
	struct buf text;

	buf_init(&text, 0);
	stream_tag(e, &text);
	if (!buf_failed(&text) && text.len > 0)
		(void)sse_send(e,
		    &(struct sse_event){.name = STR("position"),
			.id = buf_str(&text),
			.data = STR("")});
	buf_done(&text);
}

/* Drops a state that says nothing any more: most have neither token nor
 * seat. */
static void
stream_trim(struct sse *e)
{
	struct channel_stream *st = sse_state(e);

	if (st == NULL || st->client.token != NULL ||
	    st->presence.seats != NULL || st->start != NULL)
		return;
	sse_set_state(e, NULL);
	stream_free(st);
}

static void stream_begin(struct sse *e);

static void
stream_on_awaited(struct session *s, bool is_here)
{
	struct sse *e = sse_of_session(s);
	struct channel_stream *st = sse_state(e);

	st->is_awaited = true;
	st->never_waits = !is_here;
	stream_begin(e);
}

/* Whether other machines may have what the first that waits has missed: the
 * others wait with it. */
static bool
stream_awaits(struct sse *e, struct channel_stream *st)
{
	if (!st->never_waits && !st->is_awaited &&
	    hub_await(st->client.srv->hub, sse_session(e), &st->start->args,
		stream_on_awaited))
		return true;
	st->is_awaited = false;
	return false;
}

static void
stream_begin(struct sse *e)
{
	struct channel_stream *st = sse_state(e);
	struct channel_start *start;
	int rc;

	while ((start = st->start) != NULL) {
		if (stream_awaits(e, st))
			return;
		st->start = start->next;
		rc = stream_subscribe(e, st, start);
		free(start);
		if (rc == -ENOTCONN)
			return;
		if (rc < 0) {
			sse_close(e, 0, "a channel can't be subscribed to now");
			return;
		}
	}
	if (stream_is_tagged(e))
		stream_send_tag(e);
	stream_trim(e);
}

static void
stream_open(struct sse *e)
{
	const struct channel_stream *st = sse_state(e);

	sse_set_expiry(e, channel_client_expiry(&st->client));
	stream_begin(e);
}

static void
stream_close(struct sse *e)
{
	stream_free(sse_state(e));
}

const struct sse_app channel_stream_app = {
	.name = "channel",
	.open = stream_open,
	.tag = stream_tag,
	.close = stream_close,
};

/* --- requests --- */

/*
 * What the client has of a channel.  A browser sends the last id that it has
 * seen, whoever gave it, and gives up for ever where that is refused: what is
 * no position is one of another epoch, so that it is told that it has not
 * recovered.
 */
static struct str
stream_since(struct request *r, struct str id, struct str name)
{
	struct str since = id_find(id, name);
	struct channel_position pos;

	if (since.p != NULL && !channel_position_parse(since, &pos) &&
	    request_field(r, STR("Last-Event-ID")).p != NULL)
		return STR("00000001:0");
	return since;
}

/* Adds a channel behind those that are there.  Returns as
 * channel_start_new(). */
static int
stream_add(struct request *r, struct channel_stream *st, struct str name,
    struct str since)
{
	struct channel_start **at = &st->start;

	for (; *at != NULL; at = &(*at)->next)
		if (str_eq((*at)->args.channel, name))
			return 0;
	return channel_start_new(r, &st->client, name,
	    stream_since(r, since, name), at);
}

static int
stream_add_all(struct request *r, struct channel_stream *st, struct str since)
{
	const struct query_list *list = query_parse(r->head->query, &r->arena);
	const struct pair *pair;
	size_t n;
	int rc;

	if (list == NULL)
		return -ENOMEM;
	for (n = 0; (pair = query_find(list, STR("channel"), n)) != NULL; n++) {
		if (n == STREAM_CHANNELS_MAX)
			return response_error(r, 400,
			    "channel: at most 32 in one stream");
		rc = stream_add(r, st, pair->value, since);
		if (rc != 0)
			return rc;
	}
	if (n > 0)
		return 0;
	return response_error(r, 400, "channel: is missing: ?channel=a, or "
	    "/a where the path ends with it");
}

int
channel_stream_accept(struct request *r, const struct channel_route *route)
{
	struct channel_stream *st = calloc(1, sizeof(*st));
	struct str since = sse_last_id(r);
	int rc;

	if (st == NULL)
		return -ENOMEM;
	if (since.p == NULL || since.len == 0)
		since = channel_query(r, "since");
	rc = channel_client_init(&st->client, r);
	if (rc == 0)
		rc = route->names_channel ?
		    stream_add(r, st, request_param(r, STR("channel")), since) :
		    stream_add_all(r, st, since);
	if (rc != 0) {
		stream_free(st);
		return rc;
	}
	return sse_accept(r, &route->sse, st, NULL);
}
