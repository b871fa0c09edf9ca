/* SPDX-License-Identifier: MIT */
/*
 * From a result of libpq to rows: cells by type, and errors by SQLSTATE.
 *
 * Owns nothing: rows own the PGresult, which the texts among the cells point
 * to.  Invariant: a cell never loses anything: what isn't an integer, a float,
 * a boolean or bytea comes as the server's text.
 * Here: types, statuses.  Not here: which result belongs to which statement
 * (postgres_item.c).
 * Context: the loop's thread.
 *	postgres_item.c -> [postgres_result.c] -> rows.c
 */
#include <errno.h>
#include <stdlib.h>

#include "server/db/postgres.h"

/* pg_type.dat: these never change. */
enum {
	OID_BOOL = 16,
	OID_BYTEA = 17,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_OID = 26,
	OID_FLOAT4 = 700,
	OID_FLOAT8 = 701
};

static void
pg_result_free(void *res)
{
	PQclear(res);
}

/* "\x4869": two digits a byte.  Returns 0, or -1: not in that form. */
static int
pg_hex_decode(struct str hex, char *out)
{
	int high, low;
	size_t i;

	for (i = 2; i + 1 < hex.len; i += 2) {
		high = str_hex_digit(hex.p[i]);
		low = str_hex_digit(hex.p[i + 1]);
		if (high < 0 || low < 0)
			return -1;
		*out++ = (char)(high << 4 | low);
	}
	return 0;
}

/* bytea_output may be "escape", too: the role's or the database's setting. */
static int
pg_bytea_decode(
    struct lane_rows *rows, struct str text, struct lane_value *cell)
{
	unsigned char *plain;
	size_t len;
	char *copy;

	if (str_has_prefix(text, STR("\\x"))) {
		len = (text.len - 2) / 2;
		copy = db_rows_alloc(rows, len);
		if (copy == NULL || pg_hex_decode(text, copy) == -1)
			return -1;
		*cell = (struct lane_value){LANE_BLOB, .u.s = {copy, len}};
		return 0;
	}
	plain = PQunescapeBytea((const unsigned char *)text.p, &len);
	if (plain == NULL || arena_defer(&rows->arena, PQfreemem, plain) == -1)
		return -1;
	*cell = (struct lane_value){LANE_BLOB, .u.s = {(char *)plain, len}};
	return 0;
}

static int
pg_cell(
    struct lane_rows *rows, Oid type, struct str text, struct lane_value *cell)
{
	switch (type) {
	case OID_BOOL:
		cell->kind = LANE_BOOL;
		cell->u.b = text.p[0] == 't';
		return 0;
	case OID_INT2:
	case OID_INT4:
	case OID_INT8:
	case OID_OID:
		cell->kind = LANE_INT;
		cell->u.i = strtoll(text.p, NULL, 10);
		return 0;
	case OID_FLOAT4:
	case OID_FLOAT8:
		cell->kind = LANE_FLOAT;
		cell->u.f = strtod(text.p, NULL);
		return 0;
	case OID_BYTEA:
		return pg_bytea_decode(rows, text, cell);
	default:
		*cell =
		    (struct lane_value){LANE_TEXT, .u.s = {text.p, text.len}};
		return 0;
	}
}

static int
pg_row(struct lane_rows *rows, const PGresult *res, int row)
{
	struct lane_value *cell = db_rows_add(rows);
	struct str text;
	int i;

	if (cell == NULL)
		return -1;
	for (i = 0; i < (int)rows->columns; i++) {
		if (PQgetisnull(res, row, i))
			continue;
		text = str_from(
		    PQgetvalue(res, row, i), (size_t)PQgetlength(res, row, i));
		if (pg_cell(rows, PQftype(res, i), text, &cell[i]) == -1)
			return -1;
	}
	return 0;
}

/* "UPDATE 3" has touched three; "SELECT 3" none. */
static int64_t
pg_affected(PGresult *res)
{
	if (str_has_prefix(str_of(PQcmdStatus(res)), STR("SELECT")))
		return 0;
	return strtoll(PQcmdTuples(res), NULL, 10);
}

void
pg_result_take(struct lane_rows *rows, PGresult *res)
{
	int i, count = PQntuples(res), columns = PQnfields(res);

	rows->driver_result = res;
	rows->free_result = pg_result_free;
	if (PQresultMemorySize(res) > DB_ROWS_BYTES_MAX) {
		db_rows_fail(rows, 500, "54000", false,
		    "the result is larger than %zu MiB",
		    DB_ROWS_BYTES_MAX >> 20);
		return;
	}
	if (db_rows_begin(rows, (unsigned)columns) < 0)
		goto nomem;
	for (i = 0; i < columns; i++)
		rows->name[i] =
		    (struct lane_str){PQfname(res, i), strlen(PQfname(res, i))};
	for (i = 0; i < count; i++)
		if (pg_row(rows, res, i) == -1)
			goto nomem;
	rows->affected = pg_affected(res);
	return;
nomem:
	if (rows->status == 0)
		db_rows_fail(
		    rows, 503, "53200", true, "no memory for the result");
}

const char *
pg_result_sqlstate(const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	return state != NULL ? state : "";
}

/* Each prefix of a SQLSTATE and what it means for a client; the first that
 * fits.  PostgreSQL's appendix A. */
static const struct pg_sqlstate {
	const char *prefix;
	int status;
	bool is_retryable;
} pg_sqlstates[] = {
    {"08P01", 500, false}, /* protocol_violation: parameters */
    {"08", 503, true}, /* connection exceptions */
    {"23", 409, false}, /* integrity constraints */
    {"40001", 503, true}, /* serialization_failure */
    {"40P01", 503, true}, /* deadlock_detected */
    {"53", 503, true}, /* insufficient resources */
    {"55P03", 503, true}, /* lock_not_available */
    {"57014", 504, false}, /* query_canceled */
    {"57P01", 503, true}, /* admin_shutdown */
    {"57P02", 503, true}, /* crash_shutdown */
    {"57P03", 503, true}, /* cannot_connect_now */
    {"57P05", 503, true}, /* idle_session_timeout */
    {"", 500, false},
};

void
pg_result_fail(struct lane_rows *rows, const PGresult *res)
{
	const char *state = pg_result_sqlstate(res);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
	const struct pg_sqlstate *at = pg_sqlstates;

	while (!str_has_prefix(str_of(state), str_of(at->prefix)))
		at++;
	if (text == NULL)
		text = "an error without a text";
	db_rows_fail(rows, at->status, state, at->is_retryable, "%s%s%s", text,
	    detail != NULL ? ": " : "", detail != NULL ? detail : "");
}
