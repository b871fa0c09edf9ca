/* SPDX-License-Identifier: MIT */
/* Channels' names and patterns; positions as text, and compared. */
#include "tests/unit/unit.h"

#include "common/channel_log.h"

/* --- names --- */

static void
test_names(void **state)
{
	static const struct {
		const char *what, *name;
		bool is_name, is_pattern;
	} cases[] = {
		{"one letter is a name", "a", true, true},
		{"all kinds of bytes", "Room.1:a_b-Z", true, true},
		{"nothing is no name", "", false, false},
		{"a star alone is a pattern", "*", false, true},
		{"a star behind a name is a pattern", "room.*", false, true},
		{"a star elsewhere is neither", "ro*m", false, false},
		{"two stars are neither", "room**", false, false},
		{"a slash is in no name", "a/b", false, false},
		{"a space is in no name", "a b", false, false},
		{"bytes beyond ASCII are in no name", "\xc3\xa4", false, false},
	};
	char longest[CHANNEL_NAME_MAX + 3];
	struct str name = str_from(longest, CHANNEL_NAME_MAX);

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct str s = str_of(cases[i].name);

		unit_check(channel_name_is_valid(s) == cases[i].is_name &&
		    channel_pattern_is_valid(s) == cases[i].is_pattern,
		    cases[i].what);
	}
	memset(longest, 'a', sizeof(longest));
	assert_true(channel_name_is_valid(name));
	name.len++;
	assert_false(channel_name_is_valid(name));
	assert_false(channel_pattern_is_valid(name));
	longest[CHANNEL_NAME_MAX] = '*';
	assert_false(channel_pattern_is_valid(name));
	longest[CHANNEL_NAME_MAX - 1] = '*';
	name.len--;
	assert_true(channel_pattern_is_valid(name));
	assert_false(channel_name_is_valid(str_from("a\0b", 3)));
}

