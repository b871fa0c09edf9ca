/* SPDX-License-Identifier: MIT */
/* workers/bridge_codec and bridge_table: what goes to Redis and comes back, and
 * what waits here for its turn. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/unit.h"
#include "workers/bridge_codec.h"
#include "workers/bridge_table.h"

/* --- envelopes --- */

static const struct {
	const char *what;
	struct bridge_envelope e;
	const char *text;
	size_t len;		/* 0: strlen(text) */
} envelopes[] = {
	{"a text", {0xc5d8f1a2b3c4d5e6u, 0x5f3a9c21u, 42, CHANNEL_TEXT,
	    1763700000000, STR_INIT("hi")},
	    "1 c5d8f1a2b3c4d5e6 5f3a9c21 42 t 1763700000000\nhi", 0},
	{"nothing at all", {1, 2, 3, CHANNEL_TEXT, 4, STR_INIT("")},
	    "1 0000000000000001 00000002 3 t 4\n", 0},
	{"JSON with a line feed", {1, 2, 3, CHANNEL_JSON, 4,
	    STR_INIT("{\"a\":\n1}")},
	    "1 0000000000000001 00000002 3 j 4\n{\"a\":\n1}", 0},
	{"any bytes", {1, 2, 3, CHANNEL_BINARY, 4, STR_INIT("\0\xff\r\n")},
	    "1 0000000000000001 00000002 3 b 4\n\0\xff\r\n", 38},
	{"who comes", {1, 2, 3, CHANNEL_JOIN, 4, STR_INIT("{}")},
	    "1 0000000000000001 00000002 3 + 4\n{}", 0},
	{"who goes", {1, 2, 3, CHANNEL_LEAVE, 4, STR_INIT("{}")},
	    "1 0000000000000001 00000002 3 - 4\n{}", 0},
	{"the largest numbers", {UINT64_MAX, UINT32_MAX, UINT64_MAX,
	    CHANNEL_TEXT, INT64_MAX, STR_INIT("x")},
	    "1 ffffffffffffffff ffffffff 18446744073709551615 t "
	    "9223372036854775807\nx", 0},
};

static void
an_envelope_comes_back_as_it_was(void **state)
{
	struct bridge_envelope got;
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < UNIT_COUNT(envelopes); i++) {
		const struct bridge_envelope *e = &envelopes[i].e;
		struct str want = str_from(envelopes[i].text,
		    envelopes[i].len != 0 ? envelopes[i].len :
		    strlen(envelopes[i].text));

		buf_clear(&b);
		bridge_envelope_print(&b, e);
		unit_check_str(buf_str(&b), want, envelopes[i].what);
		unit_check(bridge_envelope_parse(want, &got),
		    envelopes[i].what);
		unit_check(got.machine == e->machine &&
		    got.origin == e->origin && got.number == e->number &&
		    got.content == e->content && got.time_ms == e->time_ms,
		    envelopes[i].what);
		unit_check_str(got.data, e->data, envelopes[i].what);
	}
	buf_done(&b);
}

static const char *const bad_envelopes[] = {
	"",
	"hello",
	"1 0000000000000001 00000002 3 t 4",
	"2 0000000000000001 00000002 3 t 4\nx",
	"1 000000000000001 00000002 3 t 4\nx",
	"1 000000000000000g 00000002 3 t 4\nx",
	"1 0000000000000001 0000002 3 t 4\nx",
	"1 0000000000000001 00000000 3 t 4\nx",
	"1 0000000000000001 00000002 0 t 4\nx",
	"1 0000000000000001 00000002 -3 t 4\nx",
	"1 0000000000000001 00000002 3 x 4\nx",
	"1 0000000000000001 00000002 3 tt 4\nx",
	"1 0000000000000001 00000002 3 t 4 5\nx",
	"1 0000000000000001 00000002 3 t 9223372036854775808\nx",
	"1 0000000000000001 00000002 3 t \nx",
	"1  00000002 3 t 4\nx",
	"1 0000000000000001 00000002 3 t 4\n\xff",
	"1 0000000000000001 00000002 3 j 4\n{\"a\":}",
	"1 0000000000000001 00000002 3 j 4\n{} {}",
	"1 0000000000000001 00000002 3 + 4\nkim",
};

static void
whatever_else_stands_in_redis_is_no_message(void **state)
{
	struct bridge_envelope e;

	for (size_t i = 0; i < UNIT_COUNT(bad_envelopes); i++)
		unit_check(!bridge_envelope_parse(str_of(bad_envelopes[i]), &e),
		    bad_envelopes[i]);
}

/* --- ids --- */

static void
ids_are_in_the_order_of_their_numbers(void **state)
{
	static const struct bridge_id ids[] = {
		{0, 0}, {0, 1}, {9, 10}, {10, 9}, {10, 11},
		{UINT64_MAX, 0}, {UINT64_MAX, UINT64_MAX}};
	char text[BRIDGE_ID_BYTES];
	struct bridge_id got;

	for (size_t i = 0; i < UNIT_COUNT(ids); i++) {
		size_t len = bridge_id_print(&ids[i], text);

		assert_int_equal(len, strlen(text));
		assert_true(bridge_id_parse(str_of(text), &got));
		assert_int_equal(bridge_id_cmp(&got, &ids[i]), 0);
		if (i == 0)
			continue;
		assert_true(bridge_id_cmp(&ids[i - 1], &ids[i]) < 0);
		assert_true(bridge_id_cmp(&ids[i], &ids[i - 1]) > 0);
	}
}

