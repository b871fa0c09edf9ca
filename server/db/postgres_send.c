/* SPDX-License-Identifier: MIT */
/*
 * From a query to libpq: parameters as text, statements prepared once.
 *
 *	first time	PREPARE s7; EXECUTE s7 (...); Sync
 *	after that	EXECUTE s7 (...); Sync
 *
 * The server infers the types of parameters, from which it makes values with
 * the same input functions as from literals: $1 takes an integer for a float,
 * or a text for a date, without casts.  Blobs go as they are, in binary.
 *
 * Owns nothing; pg.texts holds one statement's parameters.  Invariant: whatever
 * is refused here, is so before any of it is given to libpq.
 * Here: encoding.  Not here: when (postgres_conn.c), answers (postgres_item.c).
 * Context: the loop's thread.
 *	postgres_conn.c -> [postgres_send.c] -> postgres_statement.c
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "server/db/postgres.h"

/* The protocol counts parameters in 16 bits; this is more than any sane
 * statement has, and fits on the stack. */
#define PG_PARAMS_MAX 2048
#define PG_NAME_BYTES 24
/* Or the server would go on with the statement of a worker that has gone, with
 * all its locks.  Servers before 14 say that they don't know it. */
#define PG_SETUP_SQL "SET client_connection_check_interval = 1000"

/* What libpq wants to know of parameters. */
struct pg_params {
	int count;
	size_t at[PG_PARAMS_MAX]; /* in pg.texts, while it grows */
	const char *value[PG_PARAMS_MAX];
	int len[PG_PARAMS_MAX];
	int is_binary[PG_PARAMS_MAX];
};

static void
pg_float_print(struct buf *out, double f)
{
	if (isnan(f))
		buf_add(out, STR("NaN"));
	else if (isinf(f))
		buf_add(out, f < 0 ? STR("-Infinity") : STR("Infinity"));
	else
		buf_printf(out, "%.17g", f);
}

/* Text that is added, with a NUL behind it.  Returns 0 or -EINVAL. */
static int
pg_value_print(struct buf *out, const struct lane_value *v)
{
	switch (v->kind) {
	case LANE_BOOL:
		buf_add_byte(out, v->u.b ? 't' : 'f');
		break;
	case LANE_INT:
		buf_printf(out, "%" PRId64, v->u.i);
		break;
	case LANE_FLOAT:
		pg_float_print(out, v->u.f);
		break;
	case LANE_TEXT:
		if (memchr(v->u.s.p, '\0', v->u.s.len) != NULL)
			return -EINVAL;
		buf_add(out, str_from(v->u.s.p, v->u.s.len));
		break;
	case LANE_NULL:
	case LANE_BLOB:
	case LANE_POINTER:
		break;
	}
	buf_add_byte(out, '\0');
	return 0;
}

static bool
pg_value_is_null(const struct lane_value *v)
{
	if (v->kind == LANE_TEXT || v->kind == LANE_BLOB)
		return v->u.s.p == NULL;
	return v->kind == LANE_NULL || v->kind == LANE_POINTER;
}

static int
pg_params_print(
    struct pg_params *out, struct buf *texts, const struct db_query *q)
{
	unsigned i;

	out->count = (int)q->param_count;
	buf_clear(texts);
	for (i = 0; i < q->param_count; i++) {
		out->at[i] = texts->len;
		out->is_binary[i] = q->params[i].kind == LANE_BLOB;
		out->len[i] = 0;
		if (pg_value_is_null(&q->params[i]) || out->is_binary[i])
			continue;
		if (pg_value_print(texts, &q->params[i]) < 0)
			return -EINVAL;
	}
	if (buf_failed(texts))
		return -ENOMEM;
	for (i = 0; i < q->param_count; i++) {
		out->value[i] = texts->p + out->at[i];
		if (pg_value_is_null(&q->params[i]))
			out->value[i] = NULL;
		else if (out->is_binary[i]) {
			out->value[i] = q->params[i].u.s.p;
			out->len[i] = (int)q->params[i].u.s.len;
		}
	}
	return 0;
}

/* libpq's calls return 1 for success. */
static int
pg_sent(int ok)
{
	return ok == 1 ? 0 : -EPIPE;
}

static int
pg_sync(struct pg_conn *c)
{
	return pg_sent(PQpipelineSync(c->pq));
}

/* Parsed anew, unprepared. */
static int
pg_send_text(struct pg_conn *c, const char *sql, const struct pg_params *p)
{
	if (p == NULL)
		return pg_sent(PQsendQueryParams(
		    c->pq, sql, 0, NULL, NULL, NULL, NULL, 0));
	return pg_sent(PQsendQueryParams(
	    c->pq, sql, p->count, NULL, p->value, p->len, p->is_binary, 0));
}

/* What is already in use at the server goes in its turn, behind all that was
 * sent with it. */
