/* SPDX-License-Identifier: MIT */
/*
 * What the files of the PostgreSQL driver share.
 *
 *	submit --> pg.queue --(once a turn)--> conn.unsent --> conn.sent
 *	                                           libpq: one buffer, corked
 *	db_query_done() <------- results, in order <------------'
 *
 * A statement is an item.  It waits in the queue of the pool until a connection
 * has room, is sent behind what was sent before (pipeline mode), each with a
 * sync of its own, so that it is a transaction of its own and no neighbour's
 * error aborts it; and is done when that sync comes back, which is when it is
 * committed.
 *
 * An item whose deadline passes, or whose client goes, before it was sent, is
 * dropped.  After that it is *doomed*: once it is the first of its connection,
 * the server is asked to cancel it, by pg_cancel_backend() on the pool's
 * control connection: PQcancel() would block.  The request may come late and
 * hit the neighbour behind it; that one is sent again.
 *
 * Owns nothing by itself.  Here: the structs.  Not here: the contract (db.h).
 * Context: the loop's thread.
 *	postgres.c -> postgres_pool.c -> postgres_conn.c -> postgres_item.c
 */
#ifndef CORELANE_SERVER_DB_POSTGRES_H
#define CORELANE_SERVER_DB_POSTGRES_H

#include <bsd/sys/queue.h>
#include <libpq-fe.h>

#include "common/buf.h"
#include "common/pool.h"
#include "common/random.h"
#include "common/wheel.h"
#include "server/db/db.h"

/* Statements in flight on one connection: more only wait at the server. */
#define PG_DEPTH 32
/* Statements of one turn that a connection gets before the next one is used:
 * a wake-up of a server's process costs as much as a small query. */
#define PG_BATCH 4
/* Prepared statements kept on a connection. */
#define PG_STATEMENTS_MAX 256
#define PG_STATEMENT_BUCKETS 512
/* A longer text is not kept prepared. */
#define PG_STATEMENT_BYTES_MAX 16384
/* A server that doesn't cancel is given up, with the connection. */
#define PG_GRACE_MS 2000

struct event;
struct event_base;
struct evdns_base;
struct pg;
struct pg_conn;
struct pg_lookup;

enum pg_item_kind {
	PG_QUERY,
	PG_SETUP, /* the session's settings */
	PG_DEALLOCATE, /* of the statement `number` */
	PG_ROLLBACK, /* of a transaction that nobody has any more */
	PG_CANCEL /* of what the process `number` does */
};

/* What an item has come to. */
enum pg_item_state {
	PG_NOWHERE,
	PG_QUEUED, /* in pg.queue */
	PG_UNSENT, /* in conn.unsent */
	PG_SENT, /* in conn.sent */
	PG_ORPHAN /* in pg.orphans: its connection is lost */
};

struct pg_item {
	TAILQ_ENTRY(pg_item) entry;
	struct wheel_node timer;
	struct pg *pg;
	struct pg_conn *conn; /* PG_UNSENT, PG_SENT */
	struct db_query *q; /* NULL: nobody waits for it */
	uint64_t number; /* its statement's; see pg_item_kind */
	uint64_t sequence; /* tells items at one address apart */
	uint64_t doomed_ms; /* when the server was first asked to cancel */
	enum pg_item_kind kind;
	enum pg_item_state state;
	enum db_query_kind what; /* its query's kind */
	bool is_parsing; /* the next result is that of PREPARE */
	bool is_fresh; /* was sent with its PREPARE */
	bool is_failed; /* an error has come */
	bool is_again; /* to be sent once more */
	bool is_doomed;
	bool is_shared; /* in no transaction but its own */
	bool is_retryable; /* PG_ORPHAN */
	unsigned again_count;
};

TAILQ_HEAD(pg_items, pg_item);

/* One prepared statement: "s<number>" at the server. */
struct pg_statement {
	TAILQ_ENTRY(pg_statement) used;
	struct pg_statement *next; /* in its bucket */
	uint64_t hash, number;
	size_t len;
	char sql[];
};

struct pg_statements {
	struct pg_statement *bucket[PG_STATEMENT_BUCKETS];
	TAILQ_HEAD(pg_statement_list, pg_statement) used; /* the latest first */
	unsigned count;
	uint64_t last_number;
};

/*
 *	OFF -> RESOLVING -> CONNECTING -> READY
 *	 ^---------'-------------'----------'
 */
enum pg_conn_state { PG_OFF, PG_RESOLVING, PG_CONNECTING, PG_READY };

struct pg_conn {
	struct pg *pg;
	enum pg_conn_state state;
	PGconn *pq;
	struct event *readable, *writable;
	struct pg_lookup *lookup;
	uint64_t connect_due_ms;
	uint64_t ready_ms; /* since when */
	struct pg_items unsent, sent;
	unsigned unsent_count, sent_count;
	struct pg_statements statements;
	/* A transaction has it: no one else's statements are sent. */
	struct lane_tx *tx; /* NULL: it was given up */
	bool is_reserved;
	bool is_ending; /* COMMIT or ROLLBACK is under way */
	bool is_control;
	bool is_tcp;
	bool is_dying; /* the server said that it closes */
	bool is_slow; /* the same item was first for a tick */
	uint64_t first_sequence; /* the first item at the last tick */
	uint64_t cancelled_ms; /* the last request to cancel */
};

