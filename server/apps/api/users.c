/* SPDX-License-Identifier: MIT */
/*
 * /api/v1/users and /api/v2/users.  The first version knows names only; both
 * show the same rows.
 *
 * Owns nothing.  Here: what a user is in each version, and its statements.
 * Context: a worker's loop.  routes.c -> [users.c] -> view.c
 */
#include "api.h"
#include "view.h"

#define COLUMNS "id, name, email, created_s"
enum { USER_ID, USER_NAME, USER_EMAIL, USER_CREATED };

static void
user_add_v1(struct lane_json_writer *w, const struct lane_rows *rows,
    unsigned row)
{
	lane_json_add_int(w, "user_id", lane_rows_int(rows, row, USER_ID));
	lane_json_add_str(w, "version", LANE_STR("v1"));
	lane_json_add_str(w, "name", lane_rows_text(rows, row, USER_NAME));
}

static void
user_add_v2(struct lane_json_writer *w, const struct lane_rows *rows,
    unsigned row)
{
	lane_json_add_int(w, "user_id", lane_rows_int(rows, row, USER_ID));
	lane_json_add_str(w, "version", LANE_STR("v2"));
	lane_json_key(w, "profile");
	lane_json_object(w);
	lane_json_add_str(w, "name", lane_rows_text(rows, row, USER_NAME));
	lane_json_key(w, "email");
	lane_json_value(w, lane_rows_value(rows, row, USER_EMAIL));
	view_add_time(
	    w, "created_at", lane_rows_int(rows, row, USER_CREATED));
	lane_json_end(w);
}

static void
user_add_entry_v2(struct lane_json_writer *w, const struct lane_rows *rows,
    unsigned row)
{
	lane_json_add_int(w, "id", lane_rows_int(rows, row, USER_ID));
	lane_json_add_str(w, "name", lane_rows_text(rows, row, USER_NAME));
}

static const struct view view_v1 = {
	.path = "/api/v1/users", .version = "v1", .key = "users",
	.add_item = user_add_v1, .add_entry = user_add_v1,
};
static const struct view view_v2 = {
	.path = "/api/v2/users", .version = "v2", .key = "users",
	.has_pages = true,
	.add_item = user_add_v2, .add_entry = user_add_entry_v2,
};

static int
user_list(struct lane_ctx *c, const struct view *view)
{
	return view_send_list(c, view, VIEW_LIST_SQL(COLUMNS, "users"));
}

static int
user_get(struct lane_ctx *c, const struct view *view)
{
	struct lane_value id = lane_arg(c, "id");

	return view_send(c, 200, view, &(struct statement){
	    .sql = "SELECT " COLUMNS " FROM users WHERE id = $1",
	    .params = &id, .param_count = 1});
}

/* In the first version there is no "email": NULL. */
static int
user_create(struct lane_ctx *c, const struct view *view)
{
	const struct api *api = lane_state(c);
	int rc = auth_check(c, "write");

	if (rc != 0)
		return rc;
	return view_send(c, 201, view, &(struct statement){
	    .sql = "INSERT INTO users (name, email, created_s) "
	    "VALUES ($1, $2, $3) RETURNING " COLUMNS,
	    .params = (struct lane_value[]){lane_arg(c, "name"),
		lane_arg(c, "email"), lane_int(lane_time_s(c))},
	    .param_count = 3, .counter = api->users_created});
}

int
user_list_v1(struct lane_ctx *c)
{
	return user_list(c, &view_v1);
}

int
user_list_v2(struct lane_ctx *c)
{
	return user_list(c, &view_v2);
}

int
user_get_v1(struct lane_ctx *c)
{
	return user_get(c, &view_v1);
}

int
user_get_v2(struct lane_ctx *c)
{
	return user_get(c, &view_v2);
}

int
user_create_v1(struct lane_ctx *c)
{
	return user_create(c, &view_v1);
}

int
user_create_v2(struct lane_ctx *c)
{
	return user_create(c, &view_v2);
}

/* A client of the first version doesn't touch what it can't see. */
int
user_replace_v1(struct lane_ctx *c)
{
	int rc = auth_check(c, "write");

	if (rc != 0)
		return rc;
	return view_send(c, 200, &view_v1, &(struct statement){
	    .sql = "UPDATE users SET name = $2 WHERE id = $1 "
	    "RETURNING " COLUMNS,
	    .params = (struct lane_value[]){
		lane_arg(c, "id"), lane_arg(c, "name")},
	    .param_count = 2});
}

int
user_replace_v2(struct lane_ctx *c)
{
	int rc = auth_check(c, "write");

	if (rc != 0)
		return rc;
	return view_send(c, 200, &view_v2, &(struct statement){
	    .sql = "UPDATE users SET name = $2, email = $3 WHERE id = $1 "
	    "RETURNING " COLUMNS,
	    .params = (struct lane_value[]){lane_arg(c, "id"),
		lane_arg(c, "name"), lane_arg(c, "email")},
	    .param_count = 3});
}

int
user_delete(struct lane_ctx *c)
{
	int rc = auth_check(c, "write");

	return rc != 0 ? rc
	    : view_delete(c, "DELETE FROM users WHERE id = $1");
}
