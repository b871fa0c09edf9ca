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

/* Where a text fails that comes byte by byte: the bytes that pass. */
static const struct {
	const char *name;
	struct str in;
	size_t passed;
	bool whole;
} parts[] = {
	{"nothing", STR_INIT(""), 0, true},
	{"ASCII", STR_INIT("abc\x7f"), 4, true},
	{"a character of each length",
	    STR_INIT("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), 10, true},
	{"a character that is still to end", STR_INIT("a\xf0\x9f\x98"), 4,
	    false},
	{"a lone tail", STR_INIT("ab\x80"), 2, true},
	{"a lead where a tail must be", STR_INIT("\xe2\x82\xe2"), 2, false},
	{"an overlong lead", STR_INIT("a\xc1"), 1, true},
	{"an overlong second byte", STR_INIT("\xe0\x9f"), 1, false},
	{"a surrogate's second byte", STR_INIT("\xed\xa0"), 1, false},
	{"an overlong second byte of four", STR_INIT("\xf0\x8f"), 1, false},
	{"a second byte past U+10FFFF", STR_INIT("\xf4\x90"), 1, false},
	{"a lead past U+10FFFF", STR_INIT("a\xf5"), 1, true},
	{"after a fault nothing is right",
	    STR_INIT("\xff" "abc"), 0, false},
};

static void
it_fails_at_the_first_impossible_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(parts); i++) {
		struct utf8_state s = {0};
		struct str in = parts[i].in;

		for (size_t k = 0; k < in.len; k++) {
			bool whole = utf8_is_whole(&s);

			if (k == parts[i].passed)
				unit_check(whole == parts[i].whole ||
				    k == 0, parts[i].name);
			unit_check(utf8_feed(&s, str_from(in.p + k, 1)) ==
			    (k < parts[i].passed), parts[i].name);
		}
		if (parts[i].passed == in.len)
			unit_check(utf8_is_whole(&s) == parts[i].whole,
			    parts[i].name);
	}
}

/* The rule of RFC 3629 4 in its longest form, and the whole space of four
 * bytes as far as it can matter. */
static bool
is_made_of_characters(struct str s)
{
	size_t len;

	while ((len = utf8_length(s)) > 0) {
		s.p += len;
		s.len -= len;
	}
	return s.len == 0;
}

static void
it_agrees_with_the_characters_lengths(void **state)
{
	static const uint8_t bytes[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90,
		0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec,
		0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
	const size_t n = sizeof(bytes);

	(void)state;
	for (size_t i = 0; i < n * n * n * n; i++) {
		char text[4] = {(char)bytes[i % n], (char)bytes[i / n % n],
			(char)bytes[i / n / n % n], (char)bytes[i / n / n / n]};
		struct str all = str_from(text, sizeof(text));

		assert_int_equal(utf8_is_valid(all),
		    is_made_of_characters(all));
	}
}

/* Long texts are looked at in blocks, and those in halves: a character lies
 * across each border in turn, and any byte of it may be wrong. */
static void
borders_inside_long_texts_are_no_matter(void **state)
{
	static const char *const characters[] = {"\xc3\xa4", "\xe2\x82\xac",
		"\xed\x9f\xbf", "\xf0\x9f\x98\x80"};
	static const char wrong[] = {'x', (char)0x80, (char)0xbf, (char)0xc3,
		(char)0xe2, (char)0xf4, (char)0xff};
	char text[150];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(characters) * 5; i++) {
		struct str c = str_of(characters[i / 5]);
		size_t len = i % 5;

		memset(text, 'a', len);
		for (; len + c.len <= sizeof(text); len += c.len)
			memcpy(text + len, c.p, c.len);
		assert_true(utf8_is_valid(str_from(text, len)));
		for (size_t at = 0; at < len * sizeof(wrong); at++) {
			char *place = text + at / sizeof(wrong), was = *place;
			struct str all = str_from(text, len);

			*place = wrong[at % sizeof(wrong)];
			assert_int_equal(utf8_is_valid(all),
			    is_made_of_characters(all));
			*place = was;
		}
	}
}

static void
what_is_open_at_the_end_of_a_part_is_held_against_the_next(void **state)
{
	char ascii[200];

	(void)state;
	memset(ascii, 'x', sizeof(ascii));
	for (size_t len = 1; len <= sizeof(ascii); len++) {
		struct utf8_state open = {0}, bad = {0};

		assert_true(utf8_feed(&open, STR("\xf0\x9f")));
		assert_false(utf8_feed(&open, str_from(ascii, len)));
		assert_false(utf8_feed(&bad, STR("\xff")));
		assert_false(utf8_feed(&bad, str_from(ascii, len)));
		assert_false(utf8_is_whole(&bad));
	}
}

static void
a_fault_is_found_at_any_place_of_a_long_text(void **state)
{
	char text[200];

	(void)state;
	for (size_t len = 1; len <= sizeof(text); len++) {
		for (size_t at = 0; at < len; at++) {
			struct utf8_state s = {0};

			memset(text, 'x', len);
			text[at] = (char)0xc3;
			assert_int_equal(utf8_feed(&s, str_from(text, len)),
			    at + 1 == len);
			s = (struct utf8_state){0};
			if (at + 1 < len)
				text[at + 1] = (char)0xa4;
			assert_true(utf8_feed(&s, str_from(text, len)));
			assert_int_equal(utf8_is_whole(&s), at + 1 < len);
			text[at] = (char)0xa4;
			s = (struct utf8_state){0};
			assert_false(utf8_feed(&s, str_from(text, len)));
			assert_false(utf8_is_valid(str_from(text, len)));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_judged),
		cmocka_unit_test(every_character_has_its_length),
		cmocka_unit_test(it_fails_at_the_first_impossible_byte),
		cmocka_unit_test(it_agrees_with_the_characters_lengths),
		cmocka_unit_test(borders_inside_long_texts_are_no_matter),
		cmocka_unit_test(
		    what_is_open_at_the_end_of_a_part_is_held_against_the_next),
		cmocka_unit_test(a_fault_is_found_at_any_place_of_a_long_text),
	};

	return UNIT_RUN(tests);
}
