/* SPDX-License-Identifier: MIT */
/*
 * The hub, with real WebSockets and event streams over a loopback: what was
 * published comes once, in order and in the form that was asked for; what
 * can't come is counted; and who comes back gets what it missed.
 */
#include "server/hub.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/conn.h"
#include "server/internal.h"
#include "server/sse.h"
#include "server/ws.h"
#include "tests/unit/unit.h"
#include "tests/unit/wire.h"

/* A small log, so that it can be lapped; no compression but where it is the
 * matter. */
#define CONFIG(deflate)                                                        \
	"{\"routes\": [{\"path\": \"/ws\", \"handler\": \"echo\","             \
	" \"origins\": [\"*\"]}, {\"path\": \"/sse\","                         \
	" \"handler\": \"system_stream\", \"interval\": \"1h\"}],"             \
	" \"channel_log\": {\"bytes\": \"256KiB\", \"channels\": 64},"         \
	" \"websocket\": {\"deflate\": {\"enabled\": " deflate "}}}"

#define UPGRADE                                                                \
	"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"                \
	"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                 \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static struct config_channel
rule_of(void)
{
	return (struct config_channel){
		.history = {.messages = 100, .age_ms = 60000,
		    .bytes = 1 << 20},
		.message_bytes = 65536,
		.queue_bytes = 1 << 20,
		.on_slow = SLOW_DISCONNECT,
	};
}

/* A client and its session in the server. */
struct client {
	struct wire wire;
	struct session *session;
};

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

static void
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

static void
client_close(struct client *cl)
{
	size_t i;

	for (i = 0; known[i] != cl->session; i++)
		;
	known[i] = known[--known_count];
	wire_close(&cl->wire);
}

/* Reads past what has come so far. */
static void
client_clear(struct client *cl)
{
	buf_clear(&cl->wire.text);
}

static void
client_ws(struct loopback *lo, struct client *cl)
{
	wire_open(lo, &cl->wire);
	client_begin(lo, cl, UPGRADE "\r\n", "\r\n\r\n");
	client_clear(cl);
}

static void
client_sse(struct loopback *lo, struct client *cl)
{
	wire_open(lo, &cl->wire);
	client_begin(lo, cl, "GET /sse HTTP/1.1\r\nHost: x\r\n\r\n",
	    "}}\n\n");
	client_clear(cl);
}

static int
subscribe(struct loopback *lo, struct client *cl, const char *channel,
    const struct config_channel *rule, enum hub_form form)
{
	return hub_subscribe(lo->srv->hub, cl->session,
	    &(struct hub_subscribe){.channel = str_of(channel), .rule = rule,
		.form = form},
	    NULL);
}

static struct channel_position
publish(struct loopback *lo, const char *channel, struct str data,
    enum channel_content content)
{
	struct channel_position pos;

	assert_int_equal(hub_publish(lo->srv->hub, &(struct channel_message){
	    .channel = str_of(channel), .data = data, .content = content,
	    .time_ms = clock_now_real_ms()}, &pos), 0);
	return pos;
}

static struct channel_position
publish_text(struct loopback *lo, const char *channel, const char *text)
{
	return publish(lo, channel, str_of(text), CHANNEL_TEXT);
}

/* It has been sent exactly this. */
static void
check_sent(struct client *cl, const char *text, const char *name)
{
	wire_expect(&cl->wire, text);
	unit_check_str(buf_str(&cl->wire.text), str_of(text), name);
}

static uint32_t
subscribers_of(struct loopback *lo, const char *channel)
{
	struct channel_state state;

	return channel_log_find(hub_log(lo->srv->hub), str_of(channel),
	    &state) ? state.subscribers : 0;
}

