/* SPDX-License-Identifier: MIT */
/*
 * The JSON writer: what it writes, and the mistakes that it tells.
 */
#include "server/json_writer.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "server/ctx.h"
#include "server/json_check.h"
#include "tests/unit/unit.h"

/* A writer on an arena of its own. */
struct fixture {
	struct arena arena;
	struct lane_ctx c;
	struct lane_json_writer w;
};

static void
fixture_open(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	arena_init(&f->arena, NULL);
	f->c.arena = &f->arena;
	json_writer_init(&f->w, &f->c);
}

/* What was written must be `want`, and JSON. */
static void
fixture_check(struct fixture *f, struct str want, const char *name)
{
	const char *mistake;
	struct str got = json_writer_end(&f->w, &mistake);
	struct json_fault fault;

	unit_check(mistake == NULL, mistake != NULL ? mistake : name);
	unit_check_str(got, want, name);
	unit_check(json_check(got, 1000, &fault) == 0, name);
	arena_done(&f->arena);
}

static void
commas_and_brackets_come_by_themselves(void **state)
{
	struct fixture f;

	fixture_open(&f);
	lane_json_object(&f.w);
	lane_json_add_int(&f.w, "a", -1);
	lane_json_key(&f.w, "b");
	lane_json_array(&f.w);
	lane_json_array(&f.w);
	lane_json_end(&f.w);
	lane_json_object(&f.w);
	lane_json_add_bool(&f.w, "x", true);
	lane_json_add_bool(&f.w, "y", false);
	lane_json_end(&f.w);
	lane_json_null(&f.w);
	lane_json_end(&f.w);
	lane_json_add_str(&f.w, "c", LANE_STR("d"));
	lane_json_add_float(&f.w, "e", 0.5);
	lane_json_key(&f.w, "f");
	lane_json_raw(&f.w, LANE_STR("[1, 2]"));
	lane_json_end(&f.w);
	fixture_check(&f, STR("{\"a\":-1,\"b\":[[],{\"x\":true,\"y\":false},"
	    "null],\"c\":\"d\",\"e\":0.5,\"f\":[1, 2]}"), "a document");
}

static void
strings_are_escaped(void **state)
{
	static const struct {
		struct str text, json;
	} cases[] = {
		{STR_INIT(""), STR_INIT("\"\"")},
		{STR_INIT("abc"), STR_INIT("\"abc\"")},
		{STR_INIT("abcd"), STR_INIT("\"abcd\"")},
		{STR_INIT("abcdefgh"), STR_INIT("\"abcdefgh\"")},
		{STR_INIT("abcdefghijk"), STR_INIT("\"abcdefghijk\"")},
		{STR_INIT("a\"b"), STR_INIT("\"a\\\"b\"")},
		{STR_INIT("abcd\\"), STR_INIT("\"abcd\\\\\"")},
		{STR_INIT("0123456789\n"), STR_INIT("\"0123456789\\n\"")},
		{STR_INIT("\r\t\b\f\x1f\x7f"), STR_INIT("\"\\r\\t\\u0008"
		    "\\u000c\\u001f\x7f\"")},
		{STR_INIT("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80!"),
		    STR_INIT("\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80!\"")},
		{STR_INIT("a\xff" "b\xc3"),
		    STR_INIT("\"a\xef\xbf\xbd" "b\xef\xbf\xbd\"")},
		{STR_INIT("\xed\xa0\x80"), STR_INIT("\"\xef\xbf\xbd"
		    "\xef\xbf\xbd\xef\xbf\xbd\"")},
	};
	struct fixture f;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		fixture_open(&f);
		lane_json_str(&f.w, lane_of(cases[i].text));
		fixture_check(&f, cases[i].json, "a string");
	}
	/* Which json_check() doesn't take. */
	fixture_open(&f);
	lane_json_str(&f.w, LANE_STR("a\0b"));
	unit_check_str(str_of_lane(lane_json_text(&f.w)),
	    STR("\"a\\u0000b\""), "NUL");
	arena_done(&f.arena);
}

/* Every byte, at every place of a text of every length around a word's. */
static void
every_byte_comes_back(void **state)
{
	char text[20];
	struct fixture f;
	cJSON *tree;

	for (unsigned byte = 1; byte < 0x80; byte++) {
		for (size_t len = 1; len < sizeof(text); len++) {
			size_t at = (byte * 7 + len) % len;

			memset(text, 'x', sizeof(text));
			text[at] = (char)byte;
			text[len] = '\0';
			fixture_open(&f);
			lane_json_str(&f.w, lane_str_of(text));
			tree = cJSON_ParseWithLength(f.w.start,
			    (size_t)(f.w.at - f.w.start));
			assert_non_null(tree);
			assert_string_equal(tree->valuestring, text);
			cJSON_Delete(tree);
			arena_done(&f.arena);
		}
	}
}

