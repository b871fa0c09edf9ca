/* SPDX-License-Identifier: MIT */
/*
 * Subscribing, and who is in a channel: see channel.h.
 *
 *	channel_subscribe -> hub -> table of members -> join
 *	the session's end --------> table of members -> leave
 *
 * Owns: the seats of each session.  Invariant: a session has a seat for each
 * member that it has in the shared table, so that none stays when it goes; what
 * a killed worker leaves there the supervisor takes out.
 * Here: members.  Not here: the table (common/channel_log.c), who may
 * (channel.c).
 * Context: a worker's loop.  channel_protocol.c -> [channel_presence.c] ->
 * hub.c
 */
#include <errno.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/utf8.h"
#include "server/channel.h"
#include "server/internal.h"
#include "server/sse.h"
#include "server/ws.h"

/* One place in one channel. */
struct channel_seat {
	struct channel_seat *next;
	uint64_t client;
	bool is_told;		/* leaving is news, too */
	size_t name_len, user_len, info_len;
	char text[];		/* the three of them */
};

static struct str
seat_name(const struct channel_seat *seat)
{
	return str_from(seat->text, seat->name_len);
}

static struct channel_seat *
seat_new(struct str name, const struct channel_who *who)
{
	struct channel_seat *seat = malloc(sizeof(*seat) + name.len +
	    who->user.len + who->info.len);
	char *at;

	if (seat == NULL)
		return NULL;
	*seat = (struct channel_seat){.name_len = name.len,
		.user_len = who->user.len,
		.info_len = who->info.len};
	at = mempcpy(seat->text, name.p, name.len);
	if (who->user.len > 0)
		at = mempcpy(at, who->user.p, who->user.len);
	if (who->info.len > 0)
		memcpy(at, who->info.p, who->info.len);
	return seat;
}

static struct channel_member
seat_member(const struct channel_seat *seat)
{
	const char *user = seat->text + seat->name_len;

	return (struct channel_member){
		.client = seat->client,
		.user = str_from(user, seat->user_len),
		.info = str_from(user + seat->user_len, seat->info_len),
	};
}

/* Tells the others.  What can't be told now (the log is busy) isn't told: the
 * table is what counts. */
static void
seat_tell(struct server *srv, const struct channel_seat *seat,
    enum channel_content content)
{
	struct channel_member m = seat_member(seat);
	struct buf text;

	buf_init(&text, 0);
	buf_add_byte(&text, '{');
	channel_member_print(&m, &text);
	buf_add_byte(&text, '}');
	if (!buf_failed(&text))
		(void)hub_publish(srv->hub,
		    &(struct channel_message){.channel = seat_name(seat),
			.data = buf_str(&text),
			.content = content,
			.time_ms = clock_now_real_ms()},
		    NULL);
	buf_done(&text);
}

/* At most CHANNEL_USER_MAX bytes, whole characters. */
static struct str
cut_user(struct str user)
{
	size_t at = 0, n;

	if (user.len <= CHANNEL_USER_MAX)
		return user;
	while ((n = utf8_length(str_from(user.p + at, user.len - at))) > 0 &&
	    at + n <= CHANNEL_USER_MAX)
		at += n;
	return str_from(user.p, at);
}

/* Takes a seat.  A full table, or no memory, costs the seat alone: the
 * subscription is there, its member isn't told. */
static void
presence_enter(struct server *srv, struct channel_presence *p,
    const struct hub_subscribe *args, const struct channel_who *who)
{
	struct channel_who fits = {cut_user(who->user), who->info};
	struct channel_seat *seat;
	struct channel_member m;

	if (args->rule->presence != PRESENCE_MEMBERS)
		return;
	/* One that waits to go may be this one, of a moment ago. */
	channel_presence_tick(srv);
	if (srv->seats_left != NULL)
		return;
	if (p->client == 0)
		p->client = random_u64(&srv->random) | 1;
	seat = seat_new(args->channel, &fits);
	if (seat == NULL)
		return;
	seat->client = p->client;
	m = seat_member(seat);
	m.reader = hub_reader(srv->hub);
	m.joined_ms = clock_now_real_ms();
	if (channel_log_member_add(hub_log(srv->hub), args->channel, &m) < 0) {
		free(seat);
		return;
	}
	seat->is_told = args->rule->join_leave;
	seat->next = p->seats;
	p->seats = seat;
	if (seat->is_told)
		seat_tell(srv, seat, CHANNEL_JOIN);
}

/* Returns -1 when the log is held by a process that is stopped. */
static int
seat_give_up(struct server *srv, struct channel_seat *seat)
{
	if (channel_log_member_remove(hub_log(srv->hub), seat_name(seat),
	    seat->client) == -EBUSY)
		return -1;
	if (seat->is_told)
		seat_tell(srv, seat, CHANNEL_LEAVE);
	free(seat);
	return 0;
}

/* Gives up the seat that *at points to, now or with a later tick. */
static void
presence_leave(struct server *srv, struct channel_seat **at)
{
	struct channel_seat *seat = *at;

	*at = seat->next;
	/* Behind others that wait it isn't tried: each would wait as long. */
	if (srv->seats_left == NULL && seat_give_up(srv, seat) == 0)
		return;
	seat->next = srv->seats_left;
	srv->seats_left = seat;
}

void
channel_presence_tick(struct server *srv)
{
	struct channel_seat *seat;

	while ((seat = srv->seats_left) != NULL) {
		srv->seats_left = seat->next;
		if (seat_give_up(srv, seat) == 0)
			continue;
		seat->next = srv->seats_left;
		srv->seats_left = seat;
		return;
	}
}

void
channel_presence_end(struct server *srv)
{
	struct channel_seat *seat;

	while ((seat = srv->seats_left) != NULL) {
		srv->seats_left = seat->next;
		free(seat);
	}
}

void
channel_presence_done(struct server *srv, struct channel_presence *p)
{
	while (p->seats != NULL)
		presence_leave(srv, &p->seats);
}

static struct server *
session_server(struct session *s)
{
	struct ws *w = ws_of_session(s);

	return w != NULL ? ws_server(w) : sse_server(sse_of_session(s));
}

int
channel_subscribe(struct session *s, struct channel_presence *p,
    struct hub_subscribe *args, const struct channel_who *who)
{
	struct server *srv = session_server(s);
	int rc;

	if (args->rule == NULL)
		args->rule = channel_rule(srv->config, args->channel);
	if (args->rule == NULL)
		return -ENOENT;
	rc = hub_subscribe(srv->hub, s, args, NULL);
	/* A pattern is nobody's place. */
	if (rc == 0 && args->channel.p[args->channel.len - 1] != '*')
		presence_enter(srv, p, args, who);
	return rc;
}

int
channel_unsubscribe(struct session *s, struct channel_presence *p,
    struct str name)
{
	struct server *srv = session_server(s);
	struct channel_seat **at = &p->seats;
	int rc = hub_unsubscribe(s, name);

	while (*at != NULL && !str_eq(seat_name(*at), name))
		at = &(*at)->next;
	if (*at != NULL)
		presence_leave(srv, at);
	return rc;
}