static void
test_each_form_has_its_bytes(void **state)
{
	struct loopback *lo = loopback_open(CONFIG("false"));
	struct config_channel rule = rule_of();
	struct client raw, json, sse;
	char id[CHANNEL_POSITION_MAX], text[1024];
	struct channel_position pos;

	client_ws(lo, &raw);
	assert_int_equal(subscribe(lo, &raw, "room", &rule, HUB_RAW), 0);
	client_ws(lo, &json);
	assert_int_equal(subscribe(lo, &json, "room", &rule, HUB_JSON), 0);
	client_sse(lo, &sse);
	assert_int_equal(subscribe(lo, &sse, "room", &rule, HUB_EVENT), 0);
	assert_int_equal(lo->stats.subscriptions, 3);
	assert_int_equal(subscribers_of(lo, "room"), 3);

	pos = publish_text(lo, "room", "one\ntwo");
	id[channel_position_print(&pos, id)] = '\0';
	loopback_settle(lo);
	wire_expect(&raw.wire, "\x81\x07one\ntwo");
	snprintf(text, sizeof(text), "{\"type\":\"message\","
	    "\"channel\":\"room\",\"id\":\"%s\",\"time\":", id);
	wire_expect(&json.wire, text);
	wire_expect(&json.wire, ",\"data\":\"one\\ntwo\"}");
	snprintf(text, sizeof(text), "id: %s\ndata: one\ndata: two\n\n", id);
	wire_expect(&sse.wire, text);
	assert_int_equal(lo->stats.delivered, 3);

	publish(lo, "room", STR("{\"a\":1}"), CHANNEL_JSON);
	publish(lo, "room", STR("\x01\xff"), CHANNEL_BINARY);
	publish(lo, "room", STR("{\"client\":\"1\"}"), CHANNEL_JOIN);
	loopback_settle(lo);
	wire_expect(&raw.wire, "\x81\x07{\"a\":1}\x82\x02\x01\xff");
	assert_int_equal(wire_count(&raw.wire, "client"), 0);
	wire_expect(&json.wire, ",\"data\":{\"a\":1}}");
	wire_expect(&json.wire, ",\"data64\":\"Af8=\"}");
	wire_expect(&json.wire, "{\"type\":\"join\",\"channel\":\"room\"");
	wire_expect(&sse.wire, "data: {\"a\":1}\n\n");
	wire_expect(&sse.wire, "event: binary\ndata: Af8=\n\n");
	wire_expect(&sse.wire, "event: join\ndata: {\"client\":\"1\"}\n\n");

	client_close(&raw);
	client_close(&json);
	client_close(&sse);
	loopback_wait_empty(lo);
	assert_int_equal(lo->stats.subscriptions, 0);
	assert_int_equal(subscribers_of(lo, "room"), 0);
	loopback_close(lo);
}

static void
test_a_turn_leaves_as_one_write(void **state)
{
	struct loopback *lo = loopback_open(CONFIG("false"));
	struct config_channel rule = rule_of();
	struct client cl;
	char all[512];
	ssize_t n;

	client_ws(lo, &cl);
	assert_int_equal(subscribe(lo, &cl, "room", &rule, HUB_RAW), 0);
	publish_text(lo, "room", "one");
	publish_text(lo, "other", "nobody's");
	publish_text(lo, "room", "two");
	server_turn(lo->srv);
	n = recv(cl.wire.fd, all, sizeof(all), 0);
	assert_int_equal(n, 10);
	assert_memory_equal(all, "\x81\x03one\x81\x03two", 10);
	client_close(&cl);
	loopback_close(lo);
}

static void
test_patterns_and_leaving(void **state)
{
	struct loopback *lo = loopback_open(CONFIG("false"));
	struct config_channel rule = rule_of();
	char longest[CHANNEL_NAME_MAX + 2] = "";
	struct client cl, other;

	client_ws(lo, &cl);
	client_ws(lo, &other);
	assert_int_equal(subscribe(lo, &cl, "room.*", &rule, HUB_RAW), 0);
	assert_int_equal(subscribe(lo, &cl, "room.*", &rule, HUB_RAW), -EEXIST);
	assert_int_equal(subscribe(lo, &cl, "a b", &rule, HUB_RAW), -EINVAL);
	memset(longest, 'n', CHANNEL_NAME_MAX);
	longest[CHANNEL_NAME_MAX] = '*';
	assert_int_equal(subscribe(lo, &cl, longest, &rule, HUB_RAW), -EINVAL);
	longest[CHANNEL_NAME_MAX - 1] = '*';
	longest[CHANNEL_NAME_MAX] = '\0';
	assert_int_equal(subscribe(lo, &cl, longest, &rule, HUB_RAW), 0);
	assert_int_equal(hub_unsubscribe(cl.session, str_of(longest)), 0);
	assert_int_equal(subscribe(lo, &other, "*", &rule, HUB_RAW), 0);
	assert_int_equal(subscribe(lo, &other, "room.2", &rule, HUB_RAW), 0);
	assert_int_equal(hub_count(other.session), 2);
	assert_true(hub_has(cl.session, STR("room.*")));
	assert_false(hub_has(cl.session, STR("room.2")));

	publish_text(lo, "room.1", "1");
	publish_text(lo, "room.2", "2");
	publish_text(lo, "roof", "3");
	loopback_settle(lo);
	check_sent(&cl, "\x81\x01" "1\x81\x01" "2", "the pattern's");
	wire_expect(&other.wire, "\x81\x01" "3");
	assert_int_equal(wire_count(&other.wire, "\x81\x01" "2"), 2);

	client_clear(&cl);
	assert_int_equal(hub_unsubscribe(cl.session, STR("room.*")), 0);
	assert_int_equal(hub_unsubscribe(cl.session, STR("room.*")), -ENOENT);
	publish_text(lo, "room.1", "4");
	loopback_settle(lo);
	wire_expect(&other.wire, "\x81\x01" "4");
	loopback_settle(lo);
	assert_int_equal(recv(cl.wire.fd, &(char){0}, 1, 0), -1);
	client_close(&cl);
	client_close(&other);
	loopback_close(lo);
}

