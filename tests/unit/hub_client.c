/* SPDX-License-Identifier: MIT */
/*
 * Clients of channels on a loopback.
 *
 * Owns nothing but the list of sessions that are known.
 * Here: steps.  Not here: what is right (the tests).
 * Context: the test's thread.
 */
#include "tests/unit/hub_client.h"

#include "common/clock.h"
#include "server/conn.h"
#include "server/internal.h"
#include "tests/unit/unit.h"

struct config_channel
hub_rule(void)
{
	return (struct config_channel){
		.history = {.messages = 100, .age_ms = 60000,
		    .bytes = 1 << 20},
		.message_bytes = 65536,
		.queue_bytes = 1 << 20,
		.on_slow = SLOW_DISCONNECT,
	};
}

/* Sessions that belong to a client already. */
static struct session *known[16];
static size_t known_count;

static void
find_new(struct wheel_node *node, void *arg)
{
	struct conn *c = (struct conn *)((char *)node -
	    offsetof(struct conn, timer));
	struct session **newest = arg;
	size_t i;

	for (i = 0; i < known_count && known[i] != c->session; i++)
		;
	if (c->session != NULL && i == known_count)
		*newest = c->session;
}

void
client_begin(struct loopback *lo, struct client *cl, const char *head,
    const char *begun)
{
	cl->session = NULL;
	wire_send(&cl->wire, str_of(head));
	wire_expect(&cl->wire, begun);
	loopback_settle(lo);
	wheel_each(&lo->srv->conn_timers, find_new, &cl->session);
	assert_non_null(cl->session);
	assert_true(known_count < UNIT_COUNT(known));
	known[known_count++] = cl->session;
}

void
client_close(struct client *cl)
{
	size_t i;

	for (i = 0; known[i] != cl->session; i++)
		;
	known[i] = known[--known_count];
	wire_close(&cl->wire);
}

void
client_clear(struct client *cl)
{
	buf_clear(&cl->wire.text);
}

void
client_ws(struct loopback *lo, struct client *cl)
{
	wire_open(lo, &cl->wire);
	client_begin(lo, cl, WS_UPGRADE "\r\n", "\r\n\r\n");
	client_clear(cl);
}

void
client_sse(struct loopback *lo, struct client *cl)
{
	wire_open(lo, &cl->wire);
	client_begin(lo, cl, "GET /sse HTTP/1.1\r\nHost: x\r\n\r\n",
	    "}}\n\n");
	client_clear(cl);
}

int
client_subscribe(struct loopback *lo, struct client *cl, const char *channel,
    const struct config_channel *rule, enum hub_form form)
{
	return hub_subscribe(lo->srv->hub, cl->session,
	    &(struct hub_subscribe){.channel = str_of(channel), .rule = rule,
		.form = form},
	    NULL);
}

struct channel_position
room_publish(struct loopback *lo, const char *channel, struct str data,
    enum channel_content content)
{
	struct channel_position pos;

	assert_int_equal(hub_publish(lo->srv->hub, &(struct channel_message){
	    .channel = str_of(channel), .data = data, .content = content,
	    .time_ms = clock_now_real_ms()}, &pos), 0);
	return pos;
}

struct channel_position
room_publish_text(struct loopback *lo, const char *channel, const char *text)
{
	return room_publish(lo, channel, str_of(text), CHANNEL_TEXT);
}

void
client_check(struct client *cl, const char *text, const char *name)
{
	wire_expect(&cl->wire, text);
	unit_check_str(buf_str(&cl->wire.text), str_of(text), name);
}

uint32_t
room_subscribers(struct loopback *lo, const char *channel)
{
	struct channel_state state;

	return channel_log_find(hub_log(lo->srv->hub), str_of(channel),
	    &state) ? state.subscribers : 0;
}
