/* SPDX-License-Identifier: MIT */
/* common/buf: growth, limits, sticky failure, JSON and HTML text. */
#include <stdlib.h>

#include "common/buf.h"
#include "tests/unit/unit.h"

static const struct {
	const char *name;
	struct str in, json, html;
} texts[] = {
	{"plain text", STR_INIT("hello"), STR_INIT("\"hello\""),
	    STR_INIT("hello")},
	{"nothing", STR_INIT(""), STR_INIT("\"\""), STR_INIT("")},
	{"what JSON escapes", STR_INIT("a\"\\\n\r\t\b\x7f\0z"),
	    STR_INIT("\"a\\\"\\\\\\n\\r\\t\\u0008\\u007f\\u0000z\""),
	    STR_INIT("a&quot;\\\n\r\t\b\x7f\0z")},
	{"what HTML escapes", STR_INIT("<a href='x'>&</a>"),
	    STR_INIT("\"<a href='x'>&</a>\""),
	    STR_INIT("&lt;a href=&#39;x&#39;&gt;&amp;&lt;/a&gt;")},
	{"UTF-8 stays", STR_INIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
	    STR_INIT("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""),
	    STR_INIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80")},
	{"bytes that are no UTF-8", STR_INIT("a\xff\xc3z\xe2\x82"),
	    STR_INIT("\"a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\""),
	    STR_INIT("a\xff\xc3z\xe2\x82")},
};

static void
texts_are_escaped(void **state)
{
	struct buf b;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(texts); i++) {
		buf_init(&b, 0);
		buf_add_json(&b, texts[i].in);
		unit_check_str(buf_str(&b), texts[i].json, texts[i].name);
		buf_clear(&b);
		buf_add_html(&b, texts[i].in);
		unit_check_str(buf_str(&b), texts[i].html, texts[i].name);
		buf_done(&b);
	}
}

static void
it_grows_and_stays_terminated(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	for (unsigned i = 0; i < 3000; i++) {
		buf_printf(&b, "%u,", i % 10);
		buf_add_byte(&b, '.');
		assert_int_equal(b.len, 3 * (i + 1));
		assert_int_equal(b.p[b.len], '\0');
	}
	assert_memory_equal(b.p + 3 * 2997, "7,.8,.9,.", 10);
	assert_false(buf_failed(&b));
	buf_done(&b);
}

static void
the_limit_is_exact_and_failure_sticks(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_add(&b, STR("12345"));
	assert_false(buf_failed(&b));
	buf_add(&b, STR("6"));
	assert_true(buf_failed(&b));
	buf_clear(&b);
	assert_false(buf_failed(&b));
	buf_printf(&b, "%d", 123456);
	assert_true(buf_failed(&b));
	buf_add(&b, STR("1"));
	assert_int_equal(b.len, 0);
	assert_null(buf_take(&b));
	assert_false(buf_failed(&b));
	buf_done(&b);
}

static void
the_text_can_be_taken(void **state)
{
	struct buf b;
	char *text;

	(void)state;
	buf_init(&b, 0);
	text = buf_take(&b);
	assert_string_equal(text, "");
	free(text);
	buf_printf(&b, "%300d", 1);
	text = buf_take(&b);
	assert_int_equal(strlen(text), 300);
	free(text);
	unit_check_str(buf_str(&b), STR(""), "empty after taking");
	buf_done(&b);
}

static void
numbers_lose_nothing(void **state)
{
	static const struct {
		double number;
		const char *text;
	} cases[] = {
	    {0, "0"}, {-1, "-1"}, {9007199254740991.0, "9007199254740991"},
	    {-9007199254740992.0, "-9007199254740992"}, {0.1, "0.1"},
	    {0.1 + 0.2, "0.30000000000000004"}, {1e300, "1e+300"},
	};
	struct buf b;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_init(&b, 0);
		buf_add_number(&b, cases[i].number);
		assert_string_equal(buf_str(&b).p, cases[i].text);
		buf_done(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_escaped),
		cmocka_unit_test(it_grows_and_stays_terminated),
		cmocka_unit_test(the_limit_is_exact_and_failure_sticks),
		cmocka_unit_test(the_text_can_be_taken),
		cmocka_unit_test(numbers_lose_nothing),
	};

	return UNIT_RUN(tests);
}
