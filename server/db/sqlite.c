/* SPDX-License-Identifier: MIT */
/*
 * SQLite: queries into batches, batches to connections, answers back.
 *
 *	quick reads --> any reader, the last one first
 *	slow reads ---> the same but the first, one at a time
 *	writes -------> the writer, in order
 *	of a transaction --> the connection that has it, before all else
 *
 * Which way a statement goes is known once it has been run.  A new one is tried
 * as a quick read, once at a time, which the reader hands back when it writes.
 *
 * Owns: the connections (as memory), the queues, the jobs.
 * Invariant: a job is in one queue, or in the batch of one busy connection; a
 * connection with an owner takes the owner's jobs only.
 * Here: order, batches, transactions' owners, readiness.  Not here: what a
 * thread does with a batch (sqlite_conn.c).
 * Context: the loop's thread.
 *	api.c -> [sqlite.c] -> sqlite_conn.c (the pool)
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/db/sqlite.h"

/* A batch holds the answers of all in it up until its end. */
#define BATCH_MAX 128
#define BATCH_COST_US 1000
/* A read that takes longer is slow: others don't wait behind it. */
#define SLOW_US 1000
/* So many quick reads for each reader at work on such, before one more is
 * woken: waking it costs as much as a few reads do.  None wait so for longer
 * than SHARE_MS. */
#define SHARE_COUNT 16
#define SHARE_MS 1

/* Between two looks whether it works again. */
#define PROBE_FIRST_MS 100
#define PROBE_LAST_MS 10000

struct sqlite {
	struct db *db;
	char *path;
	struct sqlite_texts texts;
	struct sqlite_queue quick, slow, writes;
	size_t waiting; /* in these three */
	struct event dispatch_event; /* later in this turn of the loop */
	struct event probe_event;
	bool is_open; /* the writer has been, once */
	enum sqlite_fault fault;
	unsigned probe_ms;
	unsigned conn_count;
	struct sqlite_conn conn[]; /* [0] writes */
};

static const struct str sqlite_scheme = STR_INIT("sqlite:");

/* Queues. */

static void
queue_init(struct sqlite_queue *queue)
{
	*queue = (struct sqlite_queue){.last = &queue->first};
}

static void
queue_add(struct sqlite_queue *queue, struct sqlite_job *job)
{
	job->next = NULL;
	job->prev = queue->last;
	job->queue = queue;
	*queue->last = job;
	queue->last = &job->next;
	queue->count++;
}

static void
queue_remove(struct sqlite_job *job)
{
	struct sqlite_queue *queue = job->queue;

	assert(queue != NULL && job->prev != NULL);
	*job->prev = job->next;
	if (job->next != NULL)
		job->next->prev = job->prev;
	else
		queue->last = job->prev;
	job->next = NULL;
	job->prev = NULL;
	job->queue = NULL;
	queue->count--;
}

static bool
sqlite_has_readers(const struct sqlite *sq)
{
	return sq->conn_count > 1;
}

static struct sqlite_queue *
sqlite_queue_for(struct sqlite *sq, const struct sqlite_job *job)
{
	const struct sqlite_text *text = job->text;
	bool is_read = text != NULL &&
	    (text->class == LITE_CLASS_READ ||
		text->class == LITE_CLASS_UNKNOWN);

	if (!sqlite_has_readers(sq))
		return &sq->writes;
	if (text == NULL)
		return job->is_read_only ? &sq->slow : &sq->writes;
	if (!is_read || job->needs_writer)
		return &sq->writes;
	if (text->cost_us >= SLOW_US || text->is_on_trial)
		return &sq->slow;
	return &sq->quick;
}

static void
sqlite_queue(struct sqlite *sq, struct sqlite_job *job)
{
	queue_add(sqlite_queue_for(sq, job), job);
	sq->waiting++;
}

/* Lets all that this turn of the loop brings come together. */
static void
sqlite_wake(struct sqlite *sq)
{
	event_active(&sq->dispatch_event, EV_TIMEOUT, 0);
}

