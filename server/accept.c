/* SPDX-License-Identifier: MIT */
/*
 * Reads lists with quality values.
 *
 * Owns nothing.  Here: syntax.  Not here: what is chosen (its users).
 * Context: any thread.
 */
#include "server/accept.h"

/* qvalue = ( "0" [ "." *3DIGIT ] ) / ( "1" [ "." *3"0" ] ), in thousandths;
 * -1: malformed (RFC 9110 12.4.2). */
static int
quality_parse(struct str s)
{
	int value, unit = 100;
	size_t i;

	if (s.len == 0 || s.len > 5 || (s.p[0] != '0' && s.p[0] != '1') ||
	    (s.len > 1 && s.p[1] != '.'))
		return -1;
	value = (s.p[0] - '0') * 1000;
	for (i = 2; i < s.len; i++, unit /= 10) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		value += (s.p[i] - '0') * unit;
	}
	return value <= 1000 ? value : -1;
}

/* The weight among an item's parameters; 1000 where there is none. */
static int
quality_of(struct str params)
{
	struct str param;
	int value;

	while (str_cut(&params, ';', &param)) {
		param = str_trim(param);
		if (param.len < 2 || (param.p[0] | 0x20) != 'q' ||
		    param.p[1] != '=')
			continue;
		value = quality_parse(str_from(param.p + 2, param.len - 2));
		return value == -1 ? 0 : value;
	}
	return 1000;
}

int
accept_quality(struct str list, struct str name)
{
	struct str item, head;
	int value, best = -1;

	while (str_list_next(&list, &item)) {
		if (!str_cut(&item, ';', &head) ||
		    !str_eq_nocase(str_trim(head), name))
			continue;
		value = quality_of(item);
		if (value > best)
			best = value;
	}
	return best;
}
