/* SPDX-License-Identifier: MIT */
/*
 * Subscribers that are slower than what is published: each message comes once,
 * whole and in order, or is counted as one that didn't.
 */
#include "tests/unit/hub_client.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/internal.h"
#include "tests/unit/unit.h"

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
		room_publish(lo, "room", str_from(data, sizeof(data)),
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
	client_begin(lo, cl, WS_UPGRADE "\r\n", "\r\n\r\n");
	client_clear(cl);
	assert_int_equal(client_subscribe(lo, cl, channel, rule, HUB_RAW), 0);
}

static void
test_a_slow_one_reads_on_from_the_log(void **state)
{
	static const char *const channels[] = {"room", "roo*"};

	for (size_t i = 0; i < UNIT_COUNT(channels); i++) {
		struct loopback *lo = loopback_open(HUB_CONFIG("false"));
		struct config_channel rule = hub_rule();
		struct client slow, quick;
		unsigned n, first;

		/* Beyond what the rule's history has. */
		rule.history.messages = 1;
		client_slow(lo, &slow, &rule, channels[i]);
		client_ws(lo, &quick);
		client_subscribe(lo, &quick, "room", &rule, HUB_RAW);
		for (n = 1; n <= SLOW_MESSAGES; n += 10) {
			publish_numbered(lo, n, n + 9);
			server_turn(lo->srv);
		}
		assert_int_equal(read_numbered(&quick, "#0150", &first), 150);
		/* One message and its rest wait, not all of them. */
		assert_in_range(session_unsent(slow.session), 1, 16384);
		publish_numbered(lo, 151, 151);
		read_numbered(&slow, "#0151.", &first);
		loopback_settle(lo);
		room_publish_text(lo, "room", "done");
		assert_int_equal(read_numbered(&slow, "done", &first), 151);
		assert_int_equal(first, 1);
		assert_int_equal(lo->stats.slow_dropped, 0);
		client_close(&slow);
		client_close(&quick);
		loopback_close(lo);
	}
}

/* So many that a piece is found by what earlier walks have noted. */
static void
test_many_tiny_messages_come_once(void **state)
{
	static const unsigned queues[] = {1 << 20, 11000};
	const unsigned last = 2900, bytes = 6;

	for (size_t i = 0; i < UNIT_COUNT(queues); i++) {
		struct loopback *lo = loopback_open(HUB_CONFIG("false"));
		struct config_channel rule = hub_rule();
		char data[SLOW_BYTES] = "", text[8];
		unsigned n, first;
		struct client slow;
		const char *p;

		rule.on_slow = SLOW_DROP_OLDEST;
		rule.queue_bytes = queues[i];
		client_slow(lo, &slow, &rule, "room");
		/* Its socket is full. */
		for (n = 0; session_unsent(slow.session) == 0; n++) {
			room_publish(lo, "room",
			    str_from(data, sizeof(data)), CHANNEL_BINARY);
			loopback_turn(lo);
		}
		for (n = 1; n <= last; n++) {
			snprintf(text, sizeof(text), "%04u", n);
			room_publish_text(lo, "room", text);
		}
		loopback_turn(lo);
		wire_expect(&slow.wire, "2900");
		p = slow.wire.text.p + slow.wire.text.len - bytes;
		first = i > 0 ? last - queues[i] / 4 + 1 : 1;
		for (n = last; n >= first; n--, p -= bytes) {
			snprintf(text, sizeof(text), "\x81\x04%04u", n);
			assert_memory_equal(p, text, bytes);
		}
		assert_int_equal(lo->stats.slow_dropped > 0, i > 0);
		client_close(&slow);
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
		struct loopback *lo = loopback_open(HUB_CONFIG("false"));
		struct config_channel rule = hub_rule();
		struct client slow;
		unsigned n, first, count;

		rule.on_slow = cases[i].on_slow;
		rule.queue_bytes = 10 * SLOW_BYTES;
		client_slow(lo, &slow, &rule, cases[i].channel);
		for (n = 1; n <= 100; n++) {
			publish_numbered(lo, n, n);
			server_turn(lo->srv);
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
			room_publish_text(lo, "room", "done");
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
		struct loopback *lo = loopback_open(HUB_CONFIG("false"));
		struct config_channel rule = hub_rule();
		struct client cl;
		unsigned first, count;

		rule.on_slow = policies[i];
		client_ws(lo, &cl);
		assert_int_equal(client_subscribe(lo, &cl, "room", &rule,
		    HUB_RAW),
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
			room_publish_text(lo, "room", "done");
			count = read_numbered(&cl, "done", &first);
			assert_int_equal(first + count - 1, 600);
			assert_int_equal(count + lo->stats.slow_dropped, 600);
			assert_true(lo->stats.slow_dropped > 300);
		}
		client_close(&cl);
		loopback_close(lo);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_slow_one_reads_on_from_the_log),
		cmocka_unit_test(test_many_tiny_messages_come_once),
		cmocka_unit_test(test_policies_for_the_slow),
		cmocka_unit_test(test_a_lapped_worker_treats_all_as_slow),
	};

	return UNIT_RUN(tests);
}
