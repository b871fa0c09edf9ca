/* SPDX-License-Identifier: MIT */
/*
 * The content of a request, for modules (<corelane/request.h>).
 *
 *	r->body in the read buffer -> copied at the first look
 *	           in the spool's memory -> as it is
 *	           in the spool's file -> mapped
 *
 * Owns the mapping, until the context's memory goes.  Invariant: what is handed
 * out lives as long as the request, and as long as a pool thread works on it.
 * Here: bytes, JSON, forms.  Not here: reading them from the socket (http1.c).
 * Context: a worker's loop.
 */
#include <errno.h>
#include <sys/mman.h>

#include <cjson/cJSON.h>

#include <corelane/request.h>
#include <corelane/response.h>

#include "server/ctx.h"
#include "server/form.h"
#include "server/json_check.h"
#include "server/media_type.h"
#include "server/request.h"

struct mapping {
	void *p;
	size_t len;
};

static void
mapping_free(void *ptr)
{
	struct mapping *map = ptr;

	munmap(map->p, map->len);
}

/* The spool's file, whole, once; .p NULL: it can't be mapped. */
static struct str
body_map(struct lane_ctx *c)
{
	const struct body *body = &c->request->body;
	struct mapping *map;

	if (c->body_map.p != NULL || body->length == 0 ||
	    body->length > SIZE_MAX)
		return c->body_map;
	map = arena_alloc(c->arena, sizeof(*map));
	if (map == NULL)
		return c->body_map;
	map->len = (size_t)body->length;
	map->p = mmap(NULL, map->len, PROT_READ, MAP_PRIVATE, body->fd, 0);
	if (map->p == MAP_FAILED ||
	    arena_defer(c->arena, mapping_free, map) == -1)
		return c->body_map;
	c->body_map = str_from(map->p, map->len);
	return c->body_map;
}

/* Where it lies now: for what has used it up before the handler returns. */
static struct str
body_peek(struct lane_ctx *c)
{
	if (c->request == NULL)
		return str_from(NULL, 0);
	return c->request->body.fd != -1 ? body_map(c) : c->request->body.data;
}

struct lane_str
lane_body(struct lane_ctx *c)
{
	if (c->request == NULL || request_keep_body(c->request) == -1)
		return (struct lane_str){NULL, 0};
	return lane_of(body_peek(c));
}

uint64_t
lane_body_length(struct lane_ctx *c)
{
	return c->request == NULL ? 0 : c->request->body.length;
}

/* JSON. */

static void
tree_free(void *ptr)
{
	cJSON_Delete(ptr);
}

int
lane_body_json(struct lane_ctx *c, unsigned depth,
    const struct cJSON **ret_tree)
{
	struct str text = body_peek(c);
	struct json_fault fault;
	cJSON *tree;

	if (c->request == NULL)
		return -EINVAL;
	if (!media_type_is_json(request_get(c->request, FIELD_CONTENT_TYPE)))
		return lane_fail(c, 415, "the content must be JSON");
	if (text.p == NULL && c->request->body.length > 0)
		return -ENOMEM;
	if (text.p == NULL)
		text = STR("");
	if (json_check(text, depth > 0 ? depth : JSON_DEPTH_DEFAULT,
	    &fault) == -1)
		return fault.what == NULL ? -ENOMEM
		    : lane_fail(c, 400, "the content isn't JSON: %s at line "
		    "%u, column %u", fault.what, fault.line, fault.column);
	/* What was checked it takes, so that there is but one reason. */
	tree = cJSON_ParseWithLength(text.p, text.len);
	if (tree == NULL || arena_defer(c->arena, tree_free, tree) == -1)
		return -ENOMEM;
	*ret_tree = tree;
	return 0;
}

/* Forms. */

static const struct form *
api_form(struct lane_ctx *c)
{
	struct lane_str content, type;

	if (c->form != NULL || c->request == NULL)
		return c->form;
	content = lane_body(c);
	if (content.p == NULL && lane_body_length(c) > 0)
		return NULL;
	type = lane_header(c, "Content-Type");
	c->form = form_parse(str_of_lane(type), str_of_lane(content),
	    c->arena);
	return c->form;
}

int
lane_form_read(struct lane_ctx *c)
{
	const struct form *form = api_form(c);

	if (c->request == NULL)
		return -EINVAL;
	if (form == NULL)
		return -ENOMEM;
	return form->status == 0 ? 0
	    : lane_fail(c, form->status, "%s", form->what);
}

struct lane_str
lane_form_nth(struct lane_ctx *c, const char *name, unsigned n)
{
	const struct form *form = api_form(c);
	const struct pair *pair = form == NULL ? NULL
	    : query_find(&form->fields, str_of(name), n);

	return lane_of(pair != NULL ? pair->value : str_from(NULL, 0));
}

struct lane_str
lane_form(struct lane_ctx *c, const char *name)
{
	return lane_form_nth(c, name, 0);
}

bool
lane_form_item(struct lane_ctx *c, unsigned index, struct lane_str *ret_name,
    struct lane_str *ret_value)
{
	const struct form *form = api_form(c);

	if (form == NULL || index >= form->fields.count)
		return false;
	*ret_name = lane_of(form->fields.item[index].name);
	*ret_value = lane_of(form->fields.item[index].value);
	return true;
}

bool
lane_upload_item(struct lane_ctx *c, unsigned index,
    struct lane_upload *ret_upload)
{
	const struct form *form = api_form(c);

	if (form == NULL || index >= form->upload_count)
		return false;
	*ret_upload = form->uploads[index];
	return true;
}
