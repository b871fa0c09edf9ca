/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the route table: the first lines of the input are patterns, up to an
 * empty one; the rest is a path.  Whatever is found must be true of the path.
 *
 * Context: called by libFuzzer's main or by replay.c.
 */
#include "config/method.h"
#include "server/route.h"
#include "tests/fuzz/fuzz.h"

#define PATTERNS_MAX 16

/* Parameters follow each other inside the path, each a segment but a tail. */
static void
fuzz_check_match(const struct route_match *m, struct str path)
{
	const char *at = path.p;

	FUZZ_PROMISE(m->target != NULL);
	FUZZ_PROMISE(m->param_count <= ROUTE_PARAMS_MAX);
	for (unsigned i = 0; i < m->param_count; i++) {
		struct str v = m->value[i];

		FUZZ_PROMISE(v.p > at && v.p[-1] == '/');
		FUZZ_PROMISE(v.p + v.len <= path.p + path.len);
		FUZZ_PROMISE(str_find(v, '/') == v.len ||
		    v.p + v.len == path.p + path.len);
		FUZZ_PROMISE(m->name[i].len > 0);
		at = v.p + v.len;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_from((const char *)data, size), line;
	struct route_table *t = route_table_new();
	struct route_match m;
	void *other;
	unsigned count = 0;

	FUZZ_PROMISE(t != NULL);
	while (str_cut(&rest, '\n', &line) && line.len > 0 &&
	    count < PATTERNS_MAX) {
		struct route_spec spec = {
			.pattern = line,
			.methods = METHOD_BIT(count++ % METHOD_COUNT),
			.target = t,
		};

		if (route_table_add(t, &spec, &other, NULL) == -1)
			continue;
		/* The same again is always a duplicate. */
		FUZZ_PROMISE(route_table_add(t, &spec, &other, NULL) == -1);
	}
	if (rest.p == NULL)
		rest = STR("");
	for (unsigned method = 0; method <= METHOD_OTHER; method++) {
		route_find(t, STR("host"), rest, method, &m);
		if (m.result == ROUTE_FOUND)
			fuzz_check_match(&m, rest);
		FUZZ_PROMISE((m.result == ROUTE_NONE) == (m.allowed == 0));
	}
	route_table_free(t);
	return 0;
}