static int
pg_send_surplus(struct pg_conn *c)
{
	struct pg_statement *st = pg_statement_surplus(&c->statements);
	struct pg_item *item;

	if (st == NULL)
		return 0;
	item = pg_item_new(c->pg, PG_DEALLOCATE, NULL);
	if (item == NULL)
		return -ENOMEM;
	item->number = st->number;
	pg_item_put(item, PG_UNSENT, c);
	return pg_item_send(item) == -1 ? -EPIPE : 0;
}

static int
pg_send_parse(
    struct pg_conn *c, struct pg_item *item, struct str sql, uint64_t hash)
{
	char name[PG_NAME_BYTES];
	struct pg_statement *st;
	int rc = pg_send_surplus(c);

	if (rc < 0)
		return rc;
	/* One statement less, or there was room. */
	st = pg_statement_add(&c->statements, sql, hash);
	if (st == NULL)
		return -ENOMEM;
	item->number = st->number;
	item->is_parsing = item->is_fresh = true;
	snprintf(name, sizeof(name), "s%" PRIu64, st->number);
	return pg_sent(PQsendPrepare(c->pq, name, st->sql, 0, NULL));
}

static int
pg_send_prepared(
    struct pg_conn *c, struct pg_item *item, const struct pg_params *p)
{
	struct str sql = str_of(item->q->sql);
	uint64_t hash = str_hash(sql);
	struct pg_statement *st = pg_statement_find(&c->statements, sql, hash);
	char name[PG_NAME_BYTES];
	int rc;

	if (st != NULL) {
		item->number = st->number;
	} else {
		rc = pg_send_parse(c, item, sql, hash);
		if (rc < 0)
			return rc;
	}
	snprintf(name, sizeof(name), "s%" PRIu64, item->number);
	return pg_sent(PQsendQueryPrepared(
	    c->pq, name, p->count, p->value, p->len, p->is_binary, 0));
}

/* The first word, in the statement that a module wrote. */
static bool
pg_sql_is_control(const char *sql)
{
	static const char *const words[] = {"BEGIN", "START", "COMMIT", "END",
	    "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"};
	size_t len, i;

	sql += strspn(sql, " \t\r\n");
	len =
	    strspn(sql, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_eq_nocase(str_from(sql, len), str_of(words[i])))
			return true;
	return false;
}

static int
pg_send_statement(struct pg_conn *c, struct pg_item *item, const char **ret_why)
{
	const struct db_query *q = item->q;
	struct pg_params params;
	int rc;

	/* On a connection that all share, a BEGIN would take in strangers. */
	if (item->is_shared && pg_sql_is_control(q->sql)) {
		*ret_why = "transactions are made by lane_begin()";
		return -EINVAL;
	}
	*ret_why = "too many parameters";
	if (q->param_count > PG_PARAMS_MAX)
		return -EINVAL;
	*ret_why = "a text with a NUL in it";
	rc = pg_params_print(&params, &c->pg->texts, q);
	if (rc < 0)
		return rc;
	item->number = 0;
	item->is_parsing = item->is_fresh = false;
	/* The second time it is parsed by itself: what it was prepared by, a
	 * neighbour, may fail again. */
	if (item->again_count > 0 || strlen(q->sql) > PG_STATEMENT_BYTES_MAX)
		return pg_send_text(c, q->sql, &params);
	return pg_send_prepared(c, item, &params);
}

static int
pg_send_cancel(struct pg_conn *c, const struct pg_item *item)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "SELECT pg_cancel_backend(%" PRIu64 ")",
	    item->number);
	return pg_send_text(c, sql, NULL);
}

static int
pg_send_deallocate(struct pg_conn *c, const struct pg_item *item)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "DEALLOCATE s%" PRIu64, item->number);
	pg_statement_drop(&c->statements, item->number);
	return pg_send_text(c, sql, NULL);
}

static int
pg_send_query(struct pg_conn *c, struct pg_item *item, const char **ret_why)
{
	switch (item->q->kind) {
	case DB_BEGIN:
		return pg_send_text(c,
		    item->q->is_read_only ? "BEGIN READ ONLY" : "BEGIN", NULL);
	case DB_COMMIT:
		return pg_send_text(c, "COMMIT", NULL);
	case DB_ROLLBACK:
		return pg_send_text(c, "ROLLBACK", NULL);
	case DB_STATEMENT:
		return pg_send_statement(c, item, ret_why);
	}
	return -EINVAL;
}

int
pg_send(struct pg_conn *c, struct pg_item *item, const char **ret_why)
{
	int rc = -EINVAL;

	switch (item->kind) {
	case PG_QUERY:
		rc = pg_send_query(c, item, ret_why);
		break;
	case PG_SETUP:
		rc = pg_send_text(c, PG_SETUP_SQL, NULL);
		break;
	case PG_DEALLOCATE:
		rc = pg_send_deallocate(c, item);
		break;
	case PG_ROLLBACK:
		rc = pg_send_text(c, "ROLLBACK", NULL);
		break;
	case PG_CANCEL:
		rc = pg_send_cancel(c, item);
		break;
	}
	return rc < 0 ? rc : pg_sync(c);
}
