/* SPDX-License-Identifier: MIT */
/*
 * Sizes and durations as people write them.
 *
 * Owns the two tables of units; each is ordered from large to small, and every
 * unit is a multiple of the next.
 *
 * Here: text to number and back.  Not here: ranges, messages.
 * Context: pure functions.  Reading order: field.h -> read.c -> [units.c].
 */
#include "config/units.h"

#include <stddef.h>

struct unit {
	struct str name;
	int64_t factor;
};

static const struct unit durations[] = {
	{STR_INIT("d"), 86400000},
	{STR_INIT("h"), 3600000},
	{STR_INIT("m"), 60000},
	{STR_INIT("s"), 1000},
	{STR_INIT("ms"), 1},
	{{NULL, 0}, 0},
};

static const struct unit sizes[] = {
	{STR_INIT("GiB"), 1 << 30},
	{STR_INIT("MiB"), 1 << 20},
	{STR_INIT("KiB"), 1 << 10},
	{STR_INIT("B"), 1},
	{{NULL, 0}, 0},
};

static int
unit_parse(const struct unit *units, struct str s, int64_t *ret_value)
{
	const struct unit *u;
	struct str name;
	uint64_t count;
	size_t digits = 0;
	int64_t value;

	while (digits < s.len && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	if (str_to_u64(str_from(s.p, digits), &count) == -1 ||
	    count > INT64_MAX)
		return -1;
	name = str_from(s.p + digits, s.len - digits);
	for (u = units; u->factor != 0; u++) {
		if (!str_eq(u->name, name))
			continue;
		if (__builtin_mul_overflow((int64_t)count, u->factor, &value))
			return -1;
		*ret_value = value;
		return 0;
	}
	return -1;
}

/* zero: the index of the unit that 0 is written in. */
static void
unit_add(struct buf *b, const struct unit *units, size_t zero, int64_t value)
{
	const struct unit *u = units;

	if (value == 0)
		u = &units[zero];
	else
		while (value % u->factor != 0)
			u++;
	buf_printf(b, "%lld%.*s", (long long)(value / u->factor),
	    STR_FMT(u->name));
}

int
units_parse_duration(struct str s, int64_t *ret_ms)
{
	return unit_parse(durations, s, ret_ms);
}

int
units_parse_size(struct str s, int64_t *ret_bytes)
{
	return unit_parse(sizes, s, ret_bytes);
}

void
units_add_duration(struct buf *b, int64_t ms)
{
	unit_add(b, durations, 3, ms);
}

void
units_add_size(struct buf *b, int64_t bytes)
{
	unit_add(b, sizes, 3, bytes);
}
