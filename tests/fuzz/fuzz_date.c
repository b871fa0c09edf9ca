/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes clock_parse_date(): what it accepts must come back from rendering it.
 *
 * Context: called by libFuzzer's main or by replay.c.
 */
#include "common/clock.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t t = clock_parse_date((const char *)data, size);
	char date[CLOCK_DATE_BYTES + 1];

	FUZZ_PROMISE(t >= -1);
	/* The leap second of the last year is the one that can't be said. */
	if (t == -1 || t > INT64_C(253402300799))
		return 0;
	clock_format_date(t, date);
	FUZZ_PROMISE(clock_parse_date(date, CLOCK_DATE_BYTES) == t);
	return 0;
}