/* Jobs. */

static size_t
job_bytes(const struct db_query *q)
{
	size_t bytes =
	    sizeof(struct sqlite_job) + q->param_count * sizeof(q->params[0]);
	unsigned i;

	for (i = 0; i < q->param_count; i++)
		if (q->params[i].kind == LANE_TEXT ||
		    q->params[i].kind == LANE_BLOB)
			bytes += q->params[i].u.s.len + 1;
	return bytes;
}

/* The query's memory goes with its context, which may end while the thread is
 * at work: the job has a copy.  An empty text is not a NULL one. */
static void
job_copy_params(struct sqlite_job *job, const struct db_query *q)
{
	char *at = (char *)&job->params[q->param_count];
	unsigned i;

	job->param_count = q->param_count;
	for (i = 0; i < q->param_count; i++) {
		struct lane_value v = q->params[i];

		if ((v.kind == LANE_TEXT || v.kind == LANE_BLOB) &&
		    v.u.s.p != NULL) {
			memcpy(at, v.u.s.p, v.u.s.len);
			v.u.s.p = at;
			at += v.u.s.len + 1;
		}
		job->params[i] = v;
	}
}

static struct sqlite_job *
job_new(struct sqlite *sq, struct db_query *q)
{
	struct sqlite_job *job = malloc(job_bytes(q));

	if (job == NULL)
		return NULL;
	memset(job, 0, sizeof(*job));
	if (q->kind == DB_STATEMENT) {
		job->text = sqlite_text_take(&sq->texts, q->sql);
		if (job->text == NULL) {
			free(job);
			return NULL;
		}
	}
	job->query = q;
	job->kind = q->kind;
	job->is_read_only = q->is_read_only;
	job->deadline_ms = q->deadline_ms;
	job_copy_params(job, q);
	q->driver_data = job;
	return job;
}

static void
job_free(struct sqlite_job *job)
{
	sqlite_text_put(job->text);
	db_rows_done(&job->rows);
	free(job);
}

/* Hands the result over, unless nobody waits for it any more. */
static void
job_answer(struct sqlite_job *job)
{
	struct db_query *q = job->query;

	if (q != NULL) {
		q->rows = job->rows;
		job->rows = (struct lane_rows){0};
		q->driver_data = NULL;
	}
	job_free(job);
	if (q != NULL)
		db_query_done(q);
}

static void
job_refuse(
    struct sqlite_job *job, int status, const char *sqlstate, const char *text)
{
	db_rows_fail(&job->rows, status, sqlstate, status == 503, "%s", text);
	job_answer(job);
}

/* Batches. */

static bool
job_is_alone(const struct sqlite_job *job)
{
	return job->text == NULL || job->text->class == LITE_CLASS_UNKNOWN ||
	    job->text->class == LITE_CLASS_ALONE ||
	    job->text->cost_us >= BATCH_COST_US;
}

static struct sqlite_job *
batch_take(struct sqlite_queue *queue, bool is_tx)
{
	struct sqlite_job *batch = NULL, **last = &batch, *job;
	uint64_t cost_us = 0;
	unsigned count = 0;

	while ((job = queue->first) != NULL && count < BATCH_MAX) {
		bool is_alone = job_is_alone(job) && !is_tx;

		if (count > 0 && (is_alone || cost_us > BATCH_COST_US))
			break;
		queue_remove(job);
		*last = job;
		last = &job->next;
		count++;
		cost_us += job->text != NULL ? job->text->cost_us : 0;
		if (is_alone || job->kind == DB_COMMIT ||
		    job->kind == DB_ROLLBACK)
			break;
	}
	return batch;
}

static bool
batch_writes(const struct sqlite_job *batch)
{
	for (; batch != NULL; batch = batch->next)
		if (batch->text == NULL ||
		    batch->text->class != LITE_CLASS_READ)
			return true;
	return false;
}

