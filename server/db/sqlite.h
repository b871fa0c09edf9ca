/* SPDX-License-Identifier: MIT */
/*
 * The SQLite driver's parts.
 *
 *	submit() -> queues -> batches -> one connection each -> done()
 *	   (the loop: sqlite.c)       (the pool: sqlite_conn.c)  (the loop)
 *
 * One connection writes, the others read.  What has come in one turn of the
 * loop goes to a connection together, as one batch in one transaction: that
 * spares each query the locks of a transaction of its own, which cost as much
 * as a point read does, and each write its own commit.
 *
 * Who may touch what: a connection and its batch are the loop's while is_busy
 * is false, and the pool thread's from offload_submit() to done().  A job's
 * `query` is always the loop's, its is_stopped anybody's.
 *
 * Context: as said of each.
 */
#ifndef CORELANE_SERVER_DB_SQLITE_H
#define CORELANE_SERVER_DB_SQLITE_H

#include <stdatomic.h>
#include <sqlite3.h>

#include <event2/event_struct.h>

#include "server/db/db.h"
#include "server/offload.h"

/* What is known of a statement, once it has been prepared. */
enum sqlite_class {
	LITE_CLASS_UNKNOWN,
	LITE_CLASS_READ,
	LITE_CLASS_WRITE, /* may share a transaction with others */
	LITE_CLASS_ALONE /* CREATE, VACUUM, PRAGMA ... */
};

/* The text of a statement, kept once; id tells it from all others for ever. */
struct sqlite_text {
	struct sqlite_text *next; /* of its bucket */
	struct sqlite_text *newer, *older; /* by use */
	unsigned uses; /* jobs that have it */
	enum sqlite_class class;
	bool is_on_trial; /* new, and running */
	uint32_t cost_us; /* a moving average */
	/* These never change: any thread reads them. */
	uint64_t id;
	uint64_t hash;
	size_t len;
	char sql[];
};

#define LITE_TEXT_BUCKETS 512
#define LITE_TEXTS_MAX 1024

struct sqlite_texts {
	struct sqlite_text *bucket[LITE_TEXT_BUCKETS];
	struct sqlite_text *newest, *oldest;
	size_t count;
	uint64_t last_id;
};

/* The loop's.  take() makes it or finds it; NULL: no memory.  Each take() has
 * its put(). */
struct sqlite_text *sqlite_text_take(
    struct sqlite_texts *texts, const char *sql);
void sqlite_text_put(struct sqlite_text *text);
void sqlite_texts_done(struct sqlite_texts *texts);

enum sqlite_outcome {
	LITE_OPEN, /* not run, or to be run again */
	LITE_PENDING, /* done, and good once it is committed */
	LITE_FINAL /* rows say what has become of it */
};

struct sqlite_job {
	struct sqlite_job *next, **prev; /* prev NULL: in no queue */
	struct sqlite_queue *queue;
	struct db_query *query; /* the loop's; NULL: cancelled */
	struct sqlite_text *text; /* DB_STATEMENT; else NULL */
	enum db_query_kind kind;
	bool is_read_only; /* DB_BEGIN */
	uint64_t deadline_ms;
	atomic_bool is_stopped;

	/* What its run gives. */
	enum sqlite_outcome outcome;
	enum sqlite_class class;
	bool needs_writer; /* not run: a reader can't */
	uint32_t took_us;
	struct lane_rows rows;

	unsigned param_count;
	struct lane_value params[]; /* and their bytes */
};

struct sqlite_queue {
	struct sqlite_job *first, **last;
	size_t count;
};

/* How bad it is, worst last. */
enum sqlite_fault {
	LITE_SOUND,
	LITE_SUSPECT, /* locked: it may be just busy */
	LITE_NO_WRITES, /* full, read-only: reads go on */
	LITE_LOST /* the file can't be used */
};

/* A prepared statement in a connection's cache. */
struct sqlite_stmt {
	struct sqlite_stmt *next; /* of its bucket */
	struct sqlite_stmt *newer, *older;
	uint64_t id; /* the text's */
	sqlite3_stmt *handle;
	enum sqlite_class class;
	bool counts_changes; /* INSERT, UPDATE, DELETE ... */
	unsigned param_count; /* the highest $n */
	unsigned slot_count;
	unsigned short slot[]; /* SQLite's parameter: its $n */
};

#define LITE_STMT_BUCKETS 256
#define LITE_STMTS_MAX 256

struct sqlite_stmts {
	struct sqlite_stmt *bucket[LITE_STMT_BUCKETS];
	struct sqlite_stmt *newest, *oldest;
	size_t count;
};

enum sqlite_own {
	LITE_BEGIN,
	LITE_BEGIN_WRITE,
	LITE_COMMIT,
	LITE_ROLLBACK,
	LITE_SAVE,
	LITE_RELEASE,
	LITE_BACK,
	LITE_OWN_COUNT
};

struct sqlite_conn {
	struct offload_job job;
	struct offload_line line;
	struct sqlite *sq;
	const char *path;
	uint64_t connect_ms;
	bool is_writer;

	/* The loop's, always. */
	bool is_busy;
	struct lane_tx *owner; /* whose transaction is open */
	struct sqlite_queue tx_queue; /* its statements */
	bool needs_rollback;
	bool is_quick; /* its batch is of quick reads, */
	uint64_t start_ns; /* and was given to it then */

	/* Given with a batch. */
	struct sqlite_job *batch;
	bool is_tx; /* for the open transaction */
	bool writes; /* some of the batch does */
	bool is_probe; /* looks whether it works again */

	/* The thread's. */
	sqlite3 *handle; /* NULL: not open */
	sqlite3_stmt *own[LITE_OWN_COUNT];
	struct sqlite_stmts stmts;
	bool is_read_only; /* the open transaction is */
	bool has_failed; /* a statement of it */
	bool is_preparing; /* a statement of a module */
	const atomic_bool *stop; /* of what runs, or NULL */
	uint64_t limit_ms; /* when it must end */
	enum sqlite_fault fault; /* what this batch has met */
	char fault_text[256];
};

/* sqlite_conn.c: any thread that has the connection. */
void sqlite_conn_work(struct offload_job *job);
void sqlite_conn_close(struct sqlite_conn *conn);
/* One of the connection's own statements: SQLite's result code. */
int sqlite_conn_own(struct sqlite_conn *conn, enum sqlite_own which);

/* sqlite_run.c: runs a statement or a step of a transaction; its outcome, its
 * rows and what was learned are the job's afterwards. */
void sqlite_run(struct sqlite_conn *conn, struct sqlite_job *job);
/* Turns SQLite's last error on the connection into the result, and notes what
 * it says of the database. */
void sqlite_run_fail(struct sqlite_conn *conn, struct lane_rows *rows);

/* sqlite_stmt.c: NULL after it has made the rows tell why. */
struct sqlite_stmt *sqlite_stmt_get(struct sqlite_conn *conn,
    const struct sqlite_text *text, struct lane_rows *rows);
void sqlite_stmts_done(struct sqlite_stmts *stmts);

#endif