static void
test_what_is_published_before_the_turn_comes_once(void **state)
{
	struct loopback *lo = loopback_open(CONFIG("false"));
	struct config_channel rule = rule_of();
	struct client first, late;

	client_ws(lo, &first);
	client_ws(lo, &late);
	assert_int_equal(subscribe(lo, &first, "room", &rule, HUB_RAW), 0);
	publish_text(lo, "room", "one");
	/* The log has it, the turn hasn't come: it is before live. */
	assert_int_equal(subscribe(lo, &late, "room", &rule, HUB_RAW), 0);
	publish_text(lo, "room", "two");
	loopback_settle(lo);
	check_sent(&first, "\x81\x03" "one\x81\x03two", "both");
	check_sent(&late, "\x81\x03" "two", "one");
	client_close(&first);
	client_close(&late);
	loopback_close(lo);
}

/* --- coming back --- */

struct comeback {
	const char *name;
	int64_t since;			/* -1: history instead */
	unsigned history;
	bool is_recovered;
	unsigned missed;		/* of messages 1 to 9 */
	int64_t messages;		/* of the rule */
	size_t bytes;			/* each has 2 */
};

static const struct comeback comebacks[] = {
	{"nothing was missed", 9, 0, true, 0, 100, 1000},
	{"some were", 6, 0, true, 3, 100, 1000},
	{"all were", 0, 0, true, 9, 100, 1000},
	{"exactly what is kept", 6, 0, true, 3, 3, 1000},
	{"one more than is kept", 5, 0, false, 3, 3, 1000},
	{"exactly so many bytes", 6, 0, true, 3, 100, 6},
	{"one byte less", 6, 0, false, 2, 100, 5},
	{"no history, and none needed", 9, 0, true, 0, 0, 1000},
	{"no history", 8, 0, false, 0, 0, 1000},
	{"from the future", 10, 0, false, 0, 100, 1000},
	{"the last two", -1, 2, false, 2, 100, 1000},
	{"more than there are", -1, 50, false, 9, 100, 1000},
	{"more than is kept", -1, 50, false, 4, 4, 1000},
	{"from now on", -1, 0, false, 0, 100, 1000},
};

static void
note_announced(struct session *s, const struct hub_subscribed *got, void *arg)
{
	*(struct hub_subscribed *)arg = *got;
	session_send(s, STR("announced;"));
}

static void
comeback_run(struct loopback *lo, const struct comeback *x, uint32_t epoch)
{
	struct config_channel rule = rule_of();
	struct hub_subscribed told = {0}, got = {0};
	struct hub_subscribe args = {
		.channel = STR("room"), .rule = &rule, .form = HUB_RAW,
		.wants_recovery = x->since >= 0, .history = x->history,
		.since = {.epoch = epoch, .offset = (uint64_t)x->since},
		.announce = note_announced, .arg = &told,
	};
	char want[128] = "announced;";
	struct client cl;
	unsigned i;

	rule.history.messages = x->messages;
	rule.history.bytes = x->bytes;
	client_ws(lo, &cl);
	unit_check(hub_subscribe(lo->srv->hub, cl.session, &args, &got) == 0,
	    x->name);
	for (i = 10 - x->missed; i <= 9; i++)
		snprintf(want + strlen(want), 8, "\x81\x02m%u", i);
	loopback_settle(lo);
	wire_expect(&cl.wire, want);
	unit_check_str(buf_str(&cl.wire.text), str_of(want), x->name);
	unit_check(got.was_recovered == x->is_recovered, x->name);
	unit_check(got.missed == x->missed, x->name);
	unit_check(got.position.offset == 9, x->name);
	unit_check(told.missed == got.missed &&
	    told.was_recovered == got.was_recovered, x->name);
	client_close(&cl);
	loopback_wait_empty(lo);
}