static void conn_on_done(struct offload_job *work);

/* The pool's queue is full: what would run is refused. */
static void
conn_refuse_batch(struct sqlite_conn *conn)
{
	struct sqlite_job *job, *next;

	job = conn->batch;
	conn->batch = NULL;
	for (; job != NULL; job = next) {
		next = job->next;
		if (job->text != NULL)
			job->text->is_on_trial = false;
		job_refuse(job, 503, "53300", "the pool's queue is full");
	}
}

static void
conn_start(struct sqlite_conn *conn)
{
	conn->is_tx = conn->owner != NULL;
	conn->writes = conn->is_writer && batch_writes(conn->batch);
	conn->needs_rollback = false;
	conn->is_busy = true;
	if (offload_submit(conn->sq->db->pool, &conn->line, &conn->job) == 0)
		return;
	conn->is_busy = false;
	conn->needs_rollback = !conn->is_tx;
	conn->is_probe = false;
	conn_refuse_batch(conn);
}

/* What was new when it came, and is on its first trial by now, waits for what
 * that shows. */
static void
sqlite_sort_quick(struct sqlite *sq)
{
	struct sqlite_job *job;

	while ((job = sq->quick.first) != NULL && job->text->is_on_trial) {
		queue_remove(job);
		queue_add(&sq->slow, job);
	}
}

/* Whether the readers at work are enough for the quick reads that wait: they
 * are about to be done. */
static bool
sqlite_has_enough(const struct sqlite *sq)
{
	uint64_t now_ns = clock_now_ns();
	size_t fresh = 0;
	unsigned i;

	for (i = 1; i < sq->conn_count; i++)
		fresh += sq->conn[i].is_busy && sq->conn[i].is_quick &&
		    now_ns - sq->conn[i].start_ns < SHARE_MS * 1000000;
	return sq->quick.count < fresh * SHARE_COUNT;
}

/* Looks again when a batch that was to be done soon isn't. */
static void
sqlite_plan_dispatch(struct sqlite *sq)
{
	const struct timeval wait = {0, SHARE_MS * 1000};

	if (!event_pending(&sq->dispatch_event, EV_TIMEOUT, NULL))
		event_add(&sq->dispatch_event, &wait);
}

/* The queue that the connection takes from now, or NULL. */
static struct sqlite_queue *
conn_next_queue(struct sqlite_conn *conn)
{
	struct sqlite *sq = conn->sq;
	bool takes_slow = sq->conn_count == 2 || conn != &sq->conn[1];

	if (conn->owner != NULL)
		return conn->tx_queue.count > 0 ? &conn->tx_queue : NULL;
	if (conn->is_writer)
		return sq->writes.count > 0 ? &sq->writes : NULL;
	sqlite_sort_quick(sq);
	if (sq->quick.count > 0) {
		if (!sqlite_has_enough(sq))
			return &sq->quick;
		sqlite_plan_dispatch(sq);
	}
	return takes_slow && sq->slow.count > 0 ? &sq->slow : NULL;
}

static void
conn_dispatch(struct sqlite_conn *conn)
{
	struct sqlite *sq = conn->sq;
	struct sqlite_queue *queue;

	if (conn->is_busy || (!sq->is_open && !conn->is_writer))
		return;
	queue = sq->is_open ? conn_next_queue(conn) : NULL;
	if (queue == NULL && !conn->needs_rollback && !conn->is_probe)
		return;
	if (queue != NULL) {
		size_t before = queue->count;

		conn->batch = batch_take(queue, conn->owner != NULL);
		conn->is_quick = queue == &sq->quick &&
		    conn->batch->text->class == LITE_CLASS_READ;
		conn->start_ns = clock_now_ns();
		if (conn->batch->text != NULL)
			conn->batch->text->is_on_trial =
			    conn->batch->text->class == LITE_CLASS_UNKNOWN;
		if (queue != &conn->tx_queue)
			sq->waiting -= before - queue->count;
	}
	conn_start(conn);
}

