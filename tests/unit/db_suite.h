/* SPDX-License-Identifier: MIT */
/*
 * What every database driver must do, as tests, and a database to ask.
 *
 *	struct suite_db *d = suite_db_open(&(struct suite_config){.url = url});
 *	struct suite_query *q = suite_ask(d, "SELECT $1", params, 1);
 *
 *	assert_int_equal(lane_rows_status(&q->q.rows), 0);
 *	suite_drop(q);
 *	suite_db_close(d);
 *
 * Context: the test's thread, which runs the loop while it waits.
 */
#ifndef CORELANE_TESTS_UNIT_DB_SUITE_H
#define CORELANE_TESTS_UNIT_DB_SUITE_H

#include <event2/event.h>

#include "common/stats.h"
#include "server/db/db.h"
#include "server/offload.h"

/* A test that waits longer hangs. */
#define SUITE_SECONDS_MAX 30

/* A driver to test. */
struct suite_target {
	const char *url; /* of an empty database */
	const char *blob_type; /* "BLOB", "BYTEA" */
	const char *bool_type; /* "BOOLEAN" */
};

struct suite_config {
	const char *url;
	int connections; /* 0: 3 */
	int queue; /* 0: 10000 */
	int timeout_ms; /* 0: 20 s */
	int connect_ms; /* 0: 2 s */
	unsigned threads; /* 0: 4 */
};

struct suite_db {
	struct event_base *base;
	struct offload *pool;
	struct stats stats;
	struct config_database config;
	struct db *db;
};

struct suite_query {
	struct db_query q;
	struct suite_db *db;
	int rc; /* of submit() */
	bool is_done;
	unsigned order; /* of those of its database */
};

/* Waits until the database answers. */
struct suite_db *suite_db_open(const struct suite_config *config);
/* The same without waiting. */
struct suite_db *suite_db_open_unready(const struct suite_config *config);
void suite_db_close(struct suite_db *d);

/* Runs the loop until it is so, or fails. */
void suite_wait_ready(struct suite_db *d, bool is_ready);
void suite_turn(struct suite_db *d);

struct suite_ask {
	enum db_query_kind kind; /* DB_STATEMENT */
	struct lane_tx *tx;
	bool is_read_only;
	const char *sql;
	const struct lane_value *params;
	unsigned param_count;
	unsigned timeout_ms; /* 0: the database's */
};
/* Submits; sql and params: lent until suite_drop().  rc says whether it was
 * taken. */
struct suite_query *suite_start(struct suite_db *d, const struct suite_ask *a);
void suite_wait(struct suite_query *q);
/* Cancels it where it isn't done. */
void suite_drop(struct suite_query *q);

/* Submits one and waits. */
struct suite_query *suite_ask(struct suite_db *d, const char *sql,
    const struct lane_value *params, unsigned param_count);
/* The same for one that must succeed. */
void suite_do(struct suite_db *d, const char *sql);
int64_t suite_int(struct suite_db *d, const char *sql);
/* The transaction's steps, each of which must succeed. */
void suite_tx(struct suite_db *d, struct lane_tx *tx, enum db_query_kind kind);
void suite_tx_do(struct suite_db *d, struct lane_tx *tx, const char *sql);

/* Takes until it is stopped, on any database. */
extern const char suite_endless[];

/* Runs all that is common; returns how many tests have failed. */
int suite_run(const struct suite_target *target);

#endif
