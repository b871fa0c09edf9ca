/* SPDX-License-Identifier: MIT */
/*
 * Results: made by a driver, read by a module.
 *
 * Owns: the arena of each result, and with it all that its cells point to.
 * Invariant: a result with a status holds no rows; `cell` has room for
 * `capacity` rows of `columns` cells.
 * Here: making, and getters that convert where nothing is lost.  Not here: who
 * keeps a result, and how long (api.c).
 * Context: making: any thread that has the query; the getters: the loop.
 *	sqlite_conn.c, postgres.c -> [rows.c] -> a module's done()
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/ctx.h"
#include "server/db/db.h"

/* Rows for which the first row makes room. */
#define ROWS_FIRST 8

/* Of a number as text, with its NUL. */
#define NUMBER_BYTES 32

static int
rows_fail_size(struct lane_rows *rows)
{
	db_rows_fail(rows, 500, "54000", false,
	    "the result is larger than "
	    "%zu MiB",
	    DB_ROWS_BYTES_MAX >> 20);
	return -1;
}

static int
rows_fail_memory(struct lane_rows *rows)
{
	db_rows_fail(rows, 503, "53200", true, "no memory for the result");
	return -1;
}

void *
db_rows_alloc(struct lane_rows *rows, size_t bytes)
{
	void *p;

	if (bytes > DB_ROWS_BYTES_MAX - rows->bytes) {
		rows_fail_size(rows);
		return NULL;
	}
	p = arena_alloc(&rows->arena, bytes);
	if (p == NULL) {
		rows_fail_memory(rows);
		return NULL;
	}
	rows->bytes += bytes;
	return p;
}

struct lane_str
db_rows_copy(struct lane_rows *rows, struct lane_str s)
{
	char *p =
	    s.len < DB_ROWS_BYTES_MAX ? db_rows_alloc(rows, s.len + 1) : NULL;

	if (p == NULL) {
		if (rows->status == 0)
			rows_fail_size(rows);
		return (struct lane_str){NULL, 0};
	}
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	p[s.len] = '\0';
	return (struct lane_str){p, s.len};
}

int
db_rows_begin(struct lane_rows *rows, unsigned columns)
{
	size_t bytes = columns * sizeof(*rows->name);

	rows->columns = columns;
	if (columns == 0)
		return 0;
	rows->name = db_rows_alloc(rows, bytes);
	if (rows->name == NULL)
		return -1;
	memset(rows->name, 0, bytes);
	return 0;
}

/* Doubles the room: the old cells stay in the arena, which is at most as much
 * again. */
static int
rows_grow(struct lane_rows *rows)
{
	unsigned capacity =
	    rows->capacity > 0 ? rows->capacity * 2 : ROWS_FIRST;
	size_t row_bytes = rows->columns * sizeof(*rows->cell);
	struct lane_value *cell;

	if (row_bytes > DB_ROWS_BYTES_MAX / capacity)
		return rows_fail_size(rows);
	cell = db_rows_alloc(rows, capacity * row_bytes);
	if (cell == NULL)
		return -1;
	if (rows->count > 0)
		memcpy(cell, rows->cell, rows->count * row_bytes);
	rows->cell = cell;
	rows->capacity = capacity;
	return 0;
}

struct lane_value *
db_rows_add(struct lane_rows *rows)
{
	struct lane_value *cell;

	if (rows->count == rows->capacity && rows_grow(rows) == -1)
		return NULL;
	cell = rows->cell + (size_t)rows->count++ * rows->columns;
	memset(cell, 0, rows->columns * sizeof(*cell));
	return cell;
}

/* The text goes first: it may be one of the result's own. */
void
db_rows_fail(struct lane_rows *rows, int status, const char *sqlstate,
    bool is_retryable, const char *fmt, ...)
{
	struct lane_rows failed = {
	    .status = status, .is_retryable = is_retryable};
	va_list ap;

	snprintf(failed.sqlstate, sizeof(failed.sqlstate), "%s", sqlstate);
	va_start(ap, fmt);
	failed.error = arena_vprintf(&failed.arena, fmt, ap).p;
	va_end(ap);
	if (failed.error == NULL)
		failed.error = "no memory for the error's text";
	db_rows_done(rows);
	*rows = failed;
}

void
db_rows_done(struct lane_rows *rows)
{
	if (rows->driver_result != NULL)
		rows->free_result(rows->driver_result);
	arena_done(&rows->arena);
	*rows = (struct lane_rows){0};
}

/* The getters. */

int
lane_rows_status(const struct lane_rows *rows)
{
	return rows->status;
}

const char *
lane_rows_error(const struct lane_rows *rows)
{
	return rows->error;
}

