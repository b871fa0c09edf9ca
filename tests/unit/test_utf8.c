/* SPDX-License-Identifier: MIT */
/* common/utf8: exactly the characters of RFC 3629. */
#include "common/utf8.h"
#include "tests/unit/unit.h"

static const struct {
	const char *name;
	struct str in;
	bool valid;
} texts[] = {
	{"empty", STR_INIT(""), true},
	{"ASCII over a word", STR_INIT("0123456789abcdef!"), true},
	{"the first of two bytes", STR_INIT("\xc2\x80"), true},
	{"the last before the surrogates", STR_INIT("\xed\x9f\xbf"), true},
	{"the last of all", STR_INIT("\xf4\x8f\xbf\xbf"), true},
	{"overlong slash", STR_INIT("\xc0\xaf"), false},
	{"overlong, three bytes", STR_INIT("\xe0\x9f\xbf"), false},
	{"overlong, four bytes", STR_INIT("\xf0\x8f\xbf\xbf"), false},
	{"a surrogate", STR_INIT("\xed\xa0\x80"), false},
	{"past U+10FFFF", STR_INIT("\xf4\x90\x80\x80"), false},
	{"a lone tail", STR_INIT("\x80"), false},
	{"cut", STR_INIT("abcdefgh\xe2\x82"), false},
	{"a bad last byte", STR_INIT("\xe2\x82z"), false},
	{"no such byte", STR_INIT("0123456\xff" "89"), false},
};

static void
texts_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(texts); i++)
		unit_check(utf8_is_valid(texts[i].in) == texts[i].valid,
		    texts[i].name);
}

static size_t
encode(uint32_t c, char *out)
{
	const size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = len - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(leads[len] | c);
	return len;
}

static void
every_character_has_its_length(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < 0x120000; c++) {
		bool valid = c < 0xd800 || (c > 0xdfff && c < 0x110000);
		char text[4];
		size_t len = encode(c, text);

		assert_int_equal(utf8_length(str_from(text, len)),
		    valid ? len : 0);
		if (len > 1)
			assert_int_equal(utf8_length(str_from(text, len - 1)),
			    0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_judged),
		cmocka_unit_test(every_character_has_its_length),
	};

	return UNIT_RUN(tests);
}