static void
sqlite_dispatch(struct sqlite *sq)
{
	unsigned i;

	for (i = sq->conn_count; i-- > 0;)
		conn_dispatch(&sq->conn[i]);
}

static void
sqlite_on_dispatch(int fd, short what, void *arg)
{
	sqlite_dispatch(arg);
}

/* Readiness. */

static void
queue_refuse(struct sqlite_queue *queue, size_t *waiting, const char *text)
{
	struct sqlite_queue taken = *queue;
	struct sqlite_job *job, *next;

	queue_init(queue);
	if (waiting != NULL)
		*waiting -= taken.count;
	for (job = taken.first; job != NULL; job = job->next) {
		job->queue = NULL;
		job->prev = NULL;
	}
	for (job = taken.first; job != NULL; job = next) {
		next = job->next;
		job_refuse(job, 503, "08001", text);
	}
}

static void
sqlite_plan_probe(struct sqlite *sq)
{
	const struct timeval wait = {
	    sq->probe_ms / 1000, (sq->probe_ms % 1000) * 1000};

	if (event_pending(&sq->probe_event, EV_TIMEOUT, NULL))
		return;
	event_add(&sq->probe_event, &wait);
	sq->probe_ms =
	    sq->probe_ms * 2 < PROBE_LAST_MS ? sq->probe_ms * 2 : PROBE_LAST_MS;
}

static void
sqlite_on_probe(int fd, short what, void *arg)
{
	struct sqlite *sq = arg;

	sq->conn[0].is_probe = true;
	sqlite_dispatch(sq);
}

static void
sqlite_tell_fault(const struct sqlite *sq, const char *text)
{
	log_error("database '%.*s': %s: %s", STR_FMT(sq->db->config->name),
	    sq->fault == LITE_LOST ? "out" : "can't be written to", text);
}

/* What a batch has met; worse is taken from any, better from the writer. */
static void
sqlite_take_fault(
    struct sqlite *sq, const struct sqlite_conn *conn, bool was_probe)
{
	bool is_proof = conn->is_writer &&
	    (was_probe || (conn->batch != NULL && conn->writes));

	if (conn->fault == LITE_SUSPECT && sq->fault == LITE_SOUND) {
		sqlite_plan_probe(sq);
	} else if (conn->fault > LITE_SUSPECT && conn->fault > sq->fault) {
		sq->fault = conn->fault;
		sqlite_tell_fault(sq, conn->fault_text);
		sqlite_plan_probe(sq);
	} else if (conn->fault > LITE_SUSPECT && was_probe) {
		sq->fault = conn->fault;
		sqlite_plan_probe(sq);
	} else if (conn->fault == LITE_SOUND && is_proof) {
		if (sq->fault != LITE_SOUND)
			log_info("database '%.*s': back",
			    STR_FMT(sq->db->config->name));
		sq->fault = LITE_SOUND;
		sq->probe_ms = PROBE_FIRST_MS;
		event_del(&sq->probe_event);
		sq->is_open = true;
	}
}

/* The loop's side of a finished batch. */

static void
text_learn(struct sqlite_text *text, const struct sqlite_job *job)
{
	uint32_t took_us = job->took_us;

	text->is_on_trial = false;
	if (job->class == LITE_CLASS_UNKNOWN)
		return;
	/* Stopped before its time: there is no telling, so not a quick one. */
	if (job->rows.status == 504)
		text->cost_us = took_us > 2 * SLOW_US ? took_us : 2 * SLOW_US;
	else if (job->needs_writer || text->class == LITE_CLASS_UNKNOWN)
		text->cost_us = took_us;
	else
		text->cost_us = (3 * text->cost_us + took_us) / 4;
	text->class = job->class;
}

