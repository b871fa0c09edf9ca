/* SPDX-License-Identifier: MIT */
/*
 * What route_find() costs, in nanoseconds per call: a static path, one beside
 * many others, parameters, an expression, a tail, nothing.
 *
 *	build/tests/bench/bench_route
 *
 * Context: one thread, a second or two.
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "config/method.h"
#include "server/route.h"

#define ROUNDS 3000000u

static void
bench_add(struct route_table *t, const char *pattern)
{
	struct route_spec spec = {.pattern = str_of(pattern),
	    .methods = METHOD_BIT(METHOD_GET), .target = t};
	struct error err;
	void *other;

	if (route_table_add(t, &spec, &other, &err) == -1)
		fprintf(stderr, "%s: %s\n", pattern, err.text);
}

static void
bench_find(struct route_table *t, const char *path)
{
	struct str host = STR("127.0.0.1:8080"), p = str_of(path);
	struct route_match m;
	uint64_t found = 0, start = clock_now_ns();

	for (unsigned i = 0; i < ROUNDS; i++) {
		route_find(t, host, p, METHOD_GET, &m);
		found += m.result == ROUTE_FOUND;
	}
	printf("%-34s %6.1f ns%s\n", path,
	    (double)(clock_now_ns() - start) / ROUNDS,
	    found > 0 ? "" : "  (no route)");
}

int
main(void)
{
	static const char *const patterns[] = {"/hello", "/json",
	    "/files/{path:.*}", "/echo", "/api/v1/users/{id:[0-9]+}",
	    "/api/v1/users/{id}/posts/{post}", "/api/v2/users/{id}",
	    "/health", "/ready", "/metrics"};
	static const char *const paths[] = {"/hello", "/r57/items",
	    "/files/a/b/c.txt", "/api/v2/users/42", "/api/v1/users/42",
	    "/api/v1/users/anna/posts/7", "/nothing/here"};
	struct route_table *t = route_table_new();
	char pattern[64];

	if (t == NULL)
		return 1;
	for (unsigned i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
		bench_add(t, patterns[i]);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(pattern, sizeof(pattern), "/r%u/items", i);
		bench_add(t, pattern);
	}
	for (unsigned i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		bench_find(t, paths[i]);
	route_table_free(t);
	return 0;
}
