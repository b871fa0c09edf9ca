/* SPDX-License-Identifier: MIT */
/*
 * The tests of the TechEmpower framework benchmark: /plaintext, /json, /db,
 * /queries, /fortunes and /updates, as its rules ask for them, on PostgreSQL
 * and SQLite.
 *
 * Owns the state of a worker.  Here: the module, its tables, the tests without
 * a database.  Not here: worlds.c, fortunes.c.
 * Context: a worker's loop.  [techempower.c] -> worlds.c, fortunes.c
 */
#include "techempower.h"

#include <stdlib.h>

static int
plaintext(struct lane_ctx *c)
{
	return lane_send_lent(
	    c, 200, "text/plain", LANE_STR("Hello, World!"));
}

static int
json(struct lane_ctx *c)
{
	struct lane_json_writer *w = lane_json_new(c);

	lane_json_object(w);
	lane_json_add_str(w, "message", LANE_STR("Hello, World!"));
	lane_json_end(w);
	return lane_json_send(w, 200);
}

/* The rows and the texts are the benchmark's own. */
#define CREATE_WORLD                                                           \
	"CREATE TABLE IF NOT EXISTS world ("                                   \
	"id INTEGER PRIMARY KEY, randomnumber INTEGER NOT NULL)"
#define FILL_WORLD(number)                                                     \
	"INSERT INTO world (id, randomnumber) "                                \
	"WITH RECURSIVE n(i) AS "                                              \
	"(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "            \
	"SELECT i, " number " FROM n WHERE NOT EXISTS (SELECT 1 FROM world)"
#define CREATE_FORTUNE                                                         \
	"CREATE TABLE IF NOT EXISTS fortune ("                                 \
	"id INTEGER PRIMARY KEY, message TEXT NOT NULL)"

static const char fill_fortune[] =
    "INSERT INTO fortune (id, message) SELECT column1, column2 FROM (VALUES "
    "(1, 'fortune: No such file or directory'), "
    "(2, 'A computer scientist is someone who fixes things that aren''t "
    "broken.'), "
    "(3, 'After enough decimal places, nobody gives a damn.'), "
    "(4, 'A bad random number generator: 1, 1, 1, 1, 1, 4.33e+67, 1, 1, 1'), "
    "(5, 'A computer program does what you tell it to do, not what you want "
    "it to do.'), "
    "(6, 'Emacs is a nice operating system, but I prefer UNIX. \xe2\x80\x94 "
    "Tom Christaensen'), "
    "(7, 'Any program that runs right is obsolete.'), "
    "(8, 'A list is only as strong as its weakest link. \xe2\x80\x94 Donald "
    "Knuth'), "
    "(9, 'Feature: A bug with seniority.'), "
    "(10, 'Computers make very fast, very accurate mistakes.'), "
    "(11, '<script>alert(\"This should not be displayed in a browser alert "
    "box.\");</script>'), "
    "(12, 'フレームワークのベンチマーク')"
    ") AS v WHERE NOT EXISTS (SELECT 1 FROM fortune)";

static const char *const tables_sqlite[] = {
	CREATE_WORLD,
	FILL_WORLD("abs(random() % 10000) + 1"),
	CREATE_FORTUNE,
	fill_fortune,
	NULL,
};
static const char *const tables_postgresql[] = {
	CREATE_WORLD,
	FILL_WORLD("1 + floor(random() * 10000)::integer"),
	CREATE_FORTUNE,
	fill_fortune,
	NULL,
};

static int
init(struct lane_init *in)
{
	struct techempower *te = calloc(1, sizeof(*te));

	if (te == NULL)
		return lane_init_fail(in, NULL, "out of memory");
	te->schema.sqlite = tables_sqlite;
	te->schema.postgresql = tables_postgresql;
	random_init(&te->random, 0);
	lane_init_state(in, te);
	return 0;
}

static int
start(struct lane_ctx *c)
{
	struct techempower *te = lane_state(c);

	return schema_start(c, &te->schema);
}

static const struct lane_route routes[] = {
	{.name = "plaintext", .methods = "GET", .path = "/plaintext",
	    .run = plaintext},
	{.name = "json", .methods = "GET", .path = "/json", .run = json},
	{.name = "db", .methods = "GET", .path = "/db", .run = world_one},
	{.name = "queries", .methods = "GET", .path = "/queries",
	    .run = world_many},
	{.name = "fortunes", .methods = "GET", .path = "/fortunes",
	    .run = fortunes},
	{.name = "updates", .methods = "GET", .path = "/updates",
	    .run = world_update},
	{0},
};

LANE_MODULE(.name = "techempower", .routes = routes, .init = init, .fini = free,
    .on_worker_start = start);