static void
test_who_comes_back_gets_what_it_missed(void **state)
{
	struct loopback *lo = loopback_open(CONFIG("false"));
	struct channel_position pos = {0};
	char text[8];
	size_t i;

	for (i = 1; i <= 9; i++) {
		snprintf(text, sizeof(text), "m%zu", i);
		pos = publish_text(lo, "room", text);
	}
	for (i = 0; i < UNIT_COUNT(comebacks); i++)
		comeback_run(lo, &comebacks[i], pos.epoch);
	assert_int_equal(lo->stats.recovered, 6);
	assert_int_equal(lo->stats.not_recovered, 4);
	loopback_close(lo);
}

static void
test_what_is_too_old_is_no_history(void **state)
{
	struct loopback *lo = loopback_open(CONFIG("false"));
	struct config_channel rule = rule_of();
	struct hub_subscribed got;
	struct client cl;

	rule.history.age_ms = 1000;
	assert_int_equal(hub_publish(lo->srv->hub, &(struct channel_message){
	    .channel = STR("room"), .data = STR("old"),
	    .time_ms = clock_now_real_ms() - 2000}, NULL), 0);
	publish_text(lo, "room", "new");
	client_ws(lo, &cl);
	assert_int_equal(hub_subscribe(lo->srv->hub, cl.session,
	    &(struct hub_subscribe){.channel = STR("room"), .rule = &rule,
		.form = HUB_RAW, .history = 10}, &got), 0);
	assert_int_equal(got.missed, 1);
	wire_expect(&cl.wire, "\x81\x03new");
	client_close(&cl);
	loopback_close(lo);
}

static int
publish_from(struct loopback *lo, uint32_t origin, uint64_t number,
    const char *text)
{
	return hub_publish(lo->srv->hub, &(struct channel_message){
	    .channel = STR("room"), .data = str_of(text),
	    .time_ms = clock_now_real_ms(), .origin = origin,
	    .number = number}, NULL);
}

/* Somebody who was at machine A, with messages of A and B, comes to us. */
static void
test_another_machines_position_is_understood(void **state)
{
	static const struct {
		const char *name;
		uint64_t a, b;		/* last numbers seen */
		uint32_t other;		/* origin in the place of A */
		bool is_recovered;
		const char *got;
	} cases[] = {
		{"all seen", 12, 22, 0, true, ""},
		{"one of each is missing", 11, 21, 0, true,
		    "\x81\x03" "b22\x81\x03" "a12"},
		{"more than is here", 9, 22, 0, false,
		    "\x81\x03" "a11\x81\x03" "a12"},
		{"nobody we know", 3, 0, 0x99, false,
		    "\x81\x03" "b21\x81\x03" "a11\x81\x03" "b22\x81\x03" "a12"},
	};
	struct loopback *lo = loopback_open(CONFIG("false"));
	struct config_channel rule = rule_of();

	/* We have begun late: a1 to a10 were before us. */
	assert_int_equal(publish_from(lo, 0xb, 21, "b21"), 0);
	assert_int_equal(publish_from(lo, 0xa, 11, "a11"), 0);
	assert_int_equal(publish_from(lo, 0xb, 22, "b22"), 0);
	assert_int_equal(publish_from(lo, 0xa, 12, "a12"), 0);
	assert_int_equal(publish_from(lo, 0xa, 12, "again"), -EALREADY);
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct hub_subscribed got;
		struct hub_subscribe args = {
			.channel = STR("room"), .rule = &rule,
			.form = HUB_RAW, .wants_recovery = true,
			.since = {.epoch = 0xa, .offset = 33, .seen_count = 2},
		};
		struct client cl;

		args.since.seen[0].origin = cases[i].other != 0
		    ? cases[i].other : 0xa;
		args.since.seen[0].number = cases[i].a;
		args.since.seen[1].origin = 0xb;
		args.since.seen[1].number = cases[i].b;
		client_ws(lo, &cl);
		assert_int_equal(hub_subscribe(lo->srv->hub, cl.session, &args,
		    &got), 0);
		publish_text(lo, "room", "live");
		loopback_settle(lo);
		wire_expect(&cl.wire, "live");
		cl.wire.text.len -= 6;
		unit_check_str(buf_str(&cl.wire.text), str_of(cases[i].got),
		    cases[i].name);
		unit_check(got.was_recovered == cases[i].is_recovered,
		    cases[i].name);
		client_close(&cl);
		loopback_wait_empty(lo);
		/* Begun anew for the next: no "live" of ours. */
		loopback_close(lo);
		lo = loopback_open(CONFIG("false"));
		publish_from(lo, 0xb, 21, "b21");
		publish_from(lo, 0xa, 11, "a11");
		publish_from(lo, 0xb, 22, "b22");
		publish_from(lo, 0xa, 12, "a12");
	}
	loopback_close(lo);
}