static void
integers_are_exact(void **state)
{
	struct fixture f;

	fixture_open(&f);
	lane_json_array(&f.w);
	lane_json_int(&f.w, INT64_MIN);
	lane_json_int(&f.w, INT64_MAX);
	lane_json_uint(&f.w, UINT64_MAX);
	lane_json_int(&f.w, 9007199254740993);
	lane_json_int(&f.w, 0);
	lane_json_end(&f.w);
	fixture_check(&f, STR("[-9223372036854775808,9223372036854775807,"
	    "18446744073709551615,9007199254740993,0]"), "integers");
}

static void
floats_are_short(void **state)
{
	static const struct {
		double f;
		const char *json;
	} cases[] = {
		{0, "0"}, {-0.0, "-0"}, {1, "1"}, {-1.5, "-1.5"}, {0.1, "0.1"},
		{0.05, "0.05"}, {100.25, "100.25"}, {3.141593, "3.141593"},
		{1e6, "1000000"}, {0.1 + 0.2, "0.30000000000000004"},
		{1.0 / 3, "0.3333333333333333"}, {1e21, "1e+21"},
		{1e-7, "1e-07"}, {9007199254740991.0, "9007199254740991"},
		{123456.789012, "123456.789012"}, {5e-324, "5e-324"},
		{1.7976931348623157e308, "1.7976931348623157e+308"},
		{NAN, "null"}, {INFINITY, "null"}, {-INFINITY, "null"},
	};
	struct fixture f;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		fixture_open(&f);
		lane_json_float(&f.w, cases[i].f);
		fixture_check(&f, str_of(cases[i].json), "a float");
	}
}

static void
floats_read_back_as_they_were(void **state)
{
	uint64_t bits = 0x123456789abcdef;
	struct fixture f;
	double d;

	for (unsigned i = 0; i < 20000; i++) {
		bits = bits * 6364136223846793005u + 1442695040888963407u;
		/* Any bits, and what prices look like. */
		memcpy(&d, &bits, sizeof(d));
		if (i % 2 == 1)
			d = (double)(bits >> 40) / 1000;
		if (!isfinite(d))
			continue;
		fixture_open(&f);
		lane_json_float(&f.w, d);
		assert_true(f.w.at < f.w.end);
		*f.w.at = '\0';
		if (strtod(f.w.start, NULL) != d)
			fail_msg("%s isn't %.17g", f.w.start, d);
		arena_done(&f.arena);
	}
}

static void
values_of_every_kind(void **state)
{
	struct fixture f;

	fixture_open(&f);
	lane_json_array(&f.w);
	lane_json_value(&f.w, lane_null());
	lane_json_value(&f.w, lane_bool(true));
	lane_json_value(&f.w, lane_int(-7));
	lane_json_value(&f.w, lane_float(2.5));
	lane_json_value(&f.w, lane_text(LANE_STR("x")));
	lane_json_value(&f.w, lane_blob(LANE_STR("")));
	lane_json_value(&f.w, lane_blob(LANE_STR("f")));
	lane_json_value(&f.w, lane_blob(LANE_STR("fo")));
	lane_json_value(&f.w, lane_blob(LANE_STR("foobar")));
	lane_json_end(&f.w);
	fixture_check(&f, STR("[null,true,-7,2.5,\"x\",\"\",\"Zg==\",\"Zm8=\","
	    "\"Zm9vYmFy\"]"), "values");
}

static void
long_texts_grow(void **state)
{
	static char text[100000], want[600002];
	struct fixture f;
	char *p = want;

	*p++ = '"';
	for (size_t i = 0; i < sizeof(text); i++) {
		text[i] = '\1';
		memcpy(p, "\\u0001", 6);
		p += 6;
	}
	*p++ = '"';
	fixture_open(&f);
	lane_json_str(&f.w, (struct lane_str){text, sizeof(text)});
	fixture_check(&f, str_from(want, sizeof(want)), "a long text");
	fixture_open(&f);
	lane_json_array(&f.w);
	for (unsigned i = 0; i < 10000; i++)
		lane_json_int(&f.w, i);
	lane_json_end(&f.w);
	assert_int_equal(lane_json_text(&f.w).len, 48891);
	arena_done(&f.arena);
}

