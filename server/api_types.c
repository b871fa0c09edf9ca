/* SPDX-License-Identifier: MIT */
/*
 * Slices and values of the module API (<corelane/types.h>).
 *
 * Owns nothing.  Context: any thread.
 */
#include <corelane/types.h>

#include <string.h>

struct lane_str
lane_str_of(const char *text)
{
	return (struct lane_str){text, text != NULL ? strlen(text) : 0};
}

bool
lane_str_eq(struct lane_str a, struct lane_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

struct lane_value
lane_null(void)
{
	return (struct lane_value){.kind = LANE_NULL};
}

struct lane_value
lane_bool(bool b)
{
	return (struct lane_value){.kind = LANE_BOOL, .u.b = b};
}

struct lane_value
lane_int(int64_t i)
{
	return (struct lane_value){.kind = LANE_INT, .u.i = i};
}

struct lane_value
lane_float(double f)
{
	return (struct lane_value){.kind = LANE_FLOAT, .u.f = f};
}

struct lane_value
lane_text(struct lane_str s)
{
	return (struct lane_value){.kind = LANE_TEXT, .u.s = s};
}

struct lane_value
lane_blob(struct lane_str s)
{
	return (struct lane_value){.kind = LANE_BLOB, .u.s = s};
}
