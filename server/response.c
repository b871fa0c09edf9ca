/* SPDX-License-Identifier: MIT */
/*
 * Responses: status, fields and content, until http1_send.c takes them over.
 *
 * Owns nothing: everything is in the request's arena or outlives it.
 * Invariant: no field can be made whose bytes would end it, or the head, early.
 * Here: building.  Not here: sending.
 * Context: a worker's loop.
 */
#include <errno.h>
#include <unistd.h>

#include "server/conn.h"
#include "server/internal.h"
#include "server/request.h"
#include "server/session.h"

static __attribute__((noinline, cold)) int
fields_grow(struct request *r)
{
	struct response *res = &r->res;
	struct response_field *bigger;

	if (res->field_cap > UINT16_MAX / 2)
		return -1;
	bigger = arena_alloc(&r->arena, 2u * res->field_cap * sizeof(*bigger));
	if (bigger == NULL)
		return -1;
	memcpy(bigger, res->fields, res->field_count * sizeof(*bigger));
	res->fields = bigger;
	res->field_cap = (uint16_t)(2 * res->field_cap);
	return 0;
}

int
response_add_checked(struct request *r, struct str name, struct str value)
{
	struct response *res = &r->res;

	if (res->field_count == res->field_cap && fields_grow(r) == -1)
		return -1;
	res->fields[res->field_count++] = (struct response_field){name, value};
	return 0;
}

static bool
is_sendable(struct str name, struct str value)
{
	return is_token(name) && is_field_value(value) &&
	    !field_is_reserved(name);
}

int
response_add(struct request *r, struct str name, struct str value)
{
	if (!is_sendable(name, value))
		return -1;
	return response_add_checked(r, name, value);
}

void
response_remove(struct request *r, struct str name)
{
	struct response *res = &r->res;
	unsigned from, to = 0, base = res->field_base;

	for (from = 0; from < res->field_count; from++) {
		if (str_eq_nocase(res->fields[from].name, name))
			base -= from < res->field_base;
		else
			res->fields[to++] = res->fields[from];
	}
	res->field_count = (uint16_t)to;
	res->field_base = (uint16_t)base;
}

int
response_set(struct request *r, struct str name, struct str value)
{
	if (!is_sendable(name, value))
		return -1;
	response_remove(r, name);
	return response_add_checked(r, name, value);
}

struct str
response_find(const struct request *r, struct str name)
{
	const struct response *res = &r->res;
	unsigned i;

	for (i = 0; i < res->field_count; i++) {
		if (str_eq_nocase(res->fields[i].name, name))
			return res->fields[i].value;
	}
	return str_from(NULL, 0);
}

int
response_vary(struct request *r, struct str token)
{
	struct str old = response_find(r, STR("Vary")), both;

	if (old.p == NULL)
		return response_add_checked(r, STR("Vary"), token);
	if (str_list_has(old, token) || str_eq(old, STR("*")))
		return 0;
	both = arena_printf(&r->arena, "%.*s, %.*s", STR_FMT(old),
	    STR_FMT(token));
	if (both.p == NULL)
		return -1;
	return response_set(r, STR("Vary"), both);
}

void
response_drop_content(struct response *res)
{
	enum content_kind kind = res->kind;

	res->kind = CONTENT_NONE;
	if (kind == CONTENT_SOURCE && res->source->stop != NULL)
		res->source->stop(res->source);
	else if (kind == CONTENT_UPGRADE)
		res->session->kind->closed(res->session,
		    "never opened: answered otherwise");
	res->length = 0;
	res->is_error = false;
	res->trailers = str_from(NULL, 0);
}

void
response_reset(struct request *r)
{
	response_drop_content(&r->res);
	if (r->res.field_base < r->res.field_count)
		r->res.field_count = r->res.field_base;
	r->res.status = 0;
}

/* Starts the response over with a status and a media type. */
static int
response_start(struct request *r, int status, struct str type)
{
	response_drop_content(&r->res);
	r->res.status = status;
	if (type.p != NULL &&
	    response_add_checked(r, STR("Content-Type"), type) == -1)
		return -ENOMEM;
	return status;
}

int
response_empty(struct request *r, int status)
{
	return response_start(r, status, str_from(NULL, 0));
}

static int
response_slice(struct request *r, int status, struct str type, struct str text)
{
	int res;

	if (text.p == NULL && text.len > 0)
		return -ENOMEM;
	res = response_start(r, status, type);
	r->res.slice = text;
	r->res.length = text.len;
	return res;
}

int
response_text(struct request *r, int status, struct str type, struct str text)
{
	int res;

	/* A failed arena_printf() ends here. */
	if (text.p == NULL)
		return -ENOMEM;
	res = response_slice(r, status, type, text);
	r->res.kind = CONTENT_ARENA;
	return res;
}

int
response_static(struct request *r, int status, struct str type,
    struct str text)
{
	int res = response_slice(r, status, type, text);

	r->res.kind = CONTENT_STATIC;
	return res;
}

static void
file_close(void *ptr)
{
	close((int)(intptr_t)ptr);
}

int
response_file_lent(struct request *r, int status, struct str type,
    const struct file_range *range)
{
	int res = response_start(r, status, type);

	r->res.kind = CONTENT_FILE;
	r->res.file.fd = range->fd;
	r->res.file.offset = range->offset;
	r->res.length = range->length;
	return res;
}

int
response_file(struct request *r, int status, struct str type,
    const struct file_range *range)
{
	if (arena_defer(&r->arena, file_close,
	    (void *)(intptr_t)range->fd) == -1)
		return -ENOMEM;
	return response_file_lent(r, status, type, range);
}

int
response_source(struct request *r, int status, struct str type,
    struct source *source, uint64_t length)
{
	int res = response_start(r, status, type);

	r->res.kind = CONTENT_SOURCE;
	r->res.source = source;
	r->res.length = length;
	return res;
}

int
response_error(struct request *r, int status, const char *reason)
{
	response_drop_content(&r->res);
	r->res.status = status;
	r->res.reason = reason;
	r->res.problem = NULL;
	r->res.is_error = true;
	return status;
}

int
response_redirect(struct request *r, int status, struct str location)
{
	int res = response_empty(r, status);

	if (response_set(r, STR("Location"), location) == -1)
		return -EINVAL;
	return res;
}

void
response_wake(struct request *r)
{
	if (!r->is_source_waiting)
		return;
	r->is_source_waiting = false;
	conn_queue(r->conn);
}