static void
mistake_key_twice(struct lane_json_writer *w)
{
	lane_json_object(w);
	lane_json_key(w, "a");
	lane_json_key(w, "b");
}

static void
mistake_no_key(struct lane_json_writer *w)
{
	lane_json_object(w);
	lane_json_int(w, 1);
	lane_json_end(w);
}

static void
mistake_no_value(struct lane_json_writer *w)
{
	lane_json_object(w);
	lane_json_key(w, "a");
	lane_json_end(w);
}

static void
mistake_key_in_array(struct lane_json_writer *w)
{
	lane_json_array(w);
	lane_json_key(w, "a");
}

static void
mistake_two_values(struct lane_json_writer *w)
{
	lane_json_int(w, 1);
	lane_json_int(w, 2);
}

static void
mistake_too_many_ends(struct lane_json_writer *w)
{
	lane_json_array(w);
	lane_json_end(w);
	lane_json_end(w);
}

static void
mistake_no_end(struct lane_json_writer *w)
{
	lane_json_array(w);
	lane_json_int(w, 2);
}

static void
mistake_nothing(struct lane_json_writer *w)
{
}

static void
mistake_empty_raw(struct lane_json_writer *w)
{
	lane_json_raw(w, LANE_STR(""));
}

static void
mistake_pointer(struct lane_json_writer *w)
{
	lane_json_value(w, (struct lane_value){.kind = LANE_POINTER});
}

static void
mistake_depth(struct lane_json_writer *w)
{
	for (unsigned i = 0; i <= JSON_WRITER_DEPTH; i++)
		lane_json_array(w);
}

static void
mistakes_are_told(void **state)
{
	static const struct {
		void (*write)(struct lane_json_writer *w);
		const char *what;
	} cases[] = {
		{mistake_key_twice, "a key where none can be"},
		{mistake_no_key, "a value without a key"},
		{mistake_no_value, "a key without a value"},
		{mistake_key_in_array, "a key where none can be"},
		{mistake_two_values, "a second value at the top"},
		{mistake_too_many_ends, "an end without a beginning"},
		{mistake_no_end, "an object or array without an end"},
		{mistake_nothing, "nothing was written"},
		{mistake_empty_raw, "an empty raw value"},
		{mistake_pointer, "a value that JSON can't say"},
		{mistake_depth, "nested too deep"},
	};
	const char *mistake;
	struct fixture f;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		fixture_open(&f);
		cases[i].write(&f.w);
		unit_check(json_writer_end(&f.w, &mistake).p == NULL,
		    cases[i].what);
		unit_check(mistake != NULL, cases[i].what);
		assert_string_equal(mistake, cases[i].what);
		arena_done(&f.arena);
	}
}

static void
no_writer_takes_every_call(void **state)
{
	lane_json_object(NULL);
	lane_json_add_int(NULL, "a", 1);
	lane_json_value(NULL, lane_null());
	lane_json_raw(NULL, LANE_STR("1"));
	lane_json_end(NULL);
	assert_null(lane_json_text(NULL).p);
	assert_int_equal(lane_json_send(NULL, 200), -ENOMEM);
}

static void
trees_are_written(void **state)
{
	static const char text[] = "{\"a\":[1,-2.5,9007199254740991,true,null],"
	    "\"b\":{},\"c\":\"\\\"\\n\xc3\xa9\",\"\":[[]]}";
	cJSON *tree = cJSON_Parse(text), *item;
	const char *mistake;
	struct fixture f;

	assert_non_null(tree);
	fixture_open(&f);
	json_write_tree(&f.w, tree);
	fixture_check(&f, str_of(text), "a tree");
	item = cJSON_AddObjectToObject(tree, "x");
	item->type = cJSON_Invalid;
	fixture_open(&f);
	json_write_tree(&f.w, tree);
	assert_null(json_writer_end(&f.w, &mistake).p);
	assert_string_equal(mistake, "a tree with an invalid item");
	arena_done(&f.arena);
	cJSON_Delete(tree);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_and_brackets_come_by_themselves),
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(every_byte_comes_back),
		cmocka_unit_test(integers_are_exact),
		cmocka_unit_test(floats_are_short),
		cmocka_unit_test(floats_read_back_as_they_were),
		cmocka_unit_test(values_of_every_kind),
		cmocka_unit_test(long_texts_grow),
		cmocka_unit_test(mistakes_are_told),
		cmocka_unit_test(no_writer_takes_every_call),
		cmocka_unit_test(trees_are_written),
	};

	return UNIT_RUN(tests);
}
