/* SPDX-License-Identifier: MIT */
/*
 * Proves the route table: which pattern wins, what its parameters hold, what is
 * refused.
 *
 * Context: no loop, no socket.
 */
#include "server/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/method.h"

#define GET METHOD_BIT(METHOD_GET)
#define POST METHOD_BIT(METHOD_POST)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct route {
	const char *host, *pattern;
	unsigned methods;
};

/* One table for most cases; a target is the address of its row. */
static const struct route routes[] = {
	{"", "/", GET},
	{"", "/hello", GET},
	{"", "/help", GET | POST},
	{"", "/users/{id}", GET},
	{"", "/users/me", GET},
	{"", "/users/{id:[0-9]+}", GET},
	{"", "/users/{id}/posts", GET},
	{"", "/users/{user}/posts/{post:[a-z]{2,3}}", GET},
	{"", "/files/{path:.*}", GET},
	{"", "/files/special/{name}", POST},
	{"", "/a/{x}/c/d", GET},
	{"", "/a/b/c/e", GET},
	{"", "/m/{x}", GET},
	{"", "/m/only", POST},
	{"", "/slash/", GET},
	{"api.example.com", "/hello", GET},
	{"API.example.com:99", "/only", POST},
	{"[::1]", "/v6", GET},
	{"", "/only", GET},
	{"", "/slow/{x:(a+)+b}", GET},
	{"", "/head", METHOD_BIT(METHOD_HEAD)},
	{"", "/head", GET},
};

struct expectation {
	const char *name;
	const char *host, *path;
	unsigned method;
	enum route_result result;
	int row;			/* of routes; -1: any */
	const char *params;		/* "name=value," of each */
};

static const struct expectation expectations[] = {
	{"the root", "x", "/", METHOD_GET, ROUTE_FOUND, 0, ""},
	{"a static path", "x", "/hello", METHOD_GET, ROUTE_FOUND, 1, ""},
	{"a path that shares its start", "x", "/help", METHOD_POST,
	    ROUTE_FOUND, 2, ""},
	{"a prefix of a path is no path", "x", "/hel", METHOD_GET,
	    ROUTE_NONE, -1, ""},
	{"a path with more behind it is another", "x", "/hellox", METHOD_GET,
	    ROUTE_NONE, -1, ""},
	{"a trailing slash makes another path", "x", "/hello/", METHOD_GET,
	    ROUTE_NONE, -1, ""},
	{"which can be a route", "x", "/slash/", METHOD_GET, ROUTE_FOUND, 14,
	    ""},
	{"a plain parameter", "x", "/users/anna", METHOD_GET, ROUTE_FOUND, 3,
	    "id=anna,"},
	{"static text wins", "x", "/users/me", METHOD_GET, ROUTE_FOUND, 4, ""},
	{"an expression wins over a plain one", "x", "/users/42", METHOD_GET,
	    ROUTE_FOUND, 5, "id=42,"},
	{"an expression matches the whole segment", "x", "/users/42a",
	    METHOD_GET, ROUTE_FOUND, 3, "id=42a,"},
	{"a newline doesn't end a segment", "x", "/users/42\n", METHOD_GET,
	    ROUTE_FOUND, 3, "id=42\n,"},
	{"an empty segment is no parameter", "x", "/users/", METHOD_GET,
	    ROUTE_NONE, -1, ""},
	{"backtracks from static text", "x", "/users/me/posts", METHOD_GET,
	    ROUTE_FOUND, 6, "id=me,"},
	{"backtracks from an expression", "x", "/users/42/posts", METHOD_GET,
	    ROUTE_FOUND, 6, "id=42,"},
	{"two parameters, braces in an expression", "x", "/users/42/posts/abc",
	    METHOD_GET, ROUTE_FOUND, 7, "user=42,post=abc,"},
	{"which matters", "x", "/users/42/posts/abcd", METHOD_GET, ROUTE_NONE,
	    -1, ""},
	{"a tail", "x", "/files/a/b.txt", METHOD_GET, ROUTE_FOUND, 8,
	    "path=a/b.txt,"},
	{"an empty tail", "x", "/files/", METHOD_GET, ROUTE_FOUND, 8, "path=,"},
	{"a tail needs its slash", "x", "/files", METHOD_GET, ROUTE_NONE, -1,
	    ""},
	{"a tail takes what others have not", "x", "/files/special/x",
	    METHOD_GET, ROUTE_FOUND, 8, "path=special/x,"},
	{"and leaves them what they have", "x", "/files/special/x",
	    METHOD_POST, ROUTE_FOUND, 9, "name=x,"},
	{"backtracks over two segments", "x", "/a/b/c/d", METHOD_GET,
	    ROUTE_FOUND, 10, "x=b,"},
	{"and not where it needn't", "x", "/a/b/c/e", METHOD_GET, ROUTE_FOUND,
	    11, ""},
	{"a method is looked for in all patterns", "x", "/m/only", METHOD_GET,
	    ROUTE_FOUND, 12, "x=only,"},
	{"HEAD is answered by GET", "x", "/hello", METHOD_HEAD, ROUTE_FOUND, 1,
	    ""},
	{"but a route of its own wins", "x", "/head", METHOD_HEAD, ROUTE_FOUND,
	    20, ""},
	{"beside its GET", "x", "/head", METHOD_GET, ROUTE_FOUND, 21, ""},
	{"HEAD isn't answered by POST", "x", "/files/special/x/y", METHOD_PUT,
	    ROUTE_METHOD, 8, ""},
	{"a wrong method", "x", "/hello", METHOD_POST, ROUTE_METHOD, 1, ""},
	{"a method nobody routes", "x", "/hello", METHOD_OTHER, ROUTE_METHOD,
	    1, ""},
	{"the host's own route", "api.example.com", "/hello", METHOD_GET,
	    ROUTE_FOUND, 15, ""},
	{"with a port and in capitals", "API.Example.com:8080", "/hello",
	    METHOD_GET, ROUTE_FOUND, 15, ""},
	{"a host with more in front is another", "xapi.example.com", "/hello",
	    METHOD_GET, ROUTE_FOUND, 1, ""},
	{"a host's method and that of any", "api.example.com", "/only",
	    METHOD_GET, ROUTE_FOUND, 18, ""},
	{"an IPv6 host", "[::1]:80", "/v6", METHOD_GET, ROUTE_FOUND, 17, ""},
	{"without a port", "[::1]", "/v6", METHOD_GET, ROUTE_FOUND, 17, ""},
	{"a catastrophic expression gives up", "x",
	    "/slow/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac",
	    METHOD_GET, ROUTE_NONE, -1, ""},
	{"an empty path is none", "x", "", METHOD_GET, ROUTE_NONE, -1, ""},
};

