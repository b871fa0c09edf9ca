/* SPDX-License-Identifier: MIT */
/*
 * Cookies: a name, a line end, a field.  What is found lies in the field; a
 * cookie that can be written is found again, and ends no field early.
 */
#include <string.h>

#include "server/cookie.h"
#include "server/http.h"
#include "tests/fuzz/fuzz.h"

static void
check_format(struct str name, struct str value, struct arena *a)
{
	struct lane_cookie cookie = {.value = {value.p, value.len},
	    .http_only = true};
	struct str copy = arena_copy(a, name), text;

	cookie.name = copy.p;
	if (memchr(copy.p, '\0', copy.len) != NULL ||
	    cookie_format(&cookie, a, &text) != 0)
		return;
	FUZZ_PROMISE(is_field_value(text));
	FUZZ_PROMISE(str_has_suffix(text, STR("; HttpOnly")));
	if (value.len >= 2 && value.p[0] == '"')
		value = str_from(value.p + 1, value.len - 2);
	FUZZ_PROMISE(str_eq(cookie_find(text, name), value));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from((const char *)data, size), name, value;
	struct arena a;

	if (size == 0 || !str_cut(&in, '\n', &name))
		return 0;
	arena_init(&a, NULL);
	value = cookie_find(in, name);
	if (value.p != NULL)
		FUZZ_PROMISE(value.p >= in.p &&
		    value.p + value.len <= in.p + in.len);
	check_format(name, in, &a);
	arena_done(&a);
	return 0;
}
