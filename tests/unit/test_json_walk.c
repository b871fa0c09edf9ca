/* SPDX-License-Identifier: MIT */
/*
 * Checked JSON is walked member by member, and what is inside of a value never
 * shows as one.
 *
 * Context: cmocka; no server.
 */
#include "server/json_walk.h"

#include <stdio.h>

#include "common/arena.h"
#include "server/json_check.h"
#include "tests/unit/unit.h"

struct walk_case {
	const char *name, *text;
	const char *want; /* key=value; */
};

static const struct walk_case cases[] = {
	{"an empty object has no members", "{}", ""},
	{"space may stand anywhere", " { \"a\" :\t1 ,\n\"b\" : [ 2 ] } ",
	    "a=1;b=[ 2 ];"},
	{"numbers keep their digits",
	    "{\"n\":12345678901234567890,\"f\":-1.50e+3}",
	    "n=12345678901234567890;f=-1.50e+3;"},
	{"a bracket in a string opens nothing", "{\"a\":\"{[\",\"b\":\"]}\"}",
	    "a=\"{[\";b=\"]}\";"},
	{"an escaped quote ends no string",
	    "{\"a\":\"\\\"\\\\\",\"b\":{\"c\":\"\\\\\\\"}\"}}",
	    "a=\"\\\"\\\\\";b={\"c\":\"\\\\\\\"}\"};"},
	{"objects in objects are one value",
	    "{\"a\":{\"b\":{\"c\":[{},[]]}},\"d\":null}",
	    "a={\"b\":{\"c\":[{},[]]}};d=null;"},
	{"a key is what its escapes mean", "{\"\\u0061\\n\":true}",
	    "a\n=true;"},
	{"empty text is a value", "{\"a\":\"\",\"\":false}", "a=\"\";=false;"},
};

static void
what_is_inside_of_a_value_never_shows_as_a_member(void **state)
{
	struct json_fault fault;
	struct json_walk w;
	struct arena a;
	struct str key, value;
	char got[512];
	size_t n;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct str text = str_of(cases[i].text);

		arena_init(&a, NULL);
		assert_int_equal(json_check(text, 64, &fault), 0);
		json_walk_init(&w, text);
		n = 0;
		got[0] = '\0';
		while (json_walk_member(&w, &a, &key, &value))
			n += (size_t)snprintf(got + n, sizeof(got) - n,
			    "%.*s=%.*s;", STR_FMT(key), STR_FMT(value));
		unit_check_str(str_of(got), str_of(cases[i].want),
		    cases[i].name);
		arena_done(&a);
	}
}

static void
items_come_one_by_one(void **state)
{
	struct str text = STR("[1, \"two\", [3, [4]], {\"five\": 5}]"), value;
	static const char *const want[] = {
		"1", "\"two\"", "[3, [4]]", "{\"five\": 5}"};
	static const char kinds[] = "0\"[{";
	struct json_walk w;
	size_t i = 0;

	json_walk_init(&w, text);
	for (; json_walk_item(&w, &value); i++) {
		assert_true(i < UNIT_COUNT(want));
		unit_check_str(value, str_of(want[i]), "an item");
		assert_int_equal(json_kind(value), kinds[i]);
	}
	assert_int_equal(i, UNIT_COUNT(want));
	json_walk_init(&w, STR("[]"));
	assert_false(json_walk_item(&w, &value));
}

static void
strings_are_told_without_escapes(void **state)
{
	struct arena a;
	uint64_t n = 0;

	arena_init(&a, NULL);
	unit_check_str(json_text(STR("\"plain\""), &a), STR("plain"), "plain");
	unit_check_str(json_text(STR("\"\\u00e9\\ud83d\\ude00\\/\""), &a),
	    STR("\xc3\xa9\xf0\x9f\x98\x80/"), "escapes");
	assert_null(json_text(STR("12"), &a).p);
	assert_int_equal(json_u64(STR("12"), &n), 0);
	assert_int_equal(n, 12);
	assert_int_equal(json_u64(STR("1.5"), &n), -1);
	assert_int_equal(json_u64(STR("\"1\""), &n), -1);
	arena_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    what_is_inside_of_a_value_never_shows_as_a_member),
		cmocka_unit_test(items_come_one_by_one),
		cmocka_unit_test(strings_are_told_without_escapes),
	};

	return UNIT_RUN(tests);
}