static void
test_matches(void **state)
{
	static const struct {
		const char *what, *pattern, *name;
		bool matches;
	} cases[] = {
		{"a name matches itself", "room.1", "room.1", true},
		{"a name matches no longer one", "room.1", "room.11", false},
		{"a pattern matches what begins so", "room.*", "room.1", true},
		{"a star may stand for nothing", "room.*", "room.", true},
		{"the prefix must be whole", "room.*", "room", false},
		{"a star alone matches all", "*", "x", true},
		{"nothing matches nothing else", "", "x", false},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		unit_check(channel_matches(str_of(cases[i].pattern),
		    str_of(cases[i].name)) == cases[i].matches, cases[i].what);
}

/* --- positions --- */

static void
test_positions_as_text(void **state)
{
	static const struct {
		const char *what, *text;
		bool is_valid;
	} cases[] = {
		{"epoch and offset", "5f3a9c21:42", true},
		{"an offset of 0", "5f3a9c21:0", true},
		{"a small epoch has its zeros", "00000001:1", true},
		{"two origins", "5f3a9c21:42_5f3a9c21.30_b7c1d2e3.12", true},
		{"one origin that isn't ours", "5f3a9c21:12_b7c1d2e3.12", true},
		{"the largest offset", "ffffffff:18446744073709551615", true},
		{"nothing", "", false},
		{"an epoch alone", "5f3a9c21", false},
		{"no offset", "5f3a9c21:", false},
		{"an offset that is no number", "5f3a9c21:4x", false},
		{"an offset beyond 64 bits", "5f3a9c21:18446744073709551616",
		    false},
		{"a sign", "5f3a9c21:-1", false},
		{"an epoch too short", "5f3a9c2:42", false},
		{"an epoch too long", "5f3a9c211:42", false},
		{"an epoch that isn't hexadecimal", "5f3a9cg1:42", false},
		{"an epoch of 0", "00000000:42", false},
		{"an empty origin", "5f3a9c21:42_", false},
		{"an origin without its number", "5f3a9c21:42_b7c1d2e3", false},
		{"an origin with a colon", "5f3a9c21:42_b7c1d2e3:1", false},
		{"an origin twice", "5f3a9c21:42_b7c1d2e3.1_b7c1d2e3.2", false},
		{"a space in front", " 5f3a9c21:42", false},
		{"a newline behind", "5f3a9c21:42\n", false},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct str text = str_of(cases[i].text);
		char printed[CHANNEL_POSITION_MAX];
		struct channel_position pos;
		size_t len;

		unit_check(channel_position_parse(text, &pos) ==
		    cases[i].is_valid, cases[i].what);
		if (!cases[i].is_valid)
			continue;
		len = channel_position_print(&pos, printed);
		unit_check_str(str_from(printed, len), text, cases[i].what);
	}
}

static void
test_the_longest_position(void **state)
{
	struct channel_position pos = {.epoch = UINT32_MAX,
		.offset = UINT64_MAX, .seen_count = CHANNEL_ORIGINS_MAX};
	struct channel_position read;
	char text[CHANNEL_POSITION_MAX + 16];
	size_t len;

	for (unsigned i = 0; i < CHANNEL_ORIGINS_MAX; i++) {
		pos.seen[i].origin = UINT32_MAX - i;
		pos.seen[i].number = UINT64_MAX;
	}
	len = channel_position_print(&pos, text);
	assert_true(len < CHANNEL_POSITION_MAX);
	assert_int_equal(strlen(text), len);
	assert_true(channel_position_parse(str_from(text, len), &read));
	assert_int_equal(read.seen_count, CHANNEL_ORIGINS_MAX);
	assert_int_equal(read.seen[15].origin, UINT32_MAX - 15);
	memcpy(text + len, "_00000001.1", sizeof("_00000001.1"));
	assert_false(channel_position_parse(str_of(text), &read));
}

static struct channel_position
position(const char *text)
{
	struct channel_position pos;

	assert_true(channel_position_parse(str_of(text), &pos));
	return pos;
}

static void
test_positions_compared(void **state)
{
	static const struct {
		const char *what, *since, *now;
		bool is_known;
		uint64_t missed;
	} cases[] = {
		{"at the end nothing is missed", "0000000a:7", "0000000a:7",
		    true, 0},
		{"of one epoch offsets tell", "0000000a:4", "0000000a:7", true,
		    3},
		{"nobody comes from the future", "0000000a:8", "0000000a:7",
		    false, 0},
		{"a strange epoch tells nothing", "0000000b:1", "0000000a:7",
		    false, 0},
		{"nor does its beginning", "0000000b:0", "0000000a:7", false,
		    0},
		{"one epoch, with origins",
		    "0000000a:4_0000000a.3_0000000c.1",
		    "0000000a:7_0000000a.5_0000000c.2", true, 3},
		{"another machine that has seen the same",
		    "0000000b:5_0000000b.2_0000000a.3",
		    "0000000a:5_0000000a.3_0000000b.2", true, 0},
		{"another machine that has seen less",
		    "0000000b:2_0000000b.1_0000000a.1",
		    "0000000a:5_0000000a.3_0000000b.2", true, 3},
		{"another machine that knew itself alone", "0000000b:2",
		    "0000000a:5_0000000a.3_0000000b.2", true, 3},
		{"another machine that knew an origin more",
		    "0000000b:3_0000000b.2_0000000d.1",
		    "0000000a:5_0000000a.3_0000000b.2", false, 0},
		{"another machine that had heard more of an origin",
		    "0000000b:4_0000000b.4",
		    "0000000a:5_0000000a.3_0000000b.2", false, 0},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct channel_position since = position(cases[i].since);
		struct channel_position now = position(cases[i].now);
		uint64_t missed = 0;

		unit_check(channel_position_missed(&since, &now, &missed) ==
		    cases[i].is_known && missed == cases[i].missed,
		    cases[i].what);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_positions_as_text),
		cmocka_unit_test(test_the_longest_position),
		cmocka_unit_test(test_positions_compared),
	};

	return UNIT_RUN(tests);
}