const char *
lane_rows_sqlstate(const struct lane_rows *rows)
{
	return rows->sqlstate[0] != '\0' ? rows->sqlstate : "00000";
}

unsigned
lane_rows_count(const struct lane_rows *rows)
{
	return rows->count;
}

unsigned
lane_rows_columns(const struct lane_rows *rows)
{
	return rows->columns;
}

struct lane_str
lane_rows_name(const struct lane_rows *rows, unsigned column)
{
	if (column >= rows->columns || rows->name == NULL)
		return (struct lane_str){NULL, 0};
	return rows->name[column];
}

int64_t
lane_rows_affected(const struct lane_rows *rows)
{
	return rows->affected;
}

struct lane_value
lane_rows_value(const struct lane_rows *rows, unsigned row, unsigned column)
{
	if (row >= rows->count || column >= rows->columns)
		return (struct lane_value){.kind = LANE_NULL};
	return rows->cell[(size_t)row * rows->columns + column];
}

bool
lane_rows_is_null(const struct lane_rows *rows, unsigned row, unsigned column)
{
	return lane_rows_value(rows, row, column).kind == LANE_NULL;
}

/* A copy that strtoll() and strtod() can read; false where it is too long for
 * a number, empty, or begins with space, which they would skip. */
static bool
number_text(struct lane_str s, char text[NUMBER_BYTES * 2])
{
	if (s.len == 0 || s.len >= NUMBER_BYTES * 2 || s.p[0] == ' ' ||
	    (s.p[0] >= '\t' && s.p[0] <= '\r') ||
	    memchr(s.p, '\0', s.len) != NULL)
		return false;
	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	return true;
}

static int64_t
int_of_text(struct lane_str s)
{
	char text[NUMBER_BYTES * 2], *end;
	long long i;

	if (!number_text(s, text))
		return 0;
	errno = 0;
	i = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0' ? i : 0;
}

/* 2^63 is a float, and INT64_MAX isn't: it would be rounded up to it. */
static int64_t
int_of_float(double f)
{
	if (!(f >= -0x1p63 && f < 0x1p63) || f != (double)(int64_t)f)
		return 0;
	return (int64_t)f;
}

int64_t
lane_rows_int(const struct lane_rows *rows, unsigned row, unsigned column)
{
	struct lane_value v = lane_rows_value(rows, row, column);

	switch (v.kind) {
	case LANE_BOOL:
		return v.u.b;
	case LANE_INT:
		return v.u.i;
	case LANE_FLOAT:
		return int_of_float(v.u.f);
	case LANE_TEXT:
		return int_of_text(v.u.s);
	case LANE_NULL:
	case LANE_BLOB:
	case LANE_POINTER:
		break;
	}
	return 0;
}

static double
float_of_text(struct lane_str s)
{
	char text[NUMBER_BYTES * 2], *end;
	double f;

	if (!number_text(s, text))
		return 0;
	f = strtod(text, &end);
	return *end == '\0' ? f : 0;
}

/* An integer beyond 2^53 may have no float of its own. */
static double
float_of_int(int64_t i)
{
	double f = (double)i;

	return int_of_float(f) == i ? f : 0;
}

double
lane_rows_float(const struct lane_rows *rows, unsigned row, unsigned column)
{
	struct lane_value v = lane_rows_value(rows, row, column);

	switch (v.kind) {
	case LANE_BOOL:
		return v.u.b;
	case LANE_INT:
		return float_of_int(v.u.i);
	case LANE_FLOAT:
		return v.u.f;
	case LANE_TEXT:
		return float_of_text(v.u.s);
	case LANE_NULL:
	case LANE_BLOB:
	case LANE_POINTER:
		break;
	}
	return 0;
}

/* The shortest text that reads back as the same number. */
static struct str
text_of_float(struct arena *a, double f)
{
	char text[NUMBER_BYTES];
	int digits;

	for (digits = 15; digits < 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, f);
		if (strtod(text, NULL) == f)
			return arena_copy(a, str_of(text));
	}
	return arena_printf(a, "%.17g", f);
}

struct lane_str
lane_rows_text(const struct lane_rows *rows, unsigned row, unsigned column)
{
	struct lane_value v = lane_rows_value(rows, row, column);

	switch (v.kind) {
	case LANE_BOOL:
		return v.u.b ? LANE_STR("true") : LANE_STR("false");
	case LANE_INT:
		return lane_of(arena_printf(rows->scratch, "%" PRId64, v.u.i));
	case LANE_FLOAT:
		return lane_of(text_of_float(rows->scratch, v.u.f));
	case LANE_TEXT:
	case LANE_BLOB:
		return v.u.s;
	case LANE_NULL:
	case LANE_POINTER:
		break;
	}
	return (struct lane_str){NULL, 0};
}
