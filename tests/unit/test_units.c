/* SPDX-License-Identifier: MIT */
/* config/units: sizes and durations, both ways. */
#include "common/buf.h"
#include "config/units.h"
#include "tests/unit/unit.h"

static const struct {
	const char *text;
	int64_t ms;		/* -1: refused */
} durations[] = {
	{"0s", 0}, {"250ms", 250}, {"10s", 10000}, {"3m", 180000},
	{"2h", 7200000}, {"1d", 86400000}, {"007s", 7000},
	{"106751991167d", INT64_C(106751991167) * 86400000},
	{"", -1}, {"s", -1}, {"10", -1}, {"10 s", -1}, {" 10s", -1},
	{"10s ", -1}, {"1.5s", -1}, {"-1s", -1}, {"+1s", -1}, {"1h30m", -1},
	{"10S", -1}, {"10sec", -1}, {"10KiB", -1}, {"0x1s", -1},
	{"106751991168d", -1}, {"9223372036854775808ms", -1},
	{"18446744073709551617ms", -1},
};

static const struct {
	const char *text;
	int64_t bytes;
} sizes[] = {
	{"0B", 0}, {"7B", 7}, {"16KiB", 16384}, {"1MiB", 1 << 20},
	{"8589934591GiB", INT64_C(8589934591) << 30},
	{"", -1}, {"B", -1}, {"16", -1}, {"16KB", -1}, {"16kiB", -1},
	{"16K", -1}, {"16 KiB", -1}, {"1.5MiB", -1}, {"-1B", -1}, {"1TiB", -1},
	{"8589934592GiB", -1}, {"10s", -1},
};

static void
texts_are_read_or_refused(void **state)
{
	int64_t value;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(durations); i++) {
		value = -1;
		unit_check(units_parse_duration(str_of(durations[i].text),
		    &value) == (durations[i].ms == -1 ? -1 : 0) &&
		    value == durations[i].ms, durations[i].text);
	}
	for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
		value = -1;
		unit_check(units_parse_size(str_of(sizes[i].text), &value) ==
		    (sizes[i].bytes == -1 ? -1 : 0) &&
		    value == sizes[i].bytes, sizes[i].text);
	}
}

static void
check_written(void (*add)(struct buf *, int64_t), int64_t value,
    const char *text)
{
	struct buf b;

	buf_init(&b, 0);
	add(&b, value);
	unit_check_str(buf_str(&b), str_of(text), text);
	buf_done(&b);
}

static void
numbers_are_written_in_the_largest_unit_that_fits(void **state)
{
	(void)state;
	check_written(units_add_duration, 0, "0s");
	check_written(units_add_duration, 1, "1ms");
	check_written(units_add_duration, 1500, "1500ms");
	check_written(units_add_duration, 75000, "75s");
	check_written(units_add_duration, 3600000, "1h");
	check_written(units_add_duration, 86400000, "1d");
	check_written(units_add_size, 0, "0B");
	check_written(units_add_size, 1000, "1000B");
	check_written(units_add_size, 16384, "16KiB");
	check_written(units_add_size, INT64_C(1) << 40, "1024GiB");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_read_or_refused),
		cmocka_unit_test(
		    numbers_are_written_in_the_largest_unit_that_fits),
	};

	return UNIT_RUN(tests);
}