struct told {
	unsigned count;
	char text[256];
};

static void
history_note(const struct channel_entry *e, void *arg)
{
	struct told *told = arg;

	told->count++;
	snprintf(told->text + strlen(told->text), 16, "%.*s ",
	    STR_FMT(e->data));
}

static void
test_history_is_told_oldest_first(void **state)
{
	struct loopback *lo = loopback_open(CONFIG("false"));
	struct config_channel rule = rule_of();
	struct channel_position pos = {0};
	struct hub *hub = lo->srv->hub;
	struct told told = {0};
	bool is_whole;
	char text[8];
	int i;

	assert_int_equal(hub_history(hub, STR("room"), &rule, NULL, 9,
	    &is_whole, history_note, &told), 0);
	for (i = 1; i <= 6; i++) {
		snprintf(text, sizeof(text), "m%d", i);
		pos = publish_text(lo, "room", text);
	}
	assert_int_equal(hub_history(hub, STR("room"), &rule, NULL, 3,
	    &is_whole, history_note, &told), 3);
	assert_string_equal(told.text, "m4 m5 m6 ");
	memset(&told, 0, sizeof(told));
	pos.offset = 2;
	assert_int_equal(hub_history(hub, STR("room"), &rule, &pos, 2,
	    &is_whole, history_note, &told), 2);
	assert_string_equal(told.text, "m3 m4 ");
	assert_true(is_whole);
	memset(&told, 0, sizeof(told));
	rule.history.messages = 3;
	assert_int_equal(hub_history(hub, STR("room"), &rule, &pos, 9,
	    &is_whole, history_note, &told), 3);
	assert_false(is_whole);
	loopback_close(lo);
}

/* --- the slow --- */

#define SLOW_BYTES 1000
#define SLOW_MESSAGES 150		/* less than the log holds */

/* Message n: four digits, and something behind them. */
static void
publish_numbered(struct loopback *lo, unsigned from, unsigned to)
{
	char data[SLOW_BYTES];

	memset(data, '.', sizeof(data));
	for (; from <= to; from++) {
		data[snprintf(data, 8, "#%04u", from)] = '.';
		publish(lo, "room", str_from(data, sizeof(data)),
		    CHANNEL_TEXT);
	}
}

/* Reads all that comes, checks that each is whole, and the order; returns how
 * many there were. */
static unsigned
read_numbered(struct client *cl, const char *until, unsigned *ret_first)
{
	unsigned number, last = 0, count = 0;
	const char *p;
	size_t left;

	wire_expect(&cl->wire, until);
	*ret_first = 0;
	p = cl->wire.text.p;
	left = cl->wire.text.len;
	while (left > 4 && memcmp(p, "\x81\x7e\x03\xe8#", 5) == 0) {
		if (left < SLOW_BYTES + 4)
			break;
		number = (unsigned)atoi(p + 5);
		assert_true(number > last);
		last = number;
		*ret_first = count++ == 0 ? number : *ret_first;
		p += SLOW_BYTES + 4;
		left -= SLOW_BYTES + 4;
	}
	return count;
}

