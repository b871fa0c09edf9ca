/* SPDX-License-Identifier: MIT */
/*
 * One connection's prepared statements, found by the number of their text.
 *
 * Owns them.  Invariant: none is being stepped between two jobs; beyond
 * LITE_STMTS_MAX the one used longest ago is finalised.
 * Here: preparing, parameters' numbers, the cache.  Not here: running
 * (sqlite_run.c).
 * Context: the thread that has the connection.
 *	sqlite_run.c -> [sqlite_stmt.c]
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/db/sqlite.h"

static void
stmt_unlink(struct sqlite_stmts *stmts, struct sqlite_stmt *s)
{
	*(s->newer != NULL ? &s->newer->older : &stmts->newest) = s->older;
	*(s->older != NULL ? &s->older->newer : &stmts->oldest) = s->newer;
}

static void
stmt_push(struct sqlite_stmts *stmts, struct sqlite_stmt *s)
{
	s->newer = NULL;
	s->older = stmts->newest;
	*(stmts->newest != NULL ? &stmts->newest->newer : &stmts->oldest) = s;
	stmts->newest = s;
}

static void
stmt_drop(struct sqlite_stmts *stmts, struct sqlite_stmt *s)
{
	struct sqlite_stmt **at = &stmts->bucket[s->id % LITE_STMT_BUCKETS];

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	stmt_unlink(stmts, s);
	stmts->count--;
	sqlite3_finalize(s->handle);
	free(s);
}

void
sqlite_stmts_done(struct sqlite_stmts *stmts)
{
	while (stmts->oldest != NULL)
		stmt_drop(stmts, stmts->oldest);
}

/* Past white space and comments, where a statement's first word begins. */
static const char *
sql_first_word(const char *p)
{
	const char *end;

	for (;;) {
		while (*p == ' ' || (*p >= '\t' && *p <= '\r'))
			p++;
		if (p[0] == '-' && p[1] == '-')
			p += strcspn(p, "\n");
		else if (p[0] == '/' && p[1] == '*' &&
		    (end = strstr(p + 2, "*/")) != NULL)
			p = end + 2;
		else
			return p;
	}
}

/* Whether it is one of the statements that change rows. */
static bool
sql_changes_rows(const char *sql)
{
	static const char *const words[] = {
	    "insert", "update", "delete", "replace", "with"};
	const char *first = sql_first_word(sql);
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strncasecmp(first, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

/* The n of SQLite's parameter number `index`, whose name is "$n"; 0: it has
 * another name, or none. */
static unsigned
stmt_param_number(sqlite3_stmt *handle, int index)
{
	const char *name = sqlite3_bind_parameter_name(handle, index);
	uint64_t n;

	if (name == NULL || name[0] != '$' ||
	    str_to_u64(str_of(name + 1), &n) == -1 || n > UINT16_MAX)
		return 0;
	return (unsigned)n;
}

/* Fills in what is known of a statement by its handle. */
static int
stmt_learn(struct sqlite_stmt *s, const char *sql, struct lane_rows *rows)
{
	unsigned i;

	s->counts_changes =
	    sql_changes_rows(sql) && !sqlite3_stmt_readonly(s->handle);
	s->class = LITE_CLASS_ALONE;
	if (s->counts_changes)
		s->class = LITE_CLASS_WRITE;
	else if (sqlite3_stmt_readonly(s->handle))
		s->class = LITE_CLASS_READ;
	for (i = 0; i < s->slot_count; i++) {
		unsigned n = stmt_param_number(s->handle, (int)i + 1);

		if (n == 0) {
			db_rows_fail(rows, 500, "42P02", false,
			    "parameters "
			    "are written $1, $2 ...");
			return -1;
		}
		s->slot[i] = (unsigned short)n;
		if (n > s->param_count)
			s->param_count = n;
	}
	return 0;
}

/* One statement and nothing behind it but white space and comments. */
static int
stmt_prepare(struct sqlite_conn *conn, const struct sqlite_text *text,
    sqlite3_stmt **ret_handle, struct lane_rows *rows)
{
	const char *rest;
	int rc;

	conn->is_preparing = true;
	rc = sqlite3_prepare_v3(conn->handle, text->sql, (int)text->len + 1,
	    SQLITE_PREPARE_PERSISTENT, ret_handle, &rest);
	conn->is_preparing = false;
	if (rc != SQLITE_OK) {
		sqlite_run_fail(conn, rows);
		return -1;
	}
	rest = sql_first_word(rest);
	if (*ret_handle != NULL && *rest == '\0')
		return 0;
	db_rows_fail(rows, 500, "42601", false,
	    *ret_handle == NULL ? "there is no statement" :
	    "more than one statement");
	sqlite3_finalize(*ret_handle);
	return -1;
}

static struct sqlite_stmt *
stmt_add(struct sqlite_conn *conn, const struct sqlite_text *text,
    struct lane_rows *rows)
{
	struct sqlite_stmts *stmts = &conn->stmts;
	sqlite3_stmt *handle;
	struct sqlite_stmt *s, **bucket;
	unsigned slots;

	if (stmt_prepare(conn, text, &handle, rows) == -1)
		return NULL;
	slots = (unsigned)sqlite3_bind_parameter_count(handle);
	s = calloc(1, sizeof(*s) + slots * sizeof(s->slot[0]));
	if (s == NULL) {
		sqlite3_finalize(handle);
		db_rows_fail(rows, 503, "53200", true, "no memory");
		return NULL;
	}
	s->id = text->id;
	s->handle = handle;
	s->slot_count = slots;
	if (stmt_learn(s, text->sql, rows) == -1) {
		sqlite3_finalize(handle);
		free(s);
		return NULL;
	}
	if (stmts->count >= LITE_STMTS_MAX)
		stmt_drop(stmts, stmts->oldest);
	bucket = &stmts->bucket[s->id % LITE_STMT_BUCKETS];
	s->next = *bucket;
	*bucket = s;
	stmt_push(stmts, s);
	stmts->count++;
	return s;
}

struct sqlite_stmt *
sqlite_stmt_get(struct sqlite_conn *conn, const struct sqlite_text *text,
    struct lane_rows *rows)
{
	struct sqlite_stmts *stmts = &conn->stmts;
	struct sqlite_stmt *s = stmts->bucket[text->id % LITE_STMT_BUCKETS];

	while (s != NULL && s->id != text->id)
		s = s->next;
	if (s == NULL)
		return stmt_add(conn, text, rows);
	if (s != stmts->newest) {
		stmt_unlink(stmts, s);
		stmt_push(stmts, s);
	}
	return s;
}
