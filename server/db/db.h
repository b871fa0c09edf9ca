/* SPDX-License-Identifier: MIT */
/*
 * Databases: what lane_sql() asks, and the drivers that answer.
 *
 *	lane_sql() -> db.c -> sqlite.c    (on the pool: one writer, readers)
 *	                  `-> postgres.c  (on the loop: libpq, pipelined)
 *
 * A query is made by db.c in its context's arena, given to a driver by
 * submit(), and comes back once, from the loop and never from inside submit(),
 * by db_query_done(), with q->rows filled in; or it is taken back by cancel(),
 * after which the driver doesn't touch it any more.
 *
 * Drivers know neither contexts nor modules.
 *
 * Context: the loop's thread, but for what a driver does on the pool.
 */
#ifndef CORELANE_SERVER_DB_DB_H
#define CORELANE_SERVER_DB_DB_H

#include <corelane/sql.h>

#include "common/arena.h"
#include "common/error.h"
#include "config/config.h"

struct config_database;
struct config_databases;
struct db;
struct db_query;
struct event_base;
struct offload;
struct server;
struct stats;

enum db_query_kind { DB_STATEMENT, DB_BEGIN, DB_COMMIT, DB_ROLLBACK };

/* A result.  It owns what its cells point to. */
struct lane_rows {
	int status; /* 0, or an HTTP status that says what went
				 * wrong: 503 out or busy, 504 too late, 409 a
				 * constraint, 500 the rest */
	bool is_retryable; /* nothing was done; another try may help */
	char sqlstate[6];
	const char *error; /* NULL, or the database's text */
	unsigned count, columns;
	int64_t affected;
	struct lane_str *name; /* of columns */
	struct lane_value *cell; /* row by row */
	struct arena arena; /* no cache: made on any thread */
	unsigned capacity; /* rows that `cell` has room for */
	size_t bytes; /* taken from the arena: see DB_ROWS_BYTES_MAX */
	struct arena *scratch; /* `arena`, for getters: by db_query_done() */
	void *driver_result; /* a PGresult: freed by free_result */
	void (*free_result)(void *driver_result);
};

/* The most memory that one result may take. */
#define DB_ROWS_BYTES_MAX ((size_t)64 << 20)

struct db_query {
	enum db_query_kind kind;
	struct db *db;
	struct lane_tx *tx; /* DB_BEGIN: the one to be made */
	const char *sql; /* lives as long as the query */
	const struct lane_value *params;
	unsigned param_count;
	bool is_read_only; /* DB_BEGIN */
	uint64_t deadline_ms; /* CLOCK_MONOTONIC */
	struct lane_rows rows; /* the driver's to fill in */
	void *driver_data; /* the driver's, while it has it */
	struct db_query *next; /* the driver's queue */
	void (*done)(struct db_query *q); /* db.c's */
};

/* A transaction: db.c's part; a driver keeps its own in driver_data. */
struct lane_tx {
	struct db *db;
	void *driver_data;
	bool is_open;
	struct lane_ctx *ctx;
};

struct db_driver {
	const char *kind; /* "sqlite" */
	bool needs_pool; /* of threads */
	/* Makes db->state; connects later, so that a database that is out
	 * doesn't stop a start. */
	int (*open)(struct db *db, struct error *err);
	void (*close)(struct db *db);
	/* Returns 0; or a negative errno, and the query isn't taken: -EAGAIN
	 * the queue is full, -EHOSTDOWN the database is known to be out. */
	int (*submit)(struct db *db, struct db_query *q);
	/* The client has gone: what runs is stopped where that can be done. */
	void (*cancel)(struct db *db, struct db_query *q);
	/* A transaction whose context has ended is rolled back. */
	void (*abandon)(struct db *db, struct lane_tx *tx);
	bool (*is_ready)(const struct db *db);
};

/* One named database of a worker. */
struct db {
	const struct config_database *config;
	const struct db_driver *driver;
	struct event_base *base;
	struct offload *pool; /* NULL: there is none (offload_threads 0) */
	struct stats *stats;
	unsigned worker; /* its number: what the database's logs show */
	void *state; /* the driver's */
	uint64_t queries, errors;
};

struct db_set;

/* How many descriptors it takes at most: those of its connections, of SQLite's
 * writer or PostgreSQL's control connection, and of asking for addresses. */
size_t db_file_count(const struct config_database *config);

/* What one is opened with; all borrowed for its life. */
struct db_args {
	struct event_base *base;
	struct offload *pool;
	struct stats *stats;
	unsigned worker;
};
/* Whether such a database can be opened here: what the configuration's check
 * tells before a start.  Returns 0, or -1. */
int db_check(const struct config_database *config, bool has_pool,
    struct error *err);
struct db *db_new(const struct config_database *config,
    const struct db_args *args, struct error *err)
    __attribute__((warn_unused_result));
/* After the pool, whose threads may be at work on it, and after all contexts.
 * NULL is a no-op. */
void db_free(struct db *db);

/* All databases of the configuration.  NULL where one can't be opened at all
 * (an unknown kind, a driver that isn't built in). */
struct db_set *db_set_new(const struct config_databases *configs,
    const struct db_args *args, struct error *err)
    __attribute__((warn_unused_result));
void db_set_free(struct db_set *set);
/* name: NULL for "main".  NULL where there is none of that name. */
struct db *db_find(struct db_set *set, const char *name);
/* The first that doesn't answer, or NULL: for /ready. */
const struct db *db_set_unready(const struct db_set *set);

/* For drivers: the query's result is complete. */
void db_query_done(struct db_query *q);

/*
 * For drivers: making a result; safe on any thread that has the query.  Rows
 * that are all zero are an empty result.  Where memory, or DB_ROWS_BYTES_MAX,
 * runs out, -1 or NULL is returned and the result has been made a failed one.
 */
int db_rows_begin(struct lane_rows *rows, unsigned columns);
/* Bytes of the result's own: names, text, blobs. */
void *db_rows_alloc(struct lane_rows *rows, size_t bytes);
/* A copy, with a NUL behind it; p NULL as above. */
struct lane_str db_rows_copy(struct lane_rows *rows, struct lane_str s);
/* One row more: its cells, all LANE_NULL. */
struct lane_value *db_rows_add(struct lane_rows *rows);
/* Drops what is there, and keeps why: sqlstate and text are copied. */
void db_rows_fail(struct lane_rows *rows, int status, const char *sqlstate,
    bool is_retryable, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
void db_rows_done(struct lane_rows *rows);

/* NULL in a build without it. */
extern const struct db_driver *const db_driver_sqlite;
extern const struct db_driver *const db_driver_postgres;

#endif