static void
client_slow(struct loopback *lo, struct client *cl,
    const struct config_channel *rule, const char *channel)
{
	wire_open_small(lo, &cl->wire);
	client_begin(lo, cl, UPGRADE "\r\n", "\r\n\r\n");
	client_clear(cl);
	assert_int_equal(subscribe(lo, cl, channel, rule, HUB_RAW), 0);
}

static void
test_a_slow_one_reads_on_from_the_log(void **state)
{
	static const char *const channels[] = {"room", "roo*"};

	for (size_t i = 0; i < UNIT_COUNT(channels); i++) {
		struct loopback *lo = loopback_open(CONFIG("false"));
		struct config_channel rule = rule_of();
		struct client slow, quick;
		unsigned n, first;

		/* Beyond what the rule's history has. */
		rule.history.messages = 1;
		client_slow(lo, &slow, &rule, channels[i]);
		client_ws(lo, &quick);
		subscribe(lo, &quick, "room", &rule, HUB_RAW);
		for (n = 1; n <= SLOW_MESSAGES; n += 10) {
			publish_numbered(lo, n, n + 9);
			loopback_turn(lo);
		}
		assert_int_equal(read_numbered(&quick, "#0150", &first), 150);
		/* One message and its rest wait, not all of them. */
		assert_in_range(session_unsent(slow.session), 1, 16384);
		publish_numbered(lo, 151, 151);
		read_numbered(&slow, "#0151.", &first);
		loopback_settle(lo);
		publish_text(lo, "room", "done");
		assert_int_equal(read_numbered(&slow, "done", &first), 151);
		assert_int_equal(first, 1);
		assert_int_equal(lo->stats.slow_dropped, 0);
		client_close(&slow);
		client_close(&quick);
		loopback_close(lo);
	}
}

static void
test_policies_for_the_slow(void **state)
{
	static const struct {
		const char *name;
		const char *channel;
		enum config_slow on_slow;
		bool is_closed;
		unsigned newest;	/* at least so many come at the end */
	} cases[] = {
		{"disconnect", "room", SLOW_DISCONNECT, true, 0},
		{"disconnect, a pattern", "room*", SLOW_DISCONNECT, true, 0},
		{"drop_oldest", "room", SLOW_DROP_OLDEST, false, 10},
		{"drop_oldest, a pattern", "room*", SLOW_DROP_OLDEST, false,
		    10},
		{"latest", "room", SLOW_LATEST, false, 1},
		{"latest, a pattern", "room*", SLOW_LATEST, false, 1},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct loopback *lo = loopback_open(CONFIG("false"));
		struct config_channel rule = rule_of();
		struct client slow;
		unsigned n, first, count;

		rule.on_slow = cases[i].on_slow;
		rule.queue_bytes = 10 * SLOW_BYTES;
		client_slow(lo, &slow, &rule, cases[i].channel);
		for (n = 1; n <= 100; n++) {
			publish_numbered(lo, n, n);
			loopback_turn(lo);
		}
		unit_check(lo->stats.slow_closed == cases[i].is_closed,
		    cases[i].name);
		if (cases[i].is_closed) {
			/* 1013, behind the message that was cut. */
			read_numbered(&slow, "\x03\xf5too slow", &first);
			unit_check(lo->stats.subscriptions == 0,
			    cases[i].name);
		} else {
			count = read_numbered(&slow, "#0100", &first);
			loopback_settle(lo);
			publish_text(lo, "room", "done");
			count = read_numbered(&slow, "done", &first);
			unit_check(count < 100 && count >= cases[i].newest,
			    cases[i].name);
			unit_check(count + lo->stats.slow_dropped == 100,
			    cases[i].name);
			unit_check(lo->stats.delivered == count + 1,
			    cases[i].name);
		}
		client_close(&slow);
		loopback_close(lo);
	}
}

