/* SPDX-License-Identifier: MIT */
/*
 * Cookies: what is found in a field, and what is written or refused.
 */
#include "server/cookie.h"

#include <errno.h>

#include "tests/unit/unit.h"

static void
test_find(void **state)
{
	static const struct {
		const char *name;
		struct str field;
		struct str cookie;
		struct str value; /* .p NULL: none */
	} cases[] = {
		{"the only one", STR_INIT("a=1"), STR_INIT("a"),
		    STR_INIT("1")},
		{"the last one", STR_INIT("a=1; b=2; c=3"), STR_INIT("c"),
		    STR_INIT("3")},
		{"the first of two", STR_INIT("a=1; a=2"), STR_INIT("a"),
		    STR_INIT("1")},
		{"names have a case", STR_INIT("A=1"), STR_INIT("a"),
		    {NULL, 0}},
		{"not a part of a name", STR_INIT("ab=1"), STR_INIT("b"),
		    {NULL, 0}},
		{"a value with =", STR_INIT("a=b=c=="), STR_INIT("a"),
		    STR_INIT("b=c==")},
		{"quotes are taken off", STR_INIT("a=\"x y\""), STR_INIT("a"),
		    STR_INIT("x y")},
		{"one quote stays", STR_INIT("a=\""), STR_INIT("a"),
		    STR_INIT("\"")},
		{"an empty value", STR_INIT("a=;b=2"), STR_INIT("a"),
		    STR_INIT("")},
		{"no = is no cookie", STR_INIT("a; b=2"), STR_INIT("a"),
		    {NULL, 0}},
		{"white space around", STR_INIT(" a = 1 ;b=2"), STR_INIT("a"),
		    STR_INIT("1")},
		{"no field", {NULL, 0}, STR_INIT("a"), {NULL, 0}},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct str got = cookie_find(cases[i].field, cases[i].cookie);

		unit_check_str(got, cases[i].value, cases[i].name);
		unit_check((got.p == NULL) == (cases[i].value.p == NULL),
		    cases[i].name);
	}
}

#define V(text) {"" text, sizeof(text) - 1}

static const struct {
	const char *name;
	struct lane_cookie cookie;
	const char *value; /* NULL: -EINVAL */
} formats[] = {
	{"a bare one", {.name = "sid", .value = V("x")}, "sid=x"},
	{"an empty value", {.name = "sid"}, "sid="},
	{"a quoted value", {.name = "a", .value = V("\"b\"")}, "a=\"b\""},
	{"all attributes", {.name = "a", .value = V("b"), .path = "/p",
	    .domain = "example.org", .max_age_s = 3600, .expires_s = 784111777,
	    .secure = true, .http_only = true, .partitioned = true,
	    .same_site = LANE_SAME_SITE_NONE},
	    "a=b; Path=/p; Domain=example.org; Max-Age=3600; "
	    "Expires=Sun, 06 Nov 1994 08:49:37 GMT; Secure; HttpOnly; "
	    "Partitioned; SameSite=None"},
	{"lax", {.name = "a", .same_site = LANE_SAME_SITE_LAX},
	    "a=; SameSite=Lax"},
	{"strict", {.name = "a", .same_site = LANE_SAME_SITE_STRICT},
	    "a=; SameSite=Strict"},
	{"dropped", {.name = "a", .max_age_s = -1},
	    "a=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:01 GMT"},
	{"a host's own", {.name = "__Host-a", .path = "/", .secure = true},
	    "__Host-a=; Path=/; Secure"},

	{"no name", {.value = V("x")}, NULL},
	{"an empty name", {.name = ""}, NULL},
	{"a name with a space", {.name = "a b"}, NULL},
	{"a name with =", {.name = "a="}, NULL},
	{"a value with a semicolon", {.name = "a", .value = V("b; Secure")},
	    NULL},
	{"a value with a space", {.name = "a", .value = V("b c")}, NULL},
	{"a value with a comma", {.name = "a", .value = V("b,c")}, NULL},
	{"a value with a line end", {.name = "a", .value = V("b\r\nX: y")},
	    NULL},
	{"a value with NUL", {.name = "a", .value = V("b\0c")}, NULL},
	{"a value in UTF-8", {.name = "a", .value = V("\xc3\xa9")}, NULL},
	{"a value with a quote inside", {.name = "a", .value = V("b\"c")},
	    NULL},
	{"a path with a semicolon", {.name = "a", .path = "/;b"}, NULL},
	{"a path with a line end", {.name = "a", .path = "/\n"}, NULL},
	{"a domain with a space", {.name = "a", .domain = "a b"}, NULL},
	{"an empty domain", {.name = "a", .domain = ""}, NULL},
	{"SameSite=None without Secure", {.name = "a",
	    .same_site = LANE_SAME_SITE_NONE}, NULL},
	{"partitioned without Secure", {.name = "a", .partitioned = true},
	    NULL},
	{"__Secure- without Secure", {.name = "__Secure-a"}, NULL},
	{"__Host- without a path", {.name = "__Host-a", .secure = true}, NULL},
	{"__Host- with a domain", {.name = "__Host-a", .secure = true,
	    .path = "/", .domain = "x"}, NULL},
	{"a SameSite that is none", {.name = "a",
	    .same_site = (enum lane_same_site)7}, NULL},
};

static void
test_format(void **state)
{
	struct arena a;

	arena_init(&a, NULL);
	for (size_t i = 0; i < UNIT_COUNT(formats); i++) {
		struct str value = STR("untouched");
		int result = cookie_format(&formats[i].cookie, &a, &value);

		if (formats[i].value == NULL) {
			unit_check(result == -EINVAL, formats[i].name);
			unit_check_str(value, STR("untouched"),
			    formats[i].name);
			continue;
		}
		unit_check(result == 0, formats[i].name);
		unit_check_str(value, str_of(formats[i].value),
		    formats[i].name);
	}
	arena_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_format),
	};

	return UNIT_RUN(tests);
}
