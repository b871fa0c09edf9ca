/* SPDX-License-Identifier: MIT */
/*
 * /api/v1/posts and /api/v2/posts.  The second version tells when a post was
 * written, and leaves the text out of its list.
 *
 * Owns nothing.  Here: what a post is in each version, and its statements.
 * Context: a worker's loop.  routes.c -> [posts.c] -> view.c
 */
#include "api.h"
#include "view.h"

#define COLUMNS "id, title, body, author, created_s"
enum { POST_ID, POST_TITLE, POST_BODY, POST_AUTHOR, POST_CREATED };

static void
post_add_head(struct lane_json_writer *w, const struct lane_rows *rows,
    unsigned row)
{
	lane_json_add_int(w, "id", lane_rows_int(rows, row, POST_ID));
	lane_json_add_str(w, "title", lane_rows_text(rows, row, POST_TITLE));
	lane_json_add_str(w, "author", lane_rows_text(rows, row, POST_AUTHOR));
}

static void
post_add_entry_v1(struct lane_json_writer *w, const struct lane_rows *rows,
    unsigned row)
{
	post_add_head(w, rows, row);
	lane_json_add_str(w, "body", lane_rows_text(rows, row, POST_BODY));
}

static void
post_add_v1(struct lane_json_writer *w, const struct lane_rows *rows,
    unsigned row)
{
	lane_json_add_str(w, "message", LANE_STR("Posts API v1"));
	post_add_entry_v1(w, rows, row);
}

static void
post_add_entry_v2(struct lane_json_writer *w, const struct lane_rows *rows,
    unsigned row)
{
	post_add_head(w, rows, row);
	view_add_time(
	    w, "created_at", lane_rows_int(rows, row, POST_CREATED));
}

static void
post_add_v2(struct lane_json_writer *w, const struct lane_rows *rows,
    unsigned row)
{
	lane_json_add_str(w, "message", LANE_STR("Posts API v2"));
	post_add_entry_v2(w, rows, row);
	lane_json_add_str(w, "body", lane_rows_text(rows, row, POST_BODY));
}

static const struct view view_v1 = {
	.path = "/api/v1/posts", .version = "v1", .key = "posts",
	.message = "Posts API v1",
	.add_item = post_add_v1, .add_entry = post_add_entry_v1,
};
static const struct view view_v2 = {
	.path = "/api/v2/posts", .version = "v2", .key = "posts",
	.message = "Posts API v2", .has_pages = true,
	.add_item = post_add_v2, .add_entry = post_add_entry_v2,
};

static int
post_list(struct lane_ctx *c, const struct view *view)
{
	return view_send_list(c, view, VIEW_LIST_SQL(COLUMNS, "posts"));
}

static int
post_get(struct lane_ctx *c, const struct view *view)
{
	struct lane_value id = lane_arg(c, "id");

	return view_send(c, 200, view, &(struct statement){
	    .sql = "SELECT " COLUMNS " FROM posts WHERE id = $1",
	    .params = &id, .param_count = 1});
}

/* Who doesn't say is the token's subject. */
static struct lane_value
post_author(struct lane_ctx *c)
{
	struct lane_str subject = lane_attr_text(c, "jwt.sub");

	if (lane_has_arg(c, "author"))
		return lane_arg(c, "author");
	return lane_text(subject.p != NULL ? subject : LANE_STR("anonymous"));
}

static int
post_create(struct lane_ctx *c, const struct view *view)
{
	const struct api *api = lane_state(c);
	int rc = auth_check(c, "write");

	if (rc != 0)
		return rc;
	return view_send(c, 201, view, &(struct statement){
	    .sql = "INSERT INTO posts (title, body, author, created_s) "
	    "VALUES ($1, $2, $3, $4) RETURNING " COLUMNS,
	    .params = (struct lane_value[]){lane_arg(c, "title"),
		lane_arg(c, "body"), post_author(c),
		lane_int(lane_time_s(c))},
	    .param_count = 4, .counter = api->posts_created});
}

static int
post_replace(struct lane_ctx *c, const struct view *view)
{
	int rc = auth_check(c, "write");

	if (rc != 0)
		return rc;
	return view_send(c, 200, view, &(struct statement){
	    .sql = "UPDATE posts SET title = $2, body = $3, author = $4 "
	    "WHERE id = $1 RETURNING " COLUMNS,
	    .params = (struct lane_value[]){lane_arg(c, "id"),
		lane_arg(c, "title"), lane_arg(c, "body"), post_author(c)},
	    .param_count = 4});
}

int
post_list_v1(struct lane_ctx *c)
{
	return post_list(c, &view_v1);
}

int
post_list_v2(struct lane_ctx *c)
{
	return post_list(c, &view_v2);
}

int
post_get_v1(struct lane_ctx *c)
{
	return post_get(c, &view_v1);
}

int
post_get_v2(struct lane_ctx *c)
{
	return post_get(c, &view_v2);
}

int
post_create_v1(struct lane_ctx *c)
{
	return post_create(c, &view_v1);
}

int
post_create_v2(struct lane_ctx *c)
{
	return post_create(c, &view_v2);
}

int
post_replace_v1(struct lane_ctx *c)
{
	return post_replace(c, &view_v1);
}

int
post_replace_v2(struct lane_ctx *c)
{
	return post_replace(c, &view_v2);
}

int
post_delete(struct lane_ctx *c)
{
	int rc = auth_check(c, "write");

	return rc != 0 ? rc
	    : view_delete(c, "DELETE FROM posts WHERE id = $1");
}
