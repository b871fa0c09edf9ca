/* SPDX-License-Identifier: MIT */
/*
 * The content of error responses: JSON, or a small page for a person.
 *
 *	{"error":{"code":"NOT_FOUND","message":"no such resource",
 *	          "request_id":"..."}}
 *
 * The message is the literal reason of the code that refused; internal detail
 * is the log's, under the same id.
 * Context: a worker's loop.  pipeline.c -> [error_page.c]
 */
#include <errno.h>

#include "common/buf.h"
#include "server/request.h"

static void
free_text(void *ptr)
{
	struct buf *b = ptr;

	buf_done(b);
}

static void
render_json(struct request *r, struct str message, struct buf *out)
{
	buf_add(out, STR("{\"error\":{\"code\":\""));
	buf_add(out, status_word(r->res.status));
	buf_add(out, STR("\",\"message\":"));
	buf_add_json(out, message);
	if (r->id.p != NULL) {
		buf_add(out, STR(",\"request_id\":"));
		buf_add_json(out, r->id);
	}
	buf_add(out, STR("}}\n"));
}

static void
render_page(struct request *r, struct str message, struct buf *out)
{
	struct str title = status_reason(r->res.status);

	buf_printf(out, "<!doctype html>\n<html lang=\"en\"><head>"
	    "<meta charset=\"utf-8\"><title>%d %.*s</title></head>\n"
	    "<body><h1>%d %.*s</h1>\n<p>", r->res.status, STR_FMT(title),
	    r->res.status, STR_FMT(title));
	buf_add_html(out, message);
	buf_add(out, STR(".</p>\n"));
	if (r->id.p != NULL) {
		buf_add(out, STR("<p>Request <code>"));
		buf_add_html(out, r->id);
		buf_add(out, STR("</code></p>\n"));
	}
	buf_add(out, STR("</body></html>\n"));
}

/* Whether the client would rather have a page: text/html named in Accept, and
 * not behind JSON (RFC 9110 12.5.1, without weighing fractions). */
static bool
wants_page(const struct request *r)
{
	struct str accept = request_get(r, FIELD_ACCEPT), item;

	while (str_list_next(&accept, &item)) {
		item = str_trim(str_from(item.p, str_find(item, ';')));
		if (str_eq_nocase(item, STR("text/html")))
			return true;
		if (str_eq_nocase(item, STR("application/json")))
			return false;
	}
	return false;
}

int
response_render_error(struct request *r)
{
	struct str message = str_of(r->res.reason);
	struct str type = STR("application/json");
	struct buf *out;
	int status = r->res.status;

	if (message.p == NULL)
		message = status_reason(status);
	request_give_id(r);
	out = arena_alloc(&r->arena, sizeof(*out));
	if (out == NULL)
		return -1;
	buf_init(out, 0);
	if (arena_defer(&r->arena, free_text, out) == -1)
		return -1;
	if (wants_page(r)) {
		type = STR("text/html; charset=utf-8");
		render_page(r, message, out);
	} else {
		render_json(r, message, out);
	}
	if (buf_failed(out))
		return -1;
	return response_text(r, status, type, buf_str(out)) > 0 ? 0 : -1;
}
