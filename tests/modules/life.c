/* SPDX-License-Identifier: MIT */
/*
 * A module's life, at the bidding of its configuration:
 *
 *	"init"		"ok", "fail" or "crash"
 *	"start"		"ok", "fail", "leak", "sql" (a wrong one) or "crash"
 *	"journal"	a file that gets a line for each hook that ran
 */
#include <corelane/corelane.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct life {
	char start[16];
	char journal[256];
};

static void
life_note(const struct life *life, const char *what)
{
	FILE *f = life->journal[0] != '\0' ? fopen(life->journal, "a") : NULL;

	if (f == NULL)
		return;
	fprintf(f, "%s\n", what);
	fclose(f);
}

static int
life_init(struct lane_init *in)
{
	struct life *life = calloc(1, sizeof(*life));
	struct lane_str init = lane_config_text(in, "init");
	struct lane_str start = lane_config_text(in, "start");
	struct lane_str journal = lane_config_text(in, "journal");

	if (life == NULL)
		return lane_init_fail(in, NULL, "out of memory");
	lane_init_state(in, life);
	if (lane_str_eq(init, LANE_STR("crash")))
		abort();
	if (lane_str_eq(init, LANE_STR("fail"))) {
		free(life);
		return lane_init_fail(in, "init", "was told to fail");
	}
	snprintf(life->start, sizeof(life->start), "%.*s", LANE_FMT(start));
	snprintf(life->journal, sizeof(life->journal), "%.*s",
	    LANE_FMT(journal));
	life_note(life, "init");
	return 0;
}

static void
life_fini(void *state)
{
	life_note(state, "fini");
	free(state);
}

static int
life_told(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	(void)state;
	return lane_rows_fail(c, rows);
}

static int
life_start(struct lane_ctx *c)
{
	const struct life *life = lane_state(c);

	life_note(life, "start");
	if (strcmp(life->start, "fail") == 0)
		return -EHOSTDOWN;
	if (strcmp(life->start, "sql") == 0)
		return lane_sql(c, .sql = "SELECT nothing", .done = life_told);
	if (strcmp(life->start, "leak") == 0)
		return LANE_ASYNC;
	if (strcmp(life->start, "crash") == 0)
		abort();
	return LANE_NEXT;
}

static int
life_stop(struct lane_ctx *c)
{
	life_note(lane_state(c), "stop");
	return 200;
}

static int
life_on_crash(struct lane_ctx *c, const struct lane_crash *crash)
{
	char line[64];

	snprintf(line, sizeof(line), "crash worker %u signal %d",
	    crash->worker, crash->signal);
	life_note(lane_state(c), line);
	return 200;
}

static int
life_ok(struct lane_ctx *c)
{
	(void)c;
	return 204;
}

static int
life_crash(struct lane_ctx *c)
{
	(void)c;
	abort();
}

/* Holds the loop for as long as a stall takes, and a little more. */
static int
life_stall(struct lane_ctx *c)
{
	const struct timespec ts = {.tv_nsec = 90000000};

	(void)c;
	nanosleep(&ts, NULL);
	return 204;
}

/* The mistakes of a beginner. */
static int
life_seven(struct lane_ctx *c)
{
	(void)c;
	return 7;
}

static int
life_undeclared(struct lane_ctx *c)
{
	return lane_printf(c, 200, "text/plain", "%lld",
	    (long long)lane_arg_int(c, "absent"));
}

static int
life_mistyped(struct lane_ctx *c)
{
	return lane_printf(c, 200, "text/plain", "%lld",
	    (long long)lane_arg_int(c, "word"));
}

static int
life_no_done(struct lane_ctx *c)
{
	return lane_sql(c, .sql = "SELECT 1");
}

static const struct lane_field word[] = {
	{.name = "word", .where = LANE_IN_QUERY, .type = LANE_TYPE_TEXT},
	{.name = NULL},
};

static const struct lane_field config[] = {
	{.name = "init", .where = LANE_IN_CONFIG, .type = LANE_TYPE_TEXT,
	    .fallback = "ok"},
	{.name = "start", .where = LANE_IN_CONFIG, .type = LANE_TYPE_TEXT,
	    .fallback = "ok"},
	{.name = "journal", .where = LANE_IN_CONFIG, .type = LANE_TYPE_TEXT,
	    .fallback = ""},
	{.name = NULL},
};

static const struct lane_route routes[] = {
	{.name = "ok", .path = "/life", .run = life_ok},
	{.name = "crash", .path = "/crash", .run = life_crash},
	{.name = "stall", .path = "/stall", .run = life_stall},
	{.name = "seven", .path = "/seven", .run = life_seven},
	{.name = "undeclared", .path = "/undeclared", .run = life_undeclared},
	{.name = "mistyped", .path = "/mistyped", .run = life_mistyped,
	    .fields = word},
	{.name = "no_done", .path = "/no_done", .run = life_no_done},
	{.name = NULL},
};

LANE_MODULE(.name = "life", .config = config, .routes = routes,
    .init = life_init, .fini = life_fini, .on_worker_start = life_start,
    .on_worker_stop = life_stop, .on_crash_report = life_on_crash);