static void
what_is_pushed_has_its_id_in_front(void **state)
{
	static const char *const bad[] = {
		"", "1-1", "1 x", "-1 x", "1- x", "a-b x", "1-1-1 x"};
	struct bridge_id id;
	struct str rest;

	assert_true(bridge_push_parse(STR("12-3 a b"), &id, &rest));
	assert_true(id.ms == 12 && id.seq == 3);
	unit_check_str(rest, STR("a b"), "behind the first space");
	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		unit_check(!bridge_push_parse(str_of(bad[i]), &id, &rest),
		    bad[i]);
}

static void
a_prefix_is_no_pattern(void **state)
{
	struct buf b;

	buf_init(&b, 0);
	bridge_glob_add(&b, STR("a*b?[c]\\d:-"));
	unit_check_str(buf_str(&b), STR("a\\*b\\?\\[c\\]\\\\d:-"), "escaped");
	buf_done(&b);
}

/* --- the table --- */

static void
count_one(struct bridge_channel *ch, void *arg)
{
	++*(size_t *)arg;
}

static void
channels_are_found_by_name(void **state)
{
	struct bridge_table t;
	struct bridge_channel *ch;
	char name[32];
	size_t count = 0;

	assert_int_equal(bridge_table_init(&t, 1000), 0);
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "room.%d", i);
		ch = bridge_table_add(&t, str_of(name));
		assert_non_null(ch);
		assert_false(ch->is_pattern);
	}
	assert_true(bridge_table_add(&t, STR("room.*"))->is_pattern);
	assert_null(bridge_table_find(&t, STR("room.2000")));
	for (int i = 0; i < 2000; i += 2) {
		snprintf(name, sizeof(name), "room.%d", i);
		bridge_table_remove(&t, bridge_table_find(&t, str_of(name)));
		assert_null(bridge_table_find(&t, str_of(name)));
	}
	bridge_table_each(&t, count_one, &count);
	assert_int_equal(count, 1001);
	ch = bridge_table_find(&t, STR("room.1999"));
	unit_check_str(bridge_channel_name(ch), STR("room.1999"), "the name");
	bridge_table_done(&t);
}

static void
what_is_held_is_bounded_and_in_order(void **state)
{
	static const struct bridge_id ids[] = {{1, 0}, {2, 0}, {3, 0}};
	struct bridge_table t;
	struct bridge_channel *ch;
	struct bridge_held *h;

	assert_int_equal(bridge_table_init(&t, 8), 0);
	ch = bridge_table_add(&t, STR("a"));
	assert_non_null(ch);
	for (size_t i = 0; i < UNIT_COUNT(ids); i++)
		bridge_channel_hold(&t, ch, &ids[i], STR("four"));
	assert_true(ch->must_look);
	for (size_t i = 0; i < 2; i++) {
		h = bridge_channel_take(&t, ch);
		assert_non_null(h);
		assert_int_equal(bridge_id_cmp(&h->id, &ids[i]), 0);
		unit_check_str(str_from(h->envelope, h->len), STR("four"),
		    "what was held");
		free(h);
	}
	assert_null(bridge_channel_take(&t, ch));
	assert_int_equal(t.held_bytes, 0);
	bridge_channel_hold(&t, ch, &ids[0], STR("four"));
	bridge_table_done(&t);
}

static void
gaps_are_counted_by_origin(void **state)
{
	struct bridge_table t;
	struct bridge_channel *ch;

	assert_int_equal(bridge_table_init(&t, 8), 0);
	ch = bridge_table_add(&t, STR("a"));
	assert_non_null(ch);
	assert_int_equal(bridge_channel_note(ch, 7, 10), 0);
	assert_int_equal(bridge_channel_note(ch, 7, 11), 0);
	assert_int_equal(bridge_channel_note(ch, 8, 1), 0);
	assert_int_equal(bridge_channel_note(ch, 7, 15), 3);
	/* A second time: nothing is missing, and nothing goes back. */
	assert_int_equal(bridge_channel_note(ch, 7, 12), 0);
	assert_int_equal(bridge_channel_note(ch, 7, 16), 0);
	assert_int_equal(bridge_channel_note(ch, 8, 3), 1);
	for (uint32_t origin = 100; origin < 200; origin++)
		assert_int_equal(bridge_channel_note(ch, origin, 5), 0);
	assert_int_equal(ch->origin_count, CHANNEL_ORIGINS_MAX);
	assert_int_equal(bridge_channel_note(ch, 199, 7), 1);
	/* Forgotten: nothing is known of it. */
	assert_int_equal(bridge_channel_note(ch, 7, 50), 0);
	bridge_table_done(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_envelope_comes_back_as_it_was),
		cmocka_unit_test(whatever_else_stands_in_redis_is_no_message),
		cmocka_unit_test(ids_are_in_the_order_of_their_numbers),
		cmocka_unit_test(what_is_pushed_has_its_id_in_front),
		cmocka_unit_test(a_prefix_is_no_pattern),
		cmocka_unit_test(channels_are_found_by_name),
		cmocka_unit_test(what_is_held_is_bounded_and_in_order),
		cmocka_unit_test(gaps_are_counted_by_origin),
	};

	return UNIT_RUN(tests);
}
