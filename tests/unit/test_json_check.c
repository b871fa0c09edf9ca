/* SPDX-License-Identifier: MIT */
/*
 * The strict JSON check: what it takes, and where it tells what is wrong.
 */
#include "server/json_check.h"

#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "common/buf.h"
#include "tests/unit/unit.h"

static const struct {
	const char *name;
	struct str text;
} good[] = {
	{"a scalar is a text", STR_INIT("7")},
	{"white space of all four kinds", STR_INIT(" \t\r\n{ } \n")},
	{"an empty array in an array", STR_INIT("[[]]")},
	{"all kinds of values",
	    STR_INIT("{\"a\":[1,-0.5e+3,true,false,null,\"x\"],\"b\":{}}")},
	{"zero, minus zero, and fractions of it",
	    STR_INIT("[0,-0,0.0,0e0,0E-1]")},
	{"the largest double", STR_INIT("1.7976931348623157e308")},
	{"a number that rounds to zero", STR_INIT("1e-400")},
	{"every escape", STR_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"")},
	{"a pair of surrogates", STR_INIT("\"\\ud83d\\ude00\"")},
	{"UTF-8 of two, three and four bytes",
	    STR_INIT("\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"")},
	{"a long plain string", STR_INIT("\"0123456789abcdef0123456789\"")},
	{"equal keys in different objects",
	    STR_INIT("{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":1}}")},
	{"keys that differ in case", STR_INIT("{\"a\":1,\"A\":2}")},
	{"an empty key", STR_INIT("{\"\":1}")},
	{"DEL is no control byte of JSON", STR_INIT("\"\x7f\"")},
	{"a number of 63 digits", STR_INIT("12345678901234567890123456789012"
	    "3456789012345678901234567890123")},
};

static void
test_good(void **state)
{
	struct json_fault fault;
	cJSON *tree;

	for (size_t i = 0; i < UNIT_COUNT(good); i++) {
		unit_check(json_check(good[i].text, 64, &fault) == 0,
		    good[i].name);
		tree = cJSON_ParseWithLength(good[i].text.p, good[i].text.len);
		unit_check(tree != NULL, good[i].name);
		cJSON_Delete(tree);
	}
}

static const struct {
	const char *name;
	struct str text;
	unsigned line, column;
	const char *what;
} bad[] = {
	{"nothing", STR_INIT(""), 1, 1, "a value is missing"},
	{"white space alone", STR_INIT(" \n "), 2, 2, "a value is missing"},
	{"a byte order mark", STR_INIT("\xef\xbb\xbf{}"), 1, 1,
	    "a byte order mark"},
	{"another kind of white space", STR_INIT("\v1"), 1, 1,
	    "a value is missing"},
	{"something behind it", STR_INIT("{}\n{}"), 2, 1,
	    "something follows the value"},
	{"NUL behind it", STR_INIT("1\0"), 1, 2,
	    "something follows the value"},
	{"half a word", STR_INIT("[tru]"), 1, 2, "a value is missing"},
	{"a word in capitals", STR_INIT("True"), 1, 1, "a value is missing"},
	{"not a number", STR_INIT("NaN"), 1, 1, "a value is missing"},
	{"a leading zero", STR_INIT("[1,\n 007]"), 2, 2,
	    "a number begins with a zero"},
	{"a leading zero behind a minus", STR_INIT("-01"), 1, 1,
	    "a number begins with a zero"},
	{"a plus", STR_INIT("+1"), 1, 1, "a value is missing"},
	{"a bare minus", STR_INIT("-"), 1, 2, "a digit is missing"},
	{"a point with nothing behind", STR_INIT("1."), 1, 3,
	    "a digit is missing"},
	{"a point with nothing in front", STR_INIT(".5"), 1, 1,
	    "a value is missing"},
	{"an empty exponent", STR_INIT("1e"), 1, 3, "a digit is missing"},
	{"an exponent of a sign", STR_INIT("1e+"), 1, 4, "a digit is missing"},
	{"a hexadecimal number", STR_INIT("0x1"), 1, 2,
	    "something follows the value"},
	{"a number past the doubles", STR_INIT("[1e400]"), 1, 2,
	    "a number is too large"},
	{"a negative one past them", STR_INIT("-1E+309"), 1, 1,
	    "a number is too large"},
	{"a number of 64 digits", STR_INIT("123456789012345678901234567890123"
	    "4567890123456789012345678901234"), 1, 1, "a number is too long"},
	{"a string that doesn't end", STR_INIT("[\"abc]"), 1, 2,
	    "a string doesn't end"},
	{"a string that ends in an escape", STR_INIT("\"\\"), 1, 2,
	    "a string doesn't end"},
	{"a line end in a string", STR_INIT("\"a\nb\""), 1, 3,
	    "a control byte in a string"},
	{"NUL in a string", STR_INIT("\"a\0b\""), 1, 3,
	    "a control byte in a string"},
	{"NUL behind eight plain bytes", STR_INIT("\"12345678\0b\""), 1, 10,
	    "a control byte in a string"},
	{"an unknown escape", STR_INIT("\"\\x41\""), 1, 2, "no such escape"},
	{"an escape of three digits", STR_INIT("\"\\u12g4\""), 1, 2,
	    "four hexadecimal digits must follow \\u"},
	{"an escape that is cut off", STR_INIT("\"\\u12"), 1, 2,
	    "four hexadecimal digits must follow \\u"},
	{"U+0000", STR_INIT("\"\\u0000\""), 1, 2, "U+0000 isn't taken"},
	{"a high surrogate alone", STR_INIT("\"\\ud800\""), 1, 2,
	    "half of a surrogate pair"},
	{"a high surrogate twice", STR_INIT("\"\\ud800\\ud800\""), 1, 2,
	    "half of a surrogate pair"},
	{"a low surrogate alone", STR_INIT("\"\\udc00\""), 1, 2,
	    "half of a surrogate pair"},
	{"a byte of Latin-1", STR_INIT("\"caf\xe9\""), 1, 5, "invalid UTF-8"},
	{"an overlong slash", STR_INIT("\"\xc0\xaf\""), 1, 2, "invalid UTF-8"},
	{"a surrogate in UTF-8", STR_INIT("\"\xed\xa0\x80\""), 1, 2,
	    "invalid UTF-8"},
	{"columns are characters", STR_INIT("[\"\xc3\xa9\xc3\xa9\", x]"), 1, 8,
	    "a value is missing"},
	{"a comma at the end of an array", STR_INIT("[1,]"), 1, 4,
	    "a value is missing"},
	{"a comma at the end of an object", STR_INIT("{\"a\":1,}"), 1, 8,
	    "a key is missing"},
	{"no comma", STR_INIT("[1 2]"), 1, 4, "a comma or a ] is missing"},
	{"no comma in an object", STR_INIT("{\"a\":1 \"b\":2}"), 1, 8,
	    "a comma or a } is missing"},
	{"no colon", STR_INIT("{\"a\" 1}"), 1, 6, "a colon is missing"},
	{"a key that is no string", STR_INIT("{a:1}"), 1, 2,
	    "a key is missing"},
	{"the wrong bracket", STR_INIT("[1}"), 1, 3,
	    "a comma or a ] is missing"},
	{"a comment", STR_INIT("/* */ 1"), 1, 1, "a value is missing"},
	{"a key twice", STR_INIT("{\"a\":1,\n\"b\":2,\n\"a\":3}"), 3, 1,
	    "a key stands there twice"},
	{"a key twice, once with an escape",
	    STR_INIT("{\"a/\":1,\"\\u0061\\/\":3}"), 1, 9,
	    "a key stands there twice"},
	{"an escaped pair is its character",
	    STR_INIT("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":3}"), 1, 8,
	    "a key stands there twice"},
};

static void
test_bad(void **state)
{
	struct json_fault fault;

	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		unit_check(json_check(bad[i].text, 64, &fault) == -1,
		    bad[i].name);
		unit_check_str(str_of(fault.what), str_of(bad[i].what),
		    bad[i].name);
		if (fault.line != bad[i].line || fault.column != bad[i].column)
			fail_msg("%s: at %u:%u", bad[i].name, fault.line,
			    fault.column);
	}
}

