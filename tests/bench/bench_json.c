/* SPDX-License-Identifier: MIT */
/*
 * What a small JSON answer costs to make: by the writer, by snprintf() into a
 * buffer that is there, and by cJSON.
 *
 *	ninja -C build tests/bench/bench_json && build/tests/bench/bench_json
 */
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "common/clock.h"
#include "server/ctx.h"
#include "server/json_writer.h"

#define ROUNDS 2000000

static const char hello[] = "Hello, World!";

/* What was made last; printed, so that nothing is left out. */
static size_t bytes;

static void
by_writer(struct arena *a)
{
	struct lane_ctx c = {.arena = a};
	struct lane_json_writer *w = arena_alloc(a, sizeof(*w));

	json_writer_init(w, &c);
	lane_json_object(w);
	lane_json_add_str(w, "message", LANE_STR("Hello, World!"));
	lane_json_end(w);
	bytes = lane_json_text(w).len;
	arena_done(a);
}

static void
by_snprintf(struct arena *a)
{
	char *text = arena_alloc(a, 64);

	bytes = (size_t)snprintf(text, 64, "{\"message\":\"%s\"}", hello);
	arena_done(a);
}

static void
by_cjson(struct arena *a)
{
	cJSON *tree = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(tree, "message", hello);
	text = cJSON_PrintUnformatted(tree);
	bytes = strlen(text);
	cJSON_free(text);
	cJSON_Delete(tree);
}

static void
twenty_by_writer(struct arena *a)
{
	struct lane_ctx c = {.arena = a};
	struct lane_json_writer *w = arena_alloc(a, sizeof(*w));

	json_writer_init(w, &c);
	lane_json_array(w);
	for (int i = 0; i < 20; i++) {
		lane_json_object(w);
		lane_json_add_int(w, "id", 10 * i + i);
		lane_json_add_float(w, "price", i * 1.25);
		lane_json_end(w);
	}
	lane_json_end(w);
	bytes = lane_json_text(w).len;
	arena_done(a);
}

static void
twenty_by_cjson(struct arena *a)
{
	cJSON *tree = cJSON_CreateArray(), *item;
	char *text;

	for (int i = 0; i < 20; i++) {
		item = cJSON_CreateObject();
		cJSON_AddNumberToObject(item, "id", 10 * i + i);
		cJSON_AddNumberToObject(item, "price", i * 1.25);
		cJSON_AddItemToArray(tree, item);
	}
	text = cJSON_PrintUnformatted(tree);
	bytes = strlen(text);
	cJSON_free(text);
	cJSON_Delete(tree);
}

static void
long_by_writer(struct arena *a)
{
	static char text[1000];
	struct lane_ctx c = {.arena = a};
	struct lane_json_writer *w = arena_alloc(a, sizeof(*w));

	memset(text, 'x', sizeof(text));
	json_writer_init(w, &c);
	lane_json_str(w, (struct lane_str){text, sizeof(text)});
	bytes = lane_json_text(w).len;
	arena_done(a);
}

static void
run(const char *name, void (*f)(struct arena *a), unsigned rounds)
{
	struct arena_cache cache;
	struct arena a;
	uint64_t since;

	arena_cache_init(&cache, 4);
	arena_init(&a, &cache);
	since = clock_now_ns();
	for (unsigned i = 0; i < rounds; i++)
		f(&a);
	printf("%-28s %8.1f ns  (%zu bytes)\n", name,
	    (double)(clock_now_ns() - since) / rounds, bytes);
	arena_cache_done(&cache);
}

int
main(void)
{
	run("message, writer", by_writer, ROUNDS);
	run("message, snprintf", by_snprintf, ROUNDS);
	run("message, cJSON", by_cjson, ROUNDS);
	run("20 objects, writer", twenty_by_writer, ROUNDS / 20);
	run("20 objects, cJSON", twenty_by_cjson, ROUNDS / 20);
	run("1000 bytes, writer", long_by_writer, ROUNDS / 10);
	return 0;
}
