/* SPDX-License-Identifier: MIT */
/*
 * From one SQL statement to one answer: see view.h.
 *
 * Owns nothing.  Here: running, and the frame of the JSON.  Not here: what a
 * user or a post is (users.c, posts.c).
 * Context: a worker's loop.  users.c, posts.c -> [view.c] -> store.c
 */
#define _POSIX_C_SOURCE 200809L

#include "view.h"

#include <errno.h>
#include <time.h>

#include "api.h"

/* What the statement's continuation has to know. */
struct answer {
	const struct view *view;
	int status;
	struct lane_counter *counter;
	int64_t page;
};

void
view_add_time(struct lane_json_writer *w, const char *key, int64_t seconds)
{
	time_t t = (time_t)seconds;
	char text[32];
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		text[0] = '\0';
	lane_json_add_str(w, key, lane_str_of(text));
}

/* RFC 9110 15.3.2: a 201 says where the new one is. */
static int
view_set_location(
    struct lane_ctx *c, const struct view *view, const struct lane_rows *rows)
{
	struct lane_str where = lane_format(c, "%s/%lld", view->path,
	    (long long)lane_rows_int(rows, 0, 0));

	return where.p != NULL ? lane_set(c, "Location", where) : -ENOMEM;
}

static int
view_on_row(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	const struct answer *answer = state;
	struct lane_json_writer *w;
	int rc;

	if (lane_rows_status(rows) != 0)
		return store_fail(c, rows);
	if (lane_rows_count(rows) == 0)
		return 404;
	lane_count(answer->counter, 1);
	if (answer->status == 201 &&
	    (rc = view_set_location(c, answer->view, rows)) != 0)
		return rc;
	w = lane_json_new(c);
	lane_json_object(w);
	answer->view->add_item(w, rows, 0);
	lane_json_end(w);
	return lane_json_send(w, answer->status);
}

int
view_send(struct lane_ctx *c, int status, const struct view *view,
    const struct statement *st)
{
	struct answer *answer = lane_alloc(c, sizeof(*answer));

	if (answer == NULL)
		return -ENOMEM;
	answer->view = view;
	answer->status = status;
	answer->counter = st->counter;
	return store_sql(c, .sql = st->sql, .params = st->params,
	    .param_count = st->param_count, .done = view_on_row,
	    .state = answer);
}

static void
view_add_pages(struct lane_json_writer *w, int64_t page, int64_t total)
{
	lane_json_key(w, "pagination");
	lane_json_object(w);
	lane_json_add_int(w, "page", page);
	lane_json_add_int(w, "total", total);
	lane_json_end(w);
}

/* An empty page is one row of NULLs, with the total behind them. */
static int
view_on_list(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	const struct answer *answer = state;
	const struct view *view = answer->view;
	struct lane_json_writer *w;
	unsigned i;

	if (lane_rows_status(rows) != 0)
		return store_fail(c, rows);
	w = lane_json_new(c);
	lane_json_object(w);
	if (view->message != NULL)
		lane_json_add_str(w, "message", lane_str_of(view->message));
	lane_json_key(w, view->key);
	lane_json_array(w);
	for (i = 0; i < lane_rows_count(rows); i++) {
		if (lane_rows_is_null(rows, i, 0))
			continue;
		lane_json_object(w);
		view->add_entry(w, rows, i);
		lane_json_end(w);
	}
	lane_json_end(w);
	lane_json_add_str(w, "version", lane_str_of(view->version));
	if (view->has_pages)
		view_add_pages(w, answer->page, lane_rows_int(rows, 0,
		    lane_rows_columns(rows) - 1));
	lane_json_end(w);
	return lane_json_send(w, 200);
}

int
view_send_list(struct lane_ctx *c, const struct view *view, const char *sql)
{
	int64_t per_page = lane_arg_int(c, "per_page");
	struct answer *answer = lane_alloc(c, sizeof(*answer));

	if (answer == NULL)
		return -ENOMEM;
	answer->view = view;
	answer->page = lane_arg_int(c, "page");
	return store_sql(c, .sql = sql,
	    .params = (struct lane_value[]){lane_int(per_page),
		lane_int((answer->page - 1) * per_page)},
	    .param_count = 2, .done = view_on_list, .state = answer);
}

static int
view_on_deleted(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	if (lane_rows_status(rows) != 0)
		return store_fail(c, rows);
	return lane_rows_affected(rows) > 0 ? lane_empty(c, 204) : 404;
}

int
view_delete(struct lane_ctx *c, const char *sql)
{
	struct lane_value id = lane_arg(c, "id");

	return store_sql(c, .sql = sql, .params = &id, .param_count = 1,
	    .done = view_on_deleted);
}