static int
table_add(struct route_table *t, const struct route *route, void **ret_other,
    struct error *err)
{
	struct route_spec spec = {
		.pattern = str_of(route->pattern),
		.host = str_of(route->host),
		.methods = route->methods,
	};

	memcpy(&spec.target, &route, sizeof(route));
	return route_table_add(t, &spec, ret_other, err);
}

static struct route_table *
table_new(void)
{
	struct route_table *t = route_table_new();
	struct error err;
	void *other;
	size_t i;

	assert_non_null(t);
	for (i = 0; i < COUNT(routes); i++)
		if (table_add(t, &routes[i], &other, &err) == -1)
			fail_msg("%s: %s", routes[i].pattern, err.text);
	return t;
}

static void
params_print(const struct route_match *m, char *out, size_t bytes)
{
	size_t at = 0;
	unsigned i;

	out[0] = '\0';
	for (i = 0; i < m->param_count; i++)
		at += (size_t)snprintf(out + at, bytes - at, "%.*s=%.*s,",
		    STR_FMT(m->name[i]), STR_FMT(m->value[i]));
}

static void
test_find(void **state)
{
	struct route_table *t = table_new();
	struct route_match m;
	char params[256];
	size_t i;

	for (i = 0; i < COUNT(expectations); i++) {
		const struct expectation *e = &expectations[i];

		route_find(t, str_of(e->host), str_of(e->path), e->method, &m);
		if (m.result != e->result)
			fail_msg("%s: result %d", e->name, m.result);
		if (e->row != -1 && m.target != (const void *)&routes[e->row])
			fail_msg("%s: row %td", e->name,
			    (const struct route *)m.target - routes);
		if (m.result != ROUTE_FOUND)
			continue;
		params_print(&m, params, sizeof(params));
		if (strcmp(params, e->params) != 0)
			fail_msg("%s: %s", e->name, params);
	}
	route_table_free(t);
}

static void
test_allowed(void **state)
{
	struct route_table *t = table_new();
	struct route_match m;

	route_find(t, STR("x"), STR("/m/only"), METHOD_PUT, &m);
	assert_int_equal(m.result, ROUTE_METHOD);
	assert_int_equal(m.allowed, GET | POST | METHOD_BIT(METHOD_HEAD));
	route_find(t, STR("api.example.com"), STR("/only"), METHOD_PUT, &m);
	assert_int_equal(m.allowed, GET | POST | METHOD_BIT(METHOD_HEAD));
	route_table_free(t);
}

static void
test_invalid(void **state)
{
	static const char *const bad[] = {
		"", "hello", "/a//b", "/a?b", "/a#b", "/a}", "/{", "/{a",
		"/{}", "/{a b}", "/{:x}", "/x{a}", "/{a}x", "/{a}{b}",
		"/{a}/{a}", "/{a:.*}/b", "/{a:[}", "/{a:(}", "/{a:\\}",
		/* One parameter more than there may be. */
		("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}"
		"/{o}/{p}/{q}"),
	};
	struct route_table *t = route_table_new();
	struct error err;
	void *other;
	size_t i;

	for (i = 0; i < COUNT(bad); i++) {
		struct route route = {"", bad[i], GET};

		if (table_add(t, &route, &other, &err) != -1)
			fail_msg("'%s' is taken", bad[i]);
		assert_int_equal(err.code, ERROR_INVALID);
		assert_true(err.text[0] != '\0');
	}
	route_table_free(t);
}

static void
test_duplicate(void **state)
{
	static const struct route other_names[] = {
		{"", "/users/{other}", GET},
		{"", "/users/{n:[0-9]+}", GET | POST},
		{"", "/files/{rest:.*}", GET},
		{"API.EXAMPLE.COM", "/hello", GET},
	};
	static const int row[] = {3, 5, 8, 15};
	struct route_table *t = table_new();
	struct error err;
	void *other;
	size_t i;

	for (i = 0; i < COUNT(other_names); i++) {
		assert_int_equal(table_add(t, &other_names[i], &other, &err),
		    -1);
		assert_int_equal(err.code, ERROR_BUSY);
		assert_ptr_equal(other, &routes[row[i]]);
	}
	route_table_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_duplicate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
