/* SPDX-License-Identifier: MIT */
/*
 * What a point read and a small write cost in SQLite: in a plain loop, and
 * through the driver with many under way.  Rates are per second of processor
 * time, of all threads together, so that the driver's second core counts.
 *
 *	build/tests/bench/bench_sql [FILE [READS-UNDER-WAY]]
 *
 * With 0 reads under way it is the plain loop's reads alone.
 *
 * Context: one thread for the loop, the pool's for the driver.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/stats.h"
#include "server/db/db.h"
#include "server/offload.h"

#define BENCH_ROWS 10000
#define BENCH_READS 400000u
#define BENCH_WRITES 40000u

static const char read_sql[] =
    "SELECT id, randomnumber FROM world WHERE id = $1";
static const char write_sql[] =
    "UPDATE world SET randomnumber = randomnumber + 1 WHERE id = $1";

struct bench {
	struct event_base *base;
	struct db *db;
	const char *sql;
	unsigned left, under_way;
	uint64_t rows;
};

struct bench_query {
	struct db_query q;
	struct bench *b;
	struct lane_value param;
};

struct stamp {
	uint64_t wall_ns;
	double cpu_s;
};

static void
die(const char *what)
{
	fprintf(stderr, "bench_sql: %s\n", what);
	exit(1);
}

static struct stamp
stamp_now(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (struct stamp){clock_now_ns(),
	    (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6};
}

static void
stamp_print(struct stamp since, const char *name, unsigned count)
{
	struct stamp now = stamp_now();

	printf("%-44s %9.0f/s  %9.0f/s of a core\n", name,
	    count / ((double)(now.wall_ns - since.wall_ns) / 1e9),
	    count / (now.cpu_s - since.cpu_s));
}

static int64_t
key_of(unsigned i)
{
	return 1 + (int64_t)((uint64_t)i * 7919 % BENCH_ROWS);
}

static void
bench_exec(sqlite3 *h, const char *sql)
{
	if (sqlite3_exec(h, sql, NULL, NULL, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(h));
}

static sqlite3 *
bench_open(const char *path)
{
	sqlite3 *h;

	if (sqlite3_open_v2(path, &h,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
		    SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK)
		die("can't open the file");
	bench_exec(h,
	    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
	    "PRAGMA cache_size=-8192");
	return h;
}

static void
bench_fill(const char *path)
{
	sqlite3 *h = bench_open(path);

	bench_exec(h,
	    "DROP TABLE IF EXISTS world; CREATE TABLE world "
	    "(id INTEGER PRIMARY KEY, randomnumber INTEGER NOT NULL);"
	    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c "
	    "WHERE n < 10000) INSERT INTO world SELECT n, n * 7 % 10000 "
	    "FROM c");
	sqlite3_close(h);
}

/* What a program without a server would do. */
static void
bench_plain(const char *path, const char *name, const char *sql, unsigned count)
{
	sqlite3 *h = bench_open(path);
	sqlite3_stmt *stmt;
	struct stamp since;
	int64_t sum = 0;

	if (sqlite3_prepare_v3(h, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt,
		NULL) != SQLITE_OK)
		die(sqlite3_errmsg(h));
	since = stamp_now();
	for (unsigned i = 0; i < count; i++) {
		sqlite3_bind_int64(stmt, 1, key_of(i));
		while (sqlite3_step(stmt) == SQLITE_ROW)
			sum += sqlite3_column_int64(stmt, 1);
		sqlite3_reset(stmt);
	}
	stamp_print(since, name, count);
	if (sum == 0 && sql == read_sql)
		die("no rows");
	sqlite3_finalize(stmt);
	sqlite3_close(h);
}

static void
bench_submit(struct bench_query *bq)
{
	struct bench *b = bq->b;

	bq->param =
	    (struct lane_value){.kind = LANE_INT, .u.i = key_of(b->left--)};
	bq->q.deadline_ms = clock_now_ns() / 1000000 + 20000;
	if (b->db->driver->submit(b->db, &bq->q) != 0)
		die("refused");
}

static void
bench_on_done(struct db_query *q)
{
	struct bench_query *bq =
	    (struct bench_query *)((char *)q - offsetof(struct bench_query, q));
	struct bench *b = bq->b;

	if (q->rows.status != 0)
		die(q->rows.error);
	b->rows += q->rows.count;
	db_rows_done(&q->rows);
	if (b->left > 0)
		bench_submit(bq);
	else if (--b->under_way == 0)
		event_base_loopbreak(b->base);
}

static void
bench_driver(
    struct bench *b, const char *sql, unsigned count, unsigned under_way)
{
	struct bench_query *bq = calloc(under_way, sizeof(*bq));
	uint64_t jobs = b->db->stats->offload_jobs;
	struct stamp since = stamp_now();
	char name[64];

	if (bq == NULL)
		die("no memory");
	b->left = count;
	b->under_way = under_way;
	for (unsigned i = 0; i < under_way; i++) {
		bq[i].b = b;
		bq[i].q = (struct db_query){.db = b->db,
		    .sql = sql,
		    .params = &bq[i].param,
		    .param_count = 1,
		    .done = bench_on_done};
		bench_submit(&bq[i]);
	}
	event_base_dispatch(b->base);
	snprintf(name, sizeof(name), "driver, %s, %u under way",
	    sql == read_sql ? "read" : "write", under_way);
	stamp_print(since, name, count);
	printf("%44s %9.1f statements a batch\n", "",
	    count / (double)(b->db->stats->offload_jobs - jobs));
	free(bq);
}

int
main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/tmp/corelane-bench-sql.db";
	char url[512];
	struct config_database config = {.name = STR("main"),
	    .connections = 3,
	    .queue = 10000,
	    .timeout_ms = 20000,
	    .connect_ms = 2000};
	struct stats *stats = calloc(1, sizeof(*stats));
	struct bench b = {.base = event_base_new()};
	struct offload *pool;
	struct error err;

	if (stats == NULL || b.base == NULL)
		die("no memory");
	bench_fill(path);
	bench_plain(path, "plain loop, read", read_sql, BENCH_READS);
	if (argc > 2 && atoi(argv[2]) == 0)
		return unlink(path);
	bench_plain(path, "plain loop, write", write_sql, BENCH_WRITES);
	snprintf(url, sizeof(url), "sqlite:%s", path);
	config.url = str_of(url);
	pool = offload_new(b.base, 4, 10000, stats, &err);
	if (pool == NULL)
		die(err.text);
	b.db = db_new(&config,
	    &(struct db_args){.base = b.base, .pool = pool, .stats = stats},
	    &err);
	if (b.db == NULL)
		die(err.text);
	while (!b.db->driver->is_ready(b.db))
		event_base_loop(b.base, EVLOOP_ONCE);
	if (argc > 2) {
		bench_driver(
		    &b, read_sql, BENCH_READS * 5, (unsigned)atoi(argv[2]));
		goto done;
	}
	bench_driver(&b, read_sql, BENCH_READS / 8, 1);
	bench_driver(&b, read_sql, BENCH_READS, 8);
	bench_driver(&b, read_sql, BENCH_READS, 64);
	bench_driver(&b, read_sql, BENCH_READS, 512);
	bench_driver(&b, write_sql, BENCH_WRITES, 1);
	bench_driver(&b, write_sql, BENCH_WRITES, 64);
done:
	offload_free(pool);
	db_free(b.db);
	event_base_free(b.base);
	free(stats);
	unlink(path);
	return 0;
}