static void
test_a_lapped_worker_treats_all_as_slow(void **state)
{
	static const enum config_slow policies[] = {SLOW_DISCONNECT,
	    SLOW_DROP_OLDEST, SLOW_LATEST};

	for (size_t i = 0; i < UNIT_COUNT(policies); i++) {
		struct loopback *lo = loopback_open(CONFIG("false"));
		struct config_channel rule = rule_of();
		struct client cl;
		unsigned first, count;

		rule.on_slow = policies[i];
		client_ws(lo, &cl);
		assert_int_equal(subscribe(lo, &cl, "room", &rule, HUB_RAW),
		    0);
		/* 600 KB between two turns: the log has 256. */
		publish_numbered(lo, 1, 600);
		server_turn(lo->srv);
		if (policies[i] == SLOW_DISCONNECT) {
			wire_expect(&cl.wire, "\x03\xf5too slow");
			assert_int_equal(lo->stats.slow_closed, 1);
		} else {
			read_numbered(&cl, "#0600", &first);
			loopback_settle(lo);
			publish_text(lo, "room", "done");
			count = read_numbered(&cl, "done", &first);
			assert_int_equal(first + count - 1, 600);
			assert_int_equal(count + lo->stats.slow_dropped, 600);
			assert_true(lo->stats.slow_dropped > 300);
		}
		client_close(&cl);
		loopback_close(lo);
	}
}

static void
test_who_is_gone_costs_nobody_else(void **state)
{
	struct loopback *lo = loopback_open(CONFIG("false"));
	struct config_channel rule = rule_of();
	struct client cl[8];
	size_t i;

	for (i = 0; i < UNIT_COUNT(cl); i++) {
		client_ws(lo, &cl[i]);
		subscribe(lo, &cl[i], "room", &rule, HUB_RAW);
	}
	/* Gone, and the server finds out by sending. */
	for (i = 0; i < UNIT_COUNT(cl); i += 2)
		shutdown(cl[i].wire.fd, SHUT_RDWR);
	publish_text(lo, "room", "one");
	server_turn(lo->srv);
	publish_text(lo, "room", "two");
	loopback_settle(lo);
	for (i = 1; i < UNIT_COUNT(cl); i += 2)
		check_sent(&cl[i], "\x81\x03" "one\x81\x03two", "both");
	loopback_settle(lo);
	assert_int_equal(lo->stats.subscriptions, UNIT_COUNT(cl) / 2);
	for (i = 0; i < UNIT_COUNT(cl); i++)
		client_close(&cl[i]);
	loopback_close(lo);
}

static void
test_a_message_is_compressed_for_who_agreed(void **state)
{
	struct loopback *lo = loopback_open(CONFIG("true"));
	struct config_channel rule = rule_of();
	struct client plain, packed;
	char data[1000];

	memset(data, 'a', sizeof(data));
	client_ws(lo, &plain);
	subscribe(lo, &plain, "room", &rule, HUB_RAW);
	wire_open(lo, &packed.wire);
	client_begin(lo, &packed, UPGRADE "Sec-WebSocket-Extensions: "
	    "permessage-deflate\r\n\r\n", "\r\n\r\n");
	wire_expect(&packed.wire, "permessage-deflate");
	client_clear(&packed);
	subscribe(lo, &packed, "room", &rule, HUB_RAW);
	publish(lo, "room", str_from(data, sizeof(data)), CHANNEL_TEXT);
	publish_text(lo, "room", "short");
	loopback_settle(lo);
	/* FIN and RSV1; what is short is sent as it is. */
	wire_expect(&packed.wire, "\x81\x05short");
	assert_int_equal((unsigned char)packed.wire.text.p[0], 0xc1);
	assert_true(packed.wire.text.len < 100);
	wire_expect(&plain.wire, "\x81\x05short");
	assert_int_equal(plain.wire.text.len, 4 + 1000 + 7);
	client_close(&plain);
	client_close(&packed);
	loopback_close(lo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_form_has_its_bytes),
		cmocka_unit_test(test_a_turn_leaves_as_one_write),
		cmocka_unit_test(test_patterns_and_leaving),
		cmocka_unit_test(
		    test_what_is_published_before_the_turn_comes_once),
		cmocka_unit_test(test_who_comes_back_gets_what_it_missed),
		cmocka_unit_test(test_what_is_too_old_is_no_history),
		cmocka_unit_test(test_another_machines_position_is_understood),
		cmocka_unit_test(test_history_is_told_oldest_first),
		cmocka_unit_test(test_a_slow_one_reads_on_from_the_log),
		cmocka_unit_test(test_policies_for_the_slow),
		cmocka_unit_test(test_a_lapped_worker_treats_all_as_slow),
		cmocka_unit_test(test_who_is_gone_costs_nobody_else),
		cmocka_unit_test(test_a_message_is_compressed_for_who_agreed),
	};

	return UNIT_RUN(tests);
}
