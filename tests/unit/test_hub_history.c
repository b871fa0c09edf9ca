/* SPDX-License-Identifier: MIT */
/*
 * Coming back: who was away gets what it missed, and is told whether that is
 * all.
 */
#include "tests/unit/hub_client.h"

#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "server/internal.h"
#include "tests/unit/unit.h"

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
	struct config_channel rule = hub_rule();
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
	struct loopback *lo = loopback_open(HUB_CONFIG("false"));
	struct channel_position pos = {0};
	char text[8];
	size_t i;

	for (i = 1; i <= 9; i++) {
		snprintf(text, sizeof(text), "m%zu", i);
		pos = room_publish_text(lo, "room", text);
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
	struct loopback *lo = loopback_open(HUB_CONFIG("false"));
	struct config_channel rule = hub_rule();
	struct hub_subscribed got;
	struct client cl;

	rule.history.age_ms = 1000;
	assert_int_equal(hub_publish(lo->srv->hub, &(struct channel_message){
	    .channel = STR("room"), .data = STR("old"),
	    .time_ms = clock_now_real_ms() - 2000}, NULL), 0);
	room_publish_text(lo, "room", "new");
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
	struct loopback *lo = loopback_open(HUB_CONFIG("false"));
	struct config_channel rule = hub_rule();

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
		room_publish_text(lo, "room", "live");
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
		lo = loopback_open(HUB_CONFIG("false"));
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

/* Where a client is, as the id of an event of a stream of several channels. */
static void
check_positions(struct client *cl, const struct channel_position *pos,
    const char *what)
{
	char text[CHANNEL_POSITION_MAX];
	struct buf want, got;

	buf_init(&want, 0);
	buf_init(&got, 0);
	buf_add(&want, STR("room="));
	buf_add(&want, str_from(text, channel_position_print(pos, text)));
	hub_print_positions(cl->session, &got);
	unit_check_str(buf_str(&got), buf_str(&want), what);
	buf_done(&want);
	buf_done(&got);
}

/* An offset alone says nothing to another machine: its order is another. */
static void
test_positions_tell_of_other_machines(void **state)
{
	struct loopback *lo = loopback_open(HUB_CONFIG("false"));
	struct config_channel rule = hub_rule();
	struct channel_position pos;
	struct client cl;

	client_sse(lo, &cl);
	pos = room_publish_text(lo, "room", "1");
	assert_int_equal(client_subscribe(lo, &cl, "room", &rule, HUB_TAGGED),
	    0);
	check_positions(&cl, &pos, "one machine");
	assert_int_equal(publish_from(lo, 0xb, 21, "b21"), 0);
	pos = room_publish_text(lo, "room", "2");
	assert_int_equal(pos.seen_count, 2);
	loopback_settle(lo);
	wire_expect(&cl.wire, "_0000000b.21\n");
	check_positions(&cl, &pos, "two machines");
	/* Given a message that isn't the newest. */
	assert_int_equal(publish_from(lo, 0xb, 22, "b22"), 0);
	client_clear(&cl);
	room_publish_text(lo, "room", "3");
	loopback_settle(lo);
	wire_expect(&cl.wire, "_0000000b.22\n");
	assert_int_equal(wire_count(&cl.wire, "_0000000b.22\n"), 2);
	client_close(&cl);
	loopback_close(lo);
}

static void
test_history_is_told_oldest_first(void **state)
{
	struct loopback *lo = loopback_open(HUB_CONFIG("false"));
	struct config_channel rule = hub_rule();
	struct channel_position pos = {0};
	struct hub *hub = lo->srv->hub;
	struct hub_past past = {.channel = STR("room"), .rule = &rule};
	struct told told = {0};
	bool is_whole;
	char text[8];
	int i;

	past.max = 9;
	assert_int_equal(hub_history(hub, &past, &is_whole, history_note,
	    &told), 0);
	for (i = 1; i <= 6; i++) {
		snprintf(text, sizeof(text), "m%d", i);
		pos = room_publish_text(lo, "room", text);
	}
	past.max = 3;
	assert_int_equal(hub_history(hub, &past, &is_whole, history_note,
	    &told), 3);
	assert_string_equal(told.text, "m4 m5 m6 ");
	memset(&told, 0, sizeof(told));
	pos.offset = 2;
	past.since = &pos;
	past.max = 2;
	assert_int_equal(hub_history(hub, &past, &is_whole, history_note,
	    &told), 2);
	assert_string_equal(told.text, "m3 m4 ");
	assert_true(is_whole);
	memset(&told, 0, sizeof(told));
	rule.history.messages = 3;
	past.max = 9;
	assert_int_equal(hub_history(hub, &past, &is_whole, history_note,
	    &told), 3);
	assert_false(is_whole);
	loopback_close(lo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_comes_back_gets_what_it_missed),
		cmocka_unit_test(test_what_is_too_old_is_no_history),
		cmocka_unit_test(test_another_machines_position_is_understood),
		cmocka_unit_test(test_positions_tell_of_other_machines),
		cmocka_unit_test(test_history_is_told_oldest_first),
	};

	return UNIT_RUN(tests);
}