struct pg {
	struct db *db;
	struct event_base *base; /* borrowed */
	struct pg_conn *conn; /* the pool */
	unsigned conn_count, ready_count;
	struct pg_conn control;
	struct pg_items queue, orphans;
	unsigned waiting; /* items queued or unsent */
	struct pool items;
	uint64_t last_sequence;
	struct wheel wheel;
	struct event *tick, *flush;
	bool is_ticking;
	bool is_out; /* the last attempt has failed */
	uint64_t retry_ms; /* no attempt before that */
	uint64_t connected_ms; /* the last success; 0: seen to */
	unsigned backoff_ms;
	struct evdns_base *dns; /* NULL until a name is looked up */
	PQconninfoOption *options; /* the URL's */
	struct buf texts; /* parameters of one statement */
	struct random random; /* of the back-off */
};

/* Milliseconds of CLOCK_MONOTONIC, read now. */
uint64_t pg_now(void);

/* postgres_pool.c */

/* Sends what waits, when all that this turn of the loop does is done. */
void pg_wake(struct pg *pg);
/* Gives a transaction back that nobody has any more. */
void pg_rollback(struct pg_conn *c);
/* Runs the timer until nothing is under way. */
void pg_tick_start(struct pg *pg);
void pg_on_flush(int fd, short what, void *arg);
void pg_on_tick(int fd, short what, void *arg);
void pg_connected(struct pg_conn *c);
void pg_connect_failed(struct pg_conn *c, const char *why);
/* Closes a connection and fails what was under way on it. */
void pg_lost(struct pg_conn *c, const char *why);
/* A transaction gets a connection for itself, and gives it back. */
void pg_reserve(struct pg_conn *c, struct lane_tx *tx);
void pg_unreserve(struct pg_conn *c);
/* Asks the server to cancel what a connection does now. */
void pg_cancel(struct pg_conn *c);

/* postgres_conn.c */

int pg_conn_init(struct pg_conn *c, struct pg *pg);
void pg_conn_done(struct pg_conn *c);
void pg_conn_connect(struct pg_conn *c);
/* Has it done with libpq; the items stay. */
void pg_conn_close(struct pg_conn *c);
/* Takes what has come. */
void pg_conn_read(struct pg_conn *c);
/* Sends what is unsent, as far as PG_DEPTH goes. */
void pg_conn_send(struct pg_conn *c);

/* postgres_address.c */

/*
 * Looks the hosts of the URL up without blocking, and calls
 * pg_conn_start(conn, host, hostaddr, port), lists as libpq takes them (NULL:
 * its defaults), or pg_connect_failed().
 */
void pg_lookup_start(struct pg_conn *c);
void pg_lookup_cancel(struct pg_conn *c);
void pg_conn_start(struct pg_conn *c, const char *host, const char *hostaddr,
    const char *port);
/* The value of a keyword in the URL, or NULL. */
const char *pg_option(const struct pg *pg, const char *keyword);

/* postgres_item.c */

/* NULL: no memory.  Not in any list yet. */
struct pg_item *pg_item_new(
    struct pg *pg, enum pg_item_kind kind, struct db_query *q);
/* Puts it at the end of a list, which the state names; c: NULL for those of
 * the pool. */
void pg_item_put(
    struct pg_item *item, enum pg_item_state state, struct pg_conn *c);
/* Puts it at the beginning of the pool's queue. */
void pg_item_put_first(struct pg_item *item);
/* Takes it out of its list, if it is in one. */
void pg_item_remove(struct pg_item *item);
/* Frees it, with its place in a list, and forgets its query. */
void pg_item_free(struct pg_item *item);
/* Fails its query, if it has one, and frees it. */
void pg_item_fail(struct pg_item *item, int status, const char *sqlstate,
    bool is_retryable, const char *why);
/* Moves it from unsent to sent.  Returns 0, also when it has failed alone; -1:
 * the connection is lost. */
int pg_item_send(struct pg_item *item);
/* Takes the results that have come.  False: the connection is lost. */
bool pg_items_receive(struct pg_conn *c);
void pg_item_on_timer(struct wheel_node *node, void *arg);
bool pg_item_is_end(const struct pg_item *item);

/* postgres_send.c */

/* Hands the item's statement to libpq.  Returns 0; -EINVAL or -ENOMEM: this
 * statement can't be sent, and nothing was; -EPIPE: the connection is lost. */
int pg_send(struct pg_conn *c, struct pg_item *item, const char **ret_why);

/* postgres_statement.c */

void pg_statements_init(struct pg_statements *set);
void pg_statements_done(struct pg_statements *set);
struct pg_statement *pg_statement_find(
    struct pg_statements *set, struct str sql, uint64_t hash);
/* NULL: no memory. */
struct pg_statement *pg_statement_add(
    struct pg_statements *set, struct str sql, uint64_t hash);
/* Forgets it.  Returns false when there is none of that number. */
bool pg_statement_drop(struct pg_statements *set, uint64_t number);
/* The one that was not used for longest; NULL: there is room. */
struct pg_statement *pg_statement_surplus(struct pg_statements *set);

/* postgres_result.c */

/* Fills rows from a result, which is taken. */
void pg_result_take(struct lane_rows *rows, PGresult *res);
/* Fails rows with the error of a result, which is borrowed. */
void pg_result_fail(struct lane_rows *rows, const PGresult *res);
/* "" where there is none. */
const char *pg_result_sqlstate(const PGresult *res);

#endif