/* A transaction has begun or ended. */
static void
conn_take_owner(struct sqlite_conn *conn, const struct sqlite_job *job)
{
	if (job->kind == DB_BEGIN && job->rows.status == 0) {
		if (job->query != NULL) {
			conn->owner = job->query->tx;
			conn->owner->driver_data = conn;
		} else {
			conn->needs_rollback = true;
		}
	} else if ((job->kind == DB_COMMIT || job->kind == DB_ROLLBACK) &&
	    conn->owner != NULL) {
		conn->owner->driver_data = NULL;
		conn->owner = NULL;
	}
}

/* Learns from each job; takes out what has to be run elsewhere. */
static struct sqlite_job *
conn_sort_batch(struct sqlite_conn *conn)
{
	struct sqlite_job *answers = NULL, **last = &answers, *job, *next;

	for (job = conn->batch; job != NULL; job = next) {
		next = job->next;
		job->next = NULL;
		if (job->text != NULL)
			text_learn(job->text, job);
		conn_take_owner(conn, job);
		if (job->needs_writer && job->query != NULL) {
			sqlite_queue(conn->sq, job);
			job->needs_writer = false;
			job->outcome = LITE_OPEN;
			continue;
		}
		*last = job;
		last = &job->next;
	}
	conn->batch = NULL;
	return answers;
}

/* The next batch is on its way before these answers are given: thread and loop
 * work at the same time. */
static void
conn_on_done(struct offload_job *work)
{
	struct sqlite_conn *conn = (struct sqlite_conn *)((char *)work -
	    offsetof(struct sqlite_conn, job));
	struct sqlite *sq = conn->sq;
	struct sqlite_job *job, *next;
	bool was_probe = conn->is_probe;

	conn->is_busy = false;
	conn->is_probe = false;
	sqlite_take_fault(sq, conn, was_probe);
	job = conn_sort_batch(conn);
	sqlite_dispatch(sq);
	for (; job != NULL; job = next) {
		next = job->next;
		job_answer(job);
	}
	if (sq->fault == LITE_LOST) {
		queue_refuse(&sq->quick, &sq->waiting, conn->fault_text);
		queue_refuse(&sq->slow, &sq->waiting, conn->fault_text);
		queue_refuse(&sq->writes, &sq->waiting, conn->fault_text);
	}
}

/* The driver. */

static int
sqlite_submit(struct db *db, struct db_query *q)
{
	struct sqlite *sq = db->state;
	bool is_in_tx = q->tx != NULL && q->kind != DB_BEGIN;
	struct sqlite_conn *conn = is_in_tx ? q->tx->driver_data : NULL;
	struct sqlite_job *job;

	if (is_in_tx && (conn == NULL || conn->owner != q->tx))
		return -EINVAL;
	if (!is_in_tx && sq->fault == LITE_LOST)
		return -EHOSTDOWN;
	if (!is_in_tx && sq->waiting >= (size_t)db->config->queue)
		return -EAGAIN;
	job = job_new(sq, q);
	if (job == NULL)
		return -ENOMEM;
	if (is_in_tx)
		queue_add(&conn->tx_queue, job);
	else
		sqlite_queue(sq, job);
	sqlite_wake(sq);
	return 0;
}

static void
sqlite_cancel(struct db *db, struct db_query *q)
{
	struct sqlite *sq = db->state;
	struct sqlite_job *job = q->driver_data;

	if (job == NULL)
		return;
	job->query = NULL;
	q->driver_data = NULL;
	if (job->queue == NULL) {
		atomic_store(&job->is_stopped, true);
		return;
	}
	if (job->queue == &sq->quick || job->queue == &sq->slow ||
	    job->queue == &sq->writes)
		sq->waiting--;
	queue_remove(job);
	job_free(job);
}

static void
sqlite_abandon(struct db *db, struct lane_tx *tx)
{
	struct sqlite_conn *conn = tx->driver_data;
	struct sqlite_job *job;

	tx->driver_data = NULL;
	if (conn == NULL || conn->owner != tx)
		return;
	conn->owner = NULL;
	conn->needs_rollback = true;
	for (job = conn->batch; job != NULL; job = job->next)
		atomic_store(&job->is_stopped, true);
	queue_refuse(&conn->tx_queue, NULL, "the transaction was given up");
	sqlite_wake(conn->sq);
}

