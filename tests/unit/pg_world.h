/* SPDX-License-Identifier: MIT */
/*
 * The PostgreSQL driver with a real server, asked from a test.
 *
 *	world_open(w, w->server->url, 2);	(w: *state, by world_start)
 *	assert_int_equal(run(w, "SELECT 1"), 1);
 *	ask_start(w, &a, "SELECT 1/0");
 *	ask_wait(w, &a);
 *	check_failed(&a, 500, "22012");
 *	world_close(w);
 *
 * Context: the test's thread, which turns the loop while it waits.
 */
#ifndef CORELANE_TESTS_UNIT_PG_WORLD_H
#define CORELANE_TESTS_UNIT_PG_WORLD_H

#include <event2/event.h>

#include "server/db/db.h"
#include "tests/unit/pg_server.h"
#include "tests/unit/unit.h"

#define LONG_MS 50000

/* One query and what has come of it. */
struct ask {
	struct db_query q;
	struct lane_value param[2];
	bool is_done;
};

struct world {
	struct pg_server *server;
	struct event_base *base;
	struct config_database config;
	struct db *db;
};

/* For a group of tests: a server that runs. */
int world_start(void **state);
int world_end(void **state);

void world_open(struct world *w, const char *url, int connections);
void world_close(struct world *w);
/* Turns the loop until it is true. */
void world_wait(struct world *w, bool (*is_true)(void *arg), void *arg);
/* Of a world. */
bool world_is_ready(void *arg);
bool world_is_out(void *arg);

uint64_t now_ms(void);
struct lane_value int_value(int64_t i);
struct lane_value text_value(const char *s);
void ask_init(
    struct world *w, struct ask *a, const char *sql, unsigned timeout_ms);
void ask_param(struct ask *a, struct lane_value v);
int ask_submit(struct ask *a);
void ask_start(struct world *w, struct ask *a, const char *sql);
void ask_wait(struct world *w, struct ask *a);
void ask_end(struct ask *a);
/* Runs a statement that must succeed; returns its first cell, as an integer. */
int64_t run(struct world *w, const char *sql);
void check_failed(struct ask *a, int status, const char *sqlstate);

/* A transaction's steps, each of which must succeed. */
void begin(struct world *w, struct lane_tx *tx);
void ask_start_tx(struct world *w, struct ask *a, struct lane_tx *tx,
    enum db_query_kind kind, const char *sql);
void run_tx(struct world *w, struct lane_tx *tx, enum db_query_kind kind,
    const char *sql);

/* A socket that listens on a port of the kernel's choice, and a URL for it. */
int listener_new(int flags, char *url, size_t url_size);

#endif