static void
nest(char *out, unsigned depth)
{
	memset(out, '[', depth);
	memset(out + depth, ']', depth);
}

static void
test_depth(void **state)
{
	static const struct {
		unsigned depth, limit;
		bool is_good;
	} cases[] = {
		{1, 1, true}, {1, 0, false}, {64, 64, true}, {65, 64, false},
		{1000, 5000, true}, {1001, 5000, false},
	};
	char text[2 * 1001];
	struct json_fault fault;
	cJSON *tree;
	int result;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		unsigned depth = cases[i].depth;

		nest(text, depth);
		result = json_check(str_from(text, (size_t)2 * depth),
		    cases[i].limit, &fault);
		assert_int_equal(result, cases[i].is_good ? 0 : -1);
		if (result == -1) {
			assert_string_equal(fault.what,
			    "it is nested too deep");
			continue;
		}
		tree = cJSON_ParseWithLength(text, (size_t)2 * depth);
		assert_non_null(tree);
		cJSON_Delete(tree);
	}
}

/* Many keys take the way through a sorted list. */
static void
test_many_keys(void **state)
{
	struct json_fault fault;
	struct buf b;

	buf_init(&b, 0);
	buf_add(&b, STR("{\"x\":0"));
	for (unsigned i = 0; i < 5000; i++)
		buf_printf(&b, ",\n\"k%u\":%u", i, i);
	buf_add(&b, STR("}"));
	assert_int_equal(json_check(buf_str(&b), 64, &fault), 0);
	b.len--;
	buf_add(&b, STR(",\n  \"k\\u0037\":1}"));
	assert_int_equal(json_check(buf_str(&b), 64, &fault), -1);
	assert_string_equal(fault.what, "a key stands there twice");
	assert_int_equal(fault.line, 5002);
	assert_int_equal(fault.column, 3);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_many_keys),
	};

	return UNIT_RUN(tests);
}
