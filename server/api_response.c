/* SPDX-License-Identifier: MIT */
/*
 * Making a response, for modules (<corelane/response.h>): fields, and content
 * that is there; not what is written piece by piece (stream.c).
 *
 * Owns nothing.  Invariant: what a module lends for a call alone is copied into
 * the request's arena; a second answer is noted, for ctx_result() to tell.
 * Here: checks and copies.  Not here: the response itself (response.c), errors
 * (problem.c).
 * Context: a worker's loop.
 */
#include "server/api.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include <corelane/async.h>
#include <corelane/response.h>

#include "server/cookie.h"
#include "server/ctx.h"
#include "server/http.h"
#include "server/json_writer.h"
#include "server/request.h"

#define JSON_TYPE STR("application/json")

bool
api_can_answer(const struct lane_ctx *c)
{
	return c->request != NULL && !c->is_ended &&
	    c->request->phase < PHASE_SEND;
}

int
api_begin_answer(struct lane_ctx *c, int status)
{
	if (c->request == NULL)
		return -EINVAL;
	if (c->is_answered || !api_can_answer(c)) {
		c->is_answered_twice = true;
		return -EALREADY;
	}
	if (status < 200 || status > 599)
		return -EINVAL;
	c->is_answered = true;
	return 0;
}

/* Fields. */

static int
api_check_field(const struct lane_ctx *c, struct str name, struct str value)
{
	if (!api_can_answer(c) || !is_token(name) || !is_field_value(value) ||
	    field_is_reserved(name))
		return -EINVAL;
	return 0;
}

int
lane_add(struct lane_ctx *c, const char *name, struct lane_str value)
{
	struct str n = str_of(name), v = str_of_lane(value);

	if (api_check_field(c, n, v) != 0)
		return -EINVAL;
	n = arena_copy(c->arena, n);
	v = arena_copy(c->arena, v);
	if (n.p == NULL || v.p == NULL)
		return -ENOMEM;
	return response_add_checked(c->request, n, v) == -1 ? -ENOMEM : 0;
}

int
lane_set(struct lane_ctx *c, const char *name, struct lane_str value)
{
	if (api_check_field(c, str_of(name), str_of_lane(value)) != 0)
		return -EINVAL;
	response_remove(c->request, str_of(name));
	return lane_add(c, name, value);
}

void
lane_remove(struct lane_ctx *c, const char *name)
{
	if (api_can_answer(c))
		response_remove(c->request, str_of(name));
}

struct lane_str
lane_response_header(struct lane_ctx *c, const char *name)
{
	return lane_of(c->request == NULL ? str_from(NULL, 0)
	    : response_find(c->request, str_of(name)));
}

int
lane_response_status(struct lane_ctx *c)
{
	return c->request == NULL ? 0 : c->request->res.status;
}

int
lane_set_cookie(struct lane_ctx *c, const struct lane_cookie *cookie)
{
	struct str value;
	int result;

	if (!api_can_answer(c))
		return -EINVAL;
	result = cookie_format(cookie, c->arena, &value);
	if (result != 0)
		return result;
	return response_add_checked(c->request, STR("Set-Cookie"), value) == -1
	    ? -ENOMEM : 0;
}

/* Content. */

/* The media type in the arena; .p NULL: none.  One that was set as a field is
 * replaced. */
static int
api_type(struct lane_ctx *c, const char *type, struct str *ret_type)
{
	*ret_type = str_from(NULL, 0);
	if (type == NULL)
		return 0;
	if (!is_field_value(str_of(type)))
		return -EINVAL;
	*ret_type = arena_copy(c->arena, str_of(type));
	if (ret_type->p == NULL)
		return -ENOMEM;
	if (c->request->res.field_count > 0)
		response_remove(c->request, STR("Content-Type"));
	return 0;
}

/* text: in the arena, or lasting. */
static int
api_send(struct lane_ctx *c, int status, const char *type, struct str text)
{
	struct str kept;
	int result = api_begin_answer(c, status);

	if (result != 0)
		return result;
	result = api_type(c, type, &kept);
	if (result != 0)
		return result;
	return response_text(c->request, status, kept, text);
}

int
lane_send(struct lane_ctx *c, int status, const char *type,
    struct lane_str content)
{
	return api_send(c, status, type,
	    arena_copy(c->arena, str_of_lane(content)));
}

int
lane_send_lent(struct lane_ctx *c, int status, const char *type,
    struct lane_str content)
{
	return api_send(c, status, type, content.p != NULL
	    ? str_of_lane(content) : STR(""));
}

int
lane_printf(struct lane_ctx *c, int status, const char *type, const char *fmt,
    ...)
{
	struct str text;
	va_list ap;

	va_start(ap, fmt);
	text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return api_send(c, status, type, text);
}

int
lane_empty(struct lane_ctx *c, int status)
{
	int result = api_begin_answer(c, status);

	return result != 0 ? result : response_empty(c->request, status);
}

static bool
is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 ||
	    status == 307 || status == 308;
}

int
lane_redirect(struct lane_ctx *c, int status, struct lane_str location)
{
	int result;

	if (!is_redirect(status) || location.len == 0)
		return -EINVAL;
	result = api_begin_answer(c, status);
	if (result == 0)
		result = lane_set(c, "Location", location);
	return result != 0 ? result : response_empty(c->request, status);
}

/* What of the file is there to send: 0, or a negative errno. */
static int
api_file_range(struct file_range *range)
{
	struct stat st;
	uint64_t size;

	if (fstat(range->fd, &st) == -1)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	size = (uint64_t)st.st_size;
	if (range->offset > size)
		return -EINVAL;
	if (range->length == UINT64_MAX)
		range->length = size - range->offset;
	return range->length <= size - range->offset ? 0 : -EINVAL;
}

int
lane_send_file(struct lane_ctx *c, int status, const char *type, int fd,
    uint64_t offset, uint64_t length)
{
	struct file_range range = {fd, offset, length};
	struct str kept;
	int result = api_file_range(&range);

	if (result == 0)
		result = api_begin_answer(c, status);
	if (result == 0)
		result = api_type(c, type, &kept);
	if (result == 0)
		return response_file(c->request, status, kept, &range);
	if (fd >= 0)
		close(fd);
	return result;
}

/* JSON. */

static int
api_send_json(struct lane_ctx *c, int status, const struct lane_json_writer *w)
{
	const char *mistake;
	struct str text = json_writer_end(w, &mistake);
	int result;

	if (mistake != NULL) {
		lane_log(w->ctx, LANE_ERROR, "lane_json: %s", mistake);
		return -EINVAL;
	}
	result = api_begin_answer(c, status);
	if (result != 0)
		return result;
	if (c->request->res.field_count > 0)
		response_remove(c->request, STR("Content-Type"));
	return response_text(c->request, status, JSON_TYPE, text);
}

int
lane_json(struct lane_ctx *c, int status, struct cJSON *tree)
{
	struct lane_json_writer w;

	json_writer_init(&w, c);
	if (tree == NULL)
		return -ENOMEM;
	json_write_tree(&w, tree);
	cJSON_Delete(tree);
	return api_send_json(c, status, &w);
}

struct lane_json_writer *
lane_json_new(struct lane_ctx *c)
{
	struct lane_json_writer *w = arena_alloc(c->arena, sizeof(*w));

	if (w != NULL)
		json_writer_init(w, c);
	return w;
}

int
lane_json_send(struct lane_json_writer *w, int status)
{
	return w == NULL ? -ENOMEM : api_send_json(w->ctx, status, w);
}
