/* SPDX-License-Identifier: MIT */
/*
 * From one SQL statement to one answer, in the words of a version of the API.
 *
 *	static const struct view view_v1 = {.path = "/api/v1/users",
 *	    .key = "users", .version = "v1", .add_item = user_add_v1,
 *	    .add_entry = user_add_v1};
 *
 *	return view_send(c, 200, &view_v1, &(struct statement){
 *	    .sql = "SELECT id, name FROM users WHERE id = $1",
 *	    .params = id, .param_count = 1});
 *
 * A statement's first column is the id.  Context: a worker's loop.
 */
#ifndef CORELANE_APPS_API_VIEW_H
#define CORELANE_APPS_API_VIEW_H

#include <corelane/corelane.h>

/* Writes the members of an object from one row. */
typedef void (*view_add_fn)(struct lane_json_writer *w,
    const struct lane_rows *rows, unsigned row);

/* A version's view of a resource. */
struct view {
	const char *path;	/* of the list; for Location */
	const char *version;
	const char *key;	/* the list's member with the items */
	const char *message;	/* of the list; or NULL */
	bool has_pages;		/* the list tells its page and total */
	view_add_fn add_item, add_entry; /* alone, and in a list */
};

struct statement {
	const char *sql;
	const struct lane_value *params;
	unsigned param_count;
	struct lane_counter *counter; /* of what it has made; or NULL */
};

/* The row that it gives, or 404; with status 201 its Location. */
int view_send(struct lane_ctx *c, int status, const struct view *view,
    const struct statement *st) LANE_CHECKED;

/* A page of rows, by the arguments "page" and "per_page". */
#define VIEW_LIST_SQL(columns, table)                                          \
	"SELECT p.*, t.total FROM (SELECT COUNT(*) AS total FROM " table       \
	") AS t LEFT JOIN (SELECT " columns " FROM " table                     \
	" ORDER BY id LIMIT $1 OFFSET $2) AS p ON 1 = 1 ORDER BY p.id"
int view_send_list(struct lane_ctx *c, const struct view *view,
    const char *sql) LANE_CHECKED;

/* 204 when it has touched a row, or 404.  Its one parameter is "id". */
int view_delete(struct lane_ctx *c, const char *sql) LANE_CHECKED;

/* "2026-01-31T12:00:00Z" */
void view_add_time(
    struct lane_json_writer *w, const char *key, int64_t seconds);

#endif
