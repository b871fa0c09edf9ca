/* SPDX-License-Identifier: MIT */
/*
 * One mapping from what went wrong to what a client of /api reads:
 * {"error", "message", "code"}, as far as there is something to say.
 *
 * Owns nothing.  Invariant: the text of a database or of the system never gets
 * here, nor to a client.
 * Here: the shape.  Not here: statuses, and the server's own header fields,
 * which are set already.
 * Context: on_request_error, a worker's loop.
 */
#include <string.h>

#include "api.h"

#define ERROR_ATTR "api.error"

struct reply {
	int status;
	const char *error, *message, *code; /* NULL: isn't there */
};

static const struct reply replies[] = {
	{401, "Authentication failed", NULL, "AUTH_REQUIRED"},
	{404, "Resource not found", NULL, NULL},
	{405, "Method not allowed", NULL, NULL},
	{408, "Request Timeout", "Request took too long to process", NULL},
	{409, "Conflict", "Another one has these values", "CONFLICT"},
	{429, "Too many requests", "Rate limit exceeded", "RATE_LIMIT"},
	{500, "Internal error", "Internal server error", CODE_INTERNAL},
};
static const struct reply reply_database = {
    0, "Database error", "Database operation failed", CODE_DATABASE};

int
error_mark(struct lane_ctx *c, const char *code)
{
	return lane_attr_set(c, ERROR_ATTR, lane_text(lane_str_of(code)));
}

static bool
error_is_ours(struct lane_ctx *c)
{
	static const char prefix[] = "/api/";
	struct lane_str path = lane_path(c);

	return path.len >= sizeof(prefix) - 1 &&
	    memcmp(path.p, prefix, sizeof(prefix) - 1) == 0;
}

static bool
error_is_database(struct lane_ctx *c, const struct lane_problem *problem)
{
	return problem->status >= 500 &&
	    lane_str_eq(
		lane_attr_text(c, ERROR_ATTR), lane_str_of(CODE_DATABASE));
}

static const struct reply *
error_find(struct lane_ctx *c, const struct lane_problem *problem)
{
	size_t i;

	if (error_is_database(c, problem))
		return &reply_database;
	for (i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		if (replies[i].status == problem->status)
			return &replies[i];
	return NULL;
}

static void
error_add(struct lane_json_writer *w, const char *key, const char *text)
{
	if (text != NULL)
		lane_json_add_str(w, key, lane_str_of(text));
}

static int
error_send_field(struct lane_ctx *c, const struct lane_problem *problem)
{
	struct lane_json_writer *w = lane_json_new(c);

	lane_json_object(w);
	lane_json_add_str(w, "error", lane_format(c, "%.*s %.*s",
	    LANE_FMT(problem->field), LANE_FMT(problem->message)));
	lane_json_add_str(w, "message", lane_format(c,
	    "Validation failed for field: %.*s", LANE_FMT(problem->field)));
	lane_json_add_str(w, "code", LANE_STR(CODE_VALIDATION));
	lane_json_end(w);
	return lane_json_send(w, problem->status);
}

/* Says what the server says. */
static int
error_send_plain(struct lane_ctx *c, const struct lane_problem *problem)
{
	struct lane_json_writer *w = lane_json_new(c);

	lane_json_object(w);
	lane_json_add_str(w, "error", problem->message);
	lane_json_add_str(w, "message", problem->message);
	error_add(w, "code",
	    problem->status == 400 ? CODE_VALIDATION : problem->code);
	lane_json_end(w);
	return lane_json_send(w, problem->status);
}

int
error_shape(struct lane_ctx *c, const struct lane_problem *problem)
{
	const struct reply *reply = error_find(c, problem);
	struct lane_json_writer *w;

	if (!error_is_ours(c))
		return LANE_NEXT;
	if (problem->field.p != NULL)
		return error_send_field(c, problem);
	if (reply == NULL)
		return error_send_plain(c, problem);
	w = lane_json_new(c);
	lane_json_object(w);
	error_add(w, "error", reply->error);
	error_add(w, "message", reply->message);
	error_add(w, "code", reply->code);
	lane_json_end(w);
	return lane_json_send(w, problem->status);
}