static bool
sqlite_is_ready(const struct db *db)
{
	const struct sqlite *sq = db->state;

	return sq->is_open && sq->fault == LITE_SOUND;
}

static void
sqlite_free(struct sqlite *sq)
{
	unsigned i;

	event_del(&sq->dispatch_event);
	event_del(&sq->probe_event);
	for (i = 0; i < sq->conn_count; i++) {
		struct sqlite_conn *conn = &sq->conn[i];

		queue_refuse(&conn->tx_queue, NULL, "the server ends");
		conn_refuse_batch(conn);
		sqlite_conn_close(conn);
	}
	queue_refuse(&sq->quick, &sq->waiting, "the server ends");
	queue_refuse(&sq->slow, &sq->waiting, "the server ends");
	queue_refuse(&sq->writes, &sq->waiting, "the server ends");
	sqlite_texts_done(&sq->texts);
	free(sq->path);
	free(sq);
}

static void
sqlite_close(struct db *db)
{
	sqlite_free(db->state);
	db->state = NULL;
}

static void
sqlite_init_conn(struct sqlite *sq, struct sqlite_conn *conn)
{
	conn->sq = sq;
	conn->path = sq->path;
	conn->connect_ms = (uint64_t)sq->db->config->connect_ms;
	conn->is_writer = conn == sq->conn;
	conn->job.work = sqlite_conn_work;
	conn->job.done = conn_on_done;
	conn->line.running_max = 1;
	queue_init(&conn->tx_queue);
}

/* A database in memory is its connection's: there is one, for all. */
static struct sqlite *
sqlite_new(struct db *db, struct str path)
{
	unsigned i,
	    conn_count = str_eq(path, STR(":memory:")) ?
	    1 :
	    1 + (unsigned)db->config->connections;
	struct sqlite *sq =
	    calloc(1, sizeof(*sq) + conn_count * sizeof(sq->conn[0]));

	if (sq == NULL)
		return NULL;
	sq->db = db;
	sq->conn_count = conn_count;
	sq->probe_ms = PROBE_FIRST_MS;
	queue_init(&sq->quick);
	queue_init(&sq->slow);
	queue_init(&sq->writes);
	sq->path = strndup(path.p, path.len);
	for (i = 0; i < conn_count; i++)
		sqlite_init_conn(sq, &sq->conn[i]);
	event_assign(
	    &sq->dispatch_event, db->base, -1, 0, sqlite_on_dispatch, sq);
	event_assign(&sq->probe_event, db->base, -1, 0, sqlite_on_probe, sq);
	return sq;
}

static int
sqlite_open(struct db *db, struct error *err)
{
	struct str path = db->config->url;
	struct sqlite *sq;

	path.p += sqlite_scheme.len;
	path.len -= sqlite_scheme.len;
	if (path.len == 0)
		return error_set(err, ERROR_INVALID, "the url names no file");
	/* Its counters of memory take a lock in every allocation.  It fails
	 * where SQLite is in use already, for the second database. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sq = sqlite_new(db, path);
	if (sq == NULL || sq->path == NULL) {
		if (sq != NULL)
			sqlite_free(sq);
		return error_nomem(err, "SQLite");
	}
	db->state = sq;
	sq->conn[0].is_probe = true;
	sqlite_wake(sq);
	return 0;
}

static const struct db_driver driver_sqlite = {
    .kind = "sqlite",
    .needs_pool = true,
    .open = sqlite_open,
    .close = sqlite_close,
    .submit = sqlite_submit,
    .cancel = sqlite_cancel,
    .abandon = sqlite_abandon,
    .is_ready = sqlite_is_ready,
};

const struct db_driver *const db_driver_sqlite = &driver_sqlite;
