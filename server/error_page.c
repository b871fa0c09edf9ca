/* SPDX-License-Identifier: MIT */
/*
 * The content of error responses, by what the client accepts: JSON, a problem
 * document (RFC 9457), or a small page for a person; or what a module makes of
 * it.
 *
 *	{"error":{"code":"NOT_FOUND","message":"no such resource",
 *	          "request_id":"..."}}
 *
 * The message is the literal reason of the code that refused, or what a module
 * has for its client; internal detail is the log's, under the same id.
 * Context: a worker's loop.  pipeline.c -> [error_page.c]
 */
#include <errno.h>

#include "common/buf.h"
#include "server/accept.h"
#include "server/conn.h"
#include "server/ctx.h"
#include "server/module.h"
#include "server/problem.h"

enum error_form { ERROR_JSON, ERROR_PROBLEM, ERROR_PAGE };

static void
free_text(void *ptr)
{
	struct buf *b = ptr;

	buf_done(b);
}

/* A member behind others; nothing where there is no text. */
static void
render_member(struct buf *out, struct str key, struct str text)
{
	if (text.p == NULL)
		return;
	buf_add_byte(out, ',');
	buf_add_json(out, key);
	buf_add_byte(out, ':');
	buf_add_json(out, text);
}

static void
render_json(struct request *r, const struct lane_problem *p, struct buf *out)
{
	buf_add(out, STR("{\"error\":{\"code\":"));
	buf_add_json(out, str_of(p->code));
	render_member(out, STR("message"), str_of_lane(p->message));
	render_member(out, STR("field"), str_of_lane(p->field));
	render_member(out, STR("request_id"), r->id);
	buf_add(out, STR("}}\n"));
}

/* "name must be a number": a sentence that stands alone. */
static struct str
problem_sentence(struct request *r, const struct lane_problem *p)
{
	struct str text;

	if (p->field.p == NULL)
		return str_of_lane(p->message);
	text = arena_printf(&r->arena, "%.*s %.*s", LANE_FMT(p->field),
	    LANE_FMT(p->message));
	return text.p != NULL ? text : str_of_lane(p->message);
}

/* The path that was asked for, without its query, which may hold secrets. */
static struct str
problem_instance(const struct request *r)
{
	struct str target = r->head->target;

	if (target.p != NULL)
		target.len = str_find(target, '?');
	return target;
}

/* RFC 9457 3.1; what is ours are extensions (3.2). */
static void
render_problem(struct request *r, const struct lane_problem *p,
    struct buf *out)
{
	buf_add(out, STR("{\"type\":\"about:blank\""));
	render_member(out, STR("title"), status_reason(p->status));
	buf_printf(out, ",\"status\":%d", p->status);
	render_member(out, STR("detail"), problem_sentence(r, p));
	render_member(out, STR("instance"), problem_instance(r));
	render_member(out, STR("code"), str_of(p->code));
	render_member(out, STR("field"), str_of_lane(p->field));
	render_member(out, STR("request_id"), r->id);
	buf_add(out, STR("}\n"));
}

static void
render_page(struct request *r, const struct lane_problem *p, struct buf *out)
{
	struct str title = status_reason(p->status);

	buf_printf(out, "<!doctype html>\n<html lang=\"en\"><head>"
	    "<meta charset=\"utf-8\"><title>%d %.*s</title></head>\n"
	    "<body><h1>%d %.*s</h1>\n<p>", p->status, STR_FMT(title),
	    p->status, STR_FMT(title));
	buf_add_html(out, problem_sentence(r, p));
	buf_add(out, STR(".</p>\n"));
	if (r->id.p != NULL) {
		buf_add(out, STR("<p>Request <code>"));
		buf_add_html(out, r->id);
		buf_add(out, STR("</code></p>\n"));
	}
	buf_add(out, STR("</body></html>\n"));
}

/* Of two that are liked the same: which one is named first? */
static bool
is_named_first(struct str accept, struct str type, struct str other)
{
	struct str item;

	while (str_list_next(&accept, &item)) {
		item = str_trim(str_from(item.p, str_find(item, ';')));
		if (str_eq_nocase(item, type))
			return true;
		if (str_eq_nocase(item, other))
			return false;
	}
	return false;
}

/* RFC 9110 12.5.1, of types that are named: a wildcard takes our default.
 * Problem documents are for errors alone, so who names them beside JSON means
 * them for these. */
static enum error_form
error_choose(const struct request *r)
{
	const struct str json = STR("application/json");
	const struct str page = STR("text/html");
	struct str accept = request_get(r, FIELD_ACCEPT);
	int likes_json = accept_quality(accept, json);
	int likes_page = accept_quality(accept, page);
	int likes_problem = accept_quality(accept,
	    STR("application/problem+json"));

	if (likes_problem > 0 && likes_problem >= likes_json &&
	    likes_problem >= likes_page)
		return ERROR_PROBLEM;
	if (likes_page > likes_json)
		return likes_page > 0 ? ERROR_PAGE : ERROR_JSON;
	if (likes_page > 0 && likes_page == likes_json &&
	    is_named_first(accept, page, json))
		return ERROR_PAGE;
	return ERROR_JSON;
}

static struct str
error_render(struct request *r, const struct lane_problem *p, struct buf *out)
{
	switch (error_choose(r)) {
	case ERROR_PAGE:
		render_page(r, p, out);
		return STR("text/html; charset=utf-8");
	case ERROR_PROBLEM:
		render_problem(r, p, out);
		return STR("application/problem+json");
	case ERROR_JSON:
		break;
	}
	render_json(r, p, out);
	return STR("application/json");
}

static int
error_retry_after(struct request *r, int seconds)
{
	struct str text;

	if (seconds <= 0)
		return 0;
	text = arena_printf(&r->arena, "%d", seconds);
	return text.p == NULL ? -1 :
	    response_set(r, STR("Retry-After"), text);
}

/* The operator's pages are no module's business. */
static bool
error_is_shaped(struct request *r, const struct lane_problem *p)
{
	return r->conn->service != SERVICE_ADMIN && module_shape_error(r, p);
}

int
response_render_error(struct request *r)
{
	struct lane_problem problem;
	struct str type;
	struct buf *out;

	request_give_id(r);
	problem_of(r, &problem);
	if (error_retry_after(r, problem.retry_after_s) == -1)
		return -1;
	if (error_is_shaped(r, &problem))
		return 0;
	/* What a module has begun to say. */
	response_remove(r, STR("Content-Type"));
	out = arena_alloc(&r->arena, sizeof(*out));
	if (out == NULL)
		return -1;
	buf_init(out, 0);
	if (arena_defer(&r->arena, free_text, out) == -1)
		return -1;
	type = error_render(r, &problem, out);
	if (buf_failed(out))
		return -1;
	return response_text(r, problem.status, type, buf_str(out)) > 0 ?
	    0 : -1;
}
