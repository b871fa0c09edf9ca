/* SPDX-License-Identifier: MIT */
/* common/str: comparing, cutting, lists, numbers. */
#include "common/str.h"
#include "tests/unit/unit.h"

static void
case_is_ignored_for_ascii_letters_only(void **state)
{
	char a[20], b[20];

	(void)state;
	/* Every pair of bytes, at both ends of short and long slices. */
	for (unsigned n = 0; n < 65536; n++) {
		unsigned x = n >> 8, y = n & 255;
		bool want = x == y || ((x ^ y) == 0x20 && (x | 0x20) >= 'a' &&
		    (x | 0x20) <= 'z');

		for (size_t len = 1; len <= 17; len += 4) {
			memset(a, 'k', len);
			memset(b, 'K', len);
			a[len - 1] = (char)x;
			b[len - 1] = (char)y;
			assert_int_equal(str_eq_nocase(str_from(a, len),
			    str_from(b, len)), want);
			a[0] = (char)x;
			b[0] = (char)y;
			assert_int_equal(str_eq_nocase(str_from(a, len),
			    str_from(b, len)), want);
		}
	}
	assert_false(str_eq_nocase(STR("abc"), STR("abcd")));
	assert_true(str_eq_nocase(STR(""), (struct str){NULL, 0}));
}

static void
order_and_ends(void **state)
{
	(void)state;
	assert_true(str_cmp(STR("a"), STR("b")) < 0);
	assert_true(str_cmp(STR("a"), STR("ab")) < 0);
	assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
	assert_int_equal(str_cmp(STR(""), (struct str){NULL, 0}), 0);
	assert_true(str_has_prefix(STR("abc"), STR("ab")));
	assert_true(str_has_prefix(STR("abc"), STR("")));
	assert_false(str_has_prefix(STR("a"), STR("ab")));
	assert_true(str_has_suffix(STR("abc"), STR("bc")));
	assert_false(str_has_suffix(STR("abc"), STR("ab")));
	assert_false(str_has_suffix(STR("c"), STR("bc")));
	unit_check_str(str_trim(STR(" \t a b\t ")), STR("a b"), "trim");
	unit_check_str(str_trim(STR(" \t ")), STR(""), "all space");
	unit_check_str(str_trim(STR("\na")), STR("\na"), "OWS has no LF");
	assert_int_equal(str_find(STR("abc"), 'c'), 2);
	assert_int_equal(str_find(STR("abc"), 'x'), 3);
	assert_int_equal(str_find((struct str){NULL, 0}, 'x'), 0);
	assert_true(str_hash(STR("")) == UINT64_C(0xcbf29ce484222325));
	assert_true(str_hash(STR("foobar")) == UINT64_C(0x85944171f73967e8));
}

static const struct {
	const char *name;
	struct str in;
	const char *parts;	/* joined by '|', each followed by one */
} cuts[] = {
	{"two parts", STR_INIT("a/b"), "a|b|"},
	{"one part", STR_INIT("a"), "a|"},
	{"empty parts", STR_INIT("/a//"), "|a|||"},
	{"the empty slice has one part", STR_INIT(""), "|"},
	{"the null slice has none", {NULL, 0}, ""},
};

static void
cutting_yields_every_part(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cuts); i++) {
		struct str rest = cuts[i].in, head;
		char joined[32];
		size_t len = 0;

		while (str_cut(&rest, '/', &head)) {
			memcpy(joined + len, head.p, head.len);
			len += head.len;
			joined[len++] = '|';
		}
		unit_check_str(str_from(joined, len), str_of(cuts[i].parts),
		    cuts[i].name);
	}
}

static void
lists_skip_what_is_empty(void **state)
{
	struct str rest = STR(" , keep-alive,,\tUpgrade ,"), item;

	(void)state;
	assert_true(str_list_next(&rest, &item));
	unit_check_str(item, STR("keep-alive"), "the first");
	assert_true(str_list_next(&rest, &item));
	unit_check_str(item, STR("Upgrade"), "the second");
	assert_false(str_list_next(&rest, &item));
	assert_true(str_list_has(STR("keep-alive, upgrade"), STR("Upgrade")));
	assert_false(str_list_has(STR("keep-alive, upgrade"), STR("keep")));
	assert_false(str_list_has(STR(""), STR("")));
}

static const struct {
	const char *name;
	struct str in;
	int result;
	uint64_t value;
} numbers[] = {
	{"zero", STR_INIT("0"), 0, 0},
	{"leading zeros", STR_INIT("007"), 0, 7},
	{"the largest", STR_INIT("18446744073709551615"), 0, UINT64_MAX},
	{"one more", STR_INIT("18446744073709551616"), -1, 0},
	{"a digit more", STR_INIT("99999999999999999999"), -1, 0},
	{"nothing", STR_INIT(""), -1, 0},
	{"a sign", STR_INIT("+1"), -1, 0},
	{"a minus", STR_INIT("-1"), -1, 0},
	{"a space", STR_INIT(" 1"), -1, 0},
	{"a letter behind", STR_INIT("1a"), -1, 0},
	{"a NUL behind", STR_INIT("1\0"), -1, 0},
};

static void
numbers_are_digits_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(numbers); i++) {
		uint64_t value = 42;
		int result = str_to_u64(numbers[i].in, &value);

		unit_check(result == numbers[i].result, numbers[i].name);
		unit_check(value == (result == 0 ? numbers[i].value : 42),
		    numbers[i].name);
	}
}

static void
hex_digits_have_their_value_and_nothing_else_has(void **state)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	int byte, want;

	(void)state;
	for (byte = 0; byte < 256; byte++) {
		const char *at = memchr(digits, byte, sizeof(digits) - 1);

		want = at != NULL ? (int)((at - digits) % 16) : -1;
		assert_int_equal(str_hex_digit((char)byte), want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(case_is_ignored_for_ascii_letters_only),
		cmocka_unit_test(order_and_ends),
		cmocka_unit_test(cutting_yields_every_part),
		cmocka_unit_test(lists_skip_what_is_empty),
		cmocka_unit_test(numbers_are_digits_only),
		cmocka_unit_test(
		    hex_digits_have_their_value_and_nothing_else_has),
	};

	return UNIT_RUN(tests);
}
