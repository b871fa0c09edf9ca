/* SPDX-License-Identifier: MIT */
/* common/clock: dates both ways, against the C library's calendar. */
#include "common/clock.h"
#include "tests/unit/unit.h"

static const struct {
	const char *name;
	const char *text;
	int64_t want;
} parses[] = {
	{"IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
	{"RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
	{"RFC 850, the longest day", "Wednesday, 09-Nov-94 08:49:37 GMT",
	    784370977},
	{"asctime", "Sun Nov  6 08:49:37 1994", 784111777},
	{"asctime, two digits", "Wed Nov 16 08:49:37 1994", 784975777},
	{"the epoch", "Thu, 01 Jan 1970 00:00:00 GMT", 0},
	{"a leap day", "Thu, 29 Feb 2024 00:00:00 GMT", 1709164800},
	{"a leap second", "Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
	{"the last second", "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
	{"no leap year", "Thu, 29 Feb 2100 00:00:00 GMT", -1},
	{"before the epoch", "Wed, 31 Dec 1969 23:59:59 GMT", -1},
	{"empty", "", -1},
	{"cut", "Sun, 06 Nov 1994 08:49:37 GM", -1},
	{"too long", "Sun, 06 Nov 1994 08:49:37 GMT ", -1},
	{"another zone", "Sun, 06 Nov 1994 08:49:37 UTC", -1},
	{"lower case", "sun, 06 nov 1994 08:49:37 gmt", -1},
	{"day 0", "Sun, 00 Nov 1994 08:49:37 GMT", -1},
	{"day 31 of 30", "Sun, 31 Nov 1994 08:49:37 GMT", -1},
	{"hour 24", "Sun, 06 Nov 1994 24:00:00 GMT", -1},
	{"minute 60", "Sun, 06 Nov 1994 08:60:00 GMT", -1},
	{"second 61", "Sun, 06 Nov 1994 08:00:61 GMT", -1},
	{"a sign for a digit", "Sun, +6 Nov 1994 08:49:37 GMT", -1},
	{"no such month", "Sun, 06 Nor 1994 08:49:37 GMT", -1},
	{"no such long day", "Sumday, 06-Nov-94 08:49:37 GMT", -1},
};

static void
dates_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(parses); i++)
		unit_check(clock_parse_date(parses[i].text,
		    strlen(parses[i].text)) == parses[i].want, parses[i].name);
}

static void
two_digit_years_lie_within_fifty_years(void **state)
{
	int64_t now = clock_now_real_ms() / 1000;

	(void)state;
	for (unsigned year = 0; year < 100; year++) {
		const int64_t limit = now + INT64_C(51) * 366 * 86400;
		char text[] = "Sunday, 06-Nov-00 08:49:37 GMT";
		int64_t t;

		text[15] = (char)('0' + year / 10);
		text[16] = (char)('0' + year % 10);
		t = clock_parse_date(text, strlen(text));
		assert_true(t == -1 || t < limit);
	}
}

static void
dates_agree_with_the_c_library(void **state)
{
	(void)state;
	/* A prime step: all months, weekdays and times of day come up. */
	for (int64_t t = 0; t < INT64_C(253402300799); t += 15485863) {
		char ours[CLOCK_DATE_BYTES + 1], theirs[64];
		time_t at = (time_t)t;
		struct tm tm;

		assert_non_null(gmtime_r(&at, &tm));
		strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT",
		    &tm);
		clock_format_date(t, ours);
		assert_string_equal(ours, theirs);
		assert_int_equal(clock_parse_date(ours, CLOCK_DATE_BYTES), t);
		strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S.042Z", &tm);
		clock_format_iso(t * 1000 + 42, ours);
		assert_string_equal(ours, theirs);
	}
}

static void
formatting_stays_within_four_digit_years(void **state)
{
	char date[CLOCK_DATE_BYTES + 1];

	(void)state;
	clock_format_date(-5, date);
	assert_string_equal(date, "Thu, 01 Jan 1970 00:00:00 GMT");
	clock_format_date(INT64_MAX, date);
	assert_string_equal(date, "Fri, 31 Dec 9999 23:59:59 GMT");
	clock_format_iso(-1, date);
	assert_string_equal(date, "1970-01-01T00:00:00.000Z");
}

static void
a_loop_clock_moves_forward(void **state)
{
	char date[CLOCK_DATE_BYTES + 1];
	struct clock clk;
	uint64_t before = clock_now_ns();

	(void)state;
	clock_init(&clk);
	assert_true(clk.mono_ns >= before);
	before = clk.mono_ns;
	clock_update(&clk);
	assert_true(clk.mono_ns >= before);
	assert_int_equal(clk.mono_ms, clk.mono_ns / 1000000);
	clock_format_date(clk.real_s, date);
	assert_string_equal(clk.date, date);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_are_read),
		cmocka_unit_test(two_digit_years_lie_within_fifty_years),
		cmocka_unit_test(dates_agree_with_the_c_library),
		cmocka_unit_test(formatting_stays_within_four_digit_years),
		cmocka_unit_test(a_loop_clock_moves_forward),
	};

	return UNIT_RUN(tests);
}
