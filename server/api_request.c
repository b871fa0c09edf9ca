/* SPDX-License-Identifier: MIT */
/*
 * Reading a request, for modules (<corelane/request.h>): all but its content.
 *
 * Owns nothing.  Invariant: what is handed out lives as long as the request:
 * the head is the read buffer's while a handler runs, so that slices of it are
 * copied until the request has a head of its own.
 * Here: head, parameters, cookies, attributes.  Not here: content (api_body.c).
 * Context: a worker's loop.
 */
#include "server/api.h"

#include <arpa/inet.h>
#include <errno.h>

#include <corelane/request.h>
#include <corelane/response.h>

#include "server/accept.h"
#include "server/attr.h"
#include "server/conn.h"
#include "server/cookie.h"
#include "server/ctx.h"
#include "server/handler.h"
#include "server/media_type.h"
#include "server/module.h"
#include "server/query.h"
#include "server/request.h"
#include "server/service.h"

static const struct lane_str nothing;

struct lane_str
api_lend(struct lane_ctx *c, struct str s)
{
	if (s.p == NULL || c->request->is_head_kept)
		return lane_of(s);
	return lane_of(arena_copy(c->arena, s));
}

/* The request line. */

struct lane_str
lane_method(struct lane_ctx *c)
{
	return c->request == NULL ? nothing
	    : api_lend(c, c->request->head->method_name);
}

struct lane_str
lane_path(struct lane_ctx *c)
{
	return c->request == NULL ? nothing
	    : api_lend(c, c->request->head->path);
}

struct lane_str
lane_target(struct lane_ctx *c)
{
	return c->request == NULL ? nothing
	    : api_lend(c, c->request->head->target);
}

struct lane_str
lane_query_string(struct lane_ctx *c)
{
	return c->request == NULL ? nothing
	    : api_lend(c, c->request->head->query);
}

struct lane_str
lane_host(struct lane_ctx *c)
{
	return c->request == NULL ? nothing
	    : api_lend(c, c->request->head->authority);
}

int
lane_http_version(struct lane_ctx *c)
{
	return c->request == NULL ? 0 : 10 + c->request->head->minor;
}

struct lane_str
lane_route_pattern(struct lane_ctx *c)
{
	const struct request *r = c->request;

	return r == NULL || r->route == NULL ? nothing
	    : lane_of(r->route->config->path);
}

struct lane_str
lane_handler_name(struct lane_ctx *c)
{
	const struct request *r = c->request;

	if (c->route != NULL)
		return lane_of(c->route->name);
	return r == NULL || r->route == NULL ? nothing
	    : lane_str_of(r->route->handler->name);
}

/* The client. */

struct lane_str
lane_peer(struct lane_ctx *c)
{
	return c->request == NULL ? nothing : lane_of(request_peer(c->request));
}

unsigned
lane_peer_port(struct lane_ctx *c)
{
	return c->request == NULL ? 0 : ntohs(c->request->conn->port);
}

/* Connections are plain TCP or unix sockets: what ends TLS stands in front. */
bool
lane_is_tls(struct lane_ctx *c)
{
	return false;
}

struct lane_str
lane_request_id(struct lane_ctx *c)
{
	if (c->request == NULL)
		return nothing;
	request_give_id(c->request);
	/* A client's own is a slice of the head. */
	return api_lend(c, c->request->id);
}

/* Parameters. */

struct lane_str
lane_param(struct lane_ctx *c, const char *name)
{
	return c->request == NULL ? nothing
	    : api_lend(c, request_param(c->request, str_of(name)));
}

/* The whole of it: an optional minus, decimal digits. */
static bool
int_parse(struct lane_str s, int64_t *ret_value)
{
	bool is_negative = s.len > 0 && s.p[0] == '-';
	uint64_t max = (uint64_t)INT64_MAX + is_negative, u;

	if (is_negative)
		s = (struct lane_str){s.p + 1, s.len - 1};
	if (str_to_u64(str_of_lane(s), &u) == -1 || u > max)
		return false;
	*ret_value = is_negative ? (int64_t)-u : (int64_t)u;
	return true;
}

int
lane_param_int(struct lane_ctx *c, const char *name, int64_t *ret_value)
{
	struct lane_str s = lane_param(c, name);

	if (s.p != NULL && int_parse(s, ret_value))
		return 0;
	return lane_invalid(c, name, "%s", s.p == NULL ? "is missing"
	    : "must be a whole number");
}

static const struct query_list *
api_query(struct lane_ctx *c)
{
	struct lane_str text;

	if (c->query != NULL || c->request == NULL)
		return c->query;
	text = lane_query_string(c);
	c->query = query_parse(str_of_lane(text), c->arena);
	return c->query;
}

static struct lane_str
api_pair_value(const struct query_list *list, const char *name, unsigned n)
{
	const struct pair *pair = list == NULL ? NULL
	    : query_find(list, str_of(name), n);

	return pair == NULL ? nothing : lane_of(pair->value);
}

struct lane_str
lane_query(struct lane_ctx *c, const char *name)
{
	return api_pair_value(api_query(c), name, 0);
}

struct lane_str
lane_query_nth(struct lane_ctx *c, const char *name, unsigned n)
{
	return api_pair_value(api_query(c), name, n);
}

bool
lane_query_item(struct lane_ctx *c, unsigned index, struct lane_str *ret_name,
    struct lane_str *ret_value)
{
	const struct query_list *list = api_query(c);

	if (list == NULL || index >= list->count)
		return false;
	*ret_name = lane_of(list->item[index].name);
	*ret_value = lane_of(list->item[index].value);
	return true;
}

int
lane_query_int(struct lane_ctx *c, const char *name, int64_t fallback,
    int64_t *ret_value)
{
	struct lane_str s = lane_query(c, name);

	if (s.p == NULL)
		*ret_value = fallback;
	else if (!int_parse(s, ret_value))
		return lane_invalid(c, name, "must be a whole number");
	return 0;
}

/* Fields. */

struct lane_str
lane_header(struct lane_ctx *c, const char *name)
{
	return c->request == NULL ? nothing
	    : api_lend(c, request_field(c->request, str_of(name)));
}

struct lane_str
lane_header_nth(struct lane_ctx *c, const char *name, unsigned n)
{
	const struct head *h;
	unsigned i;

	if (c->request == NULL)
		return nothing;
	h = c->request->head;
	for (i = 0; i < h->field_count; i++) {
		if (str_eq_nocase(h->fields[i].name, str_of(name)) && n-- == 0)
			return api_lend(c, h->fields[i].value);
	}
	return nothing;
}

bool
lane_header_item(struct lane_ctx *c, unsigned index, struct lane_str *ret_name,
    struct lane_str *ret_value)
{
	const struct head *h = c->request != NULL ? c->request->head : NULL;
	struct lane_str name, value;

	if (h == NULL || index >= h->field_count)
		return false;
	name = api_lend(c, h->fields[index].name);
	value = api_lend(c, h->fields[index].value);
	if (name.p == NULL || value.p == NULL)
		return false;
	*ret_name = name;
	*ret_value = value;
	return true;
}

struct lane_str
lane_cookie(struct lane_ctx *c, const char *name)
{
	const struct head *h = c->request != NULL ? c->request->head : NULL;
	struct str value;
	unsigned i;

	for (i = 0; h != NULL && i < h->field_count; i++) {
		if (h->fields[i].id != FIELD_COOKIE)
			continue;
		value = cookie_find(h->fields[i].value, str_of(name));
		if (value.p != NULL)
			return api_lend(c, value);
	}
	return nothing;
}

/* The weight of a media type, of the most specific range that names it
 * (RFC 9110 12.5.1): itself, "text" and all of it, or everything. */
static int
accept_weight(struct str accept, struct str type)
{
	size_t slash = str_find(type, '/');
	struct str item, rest = accept, head;
	int weight = accept_quality(accept, type);

	if (weight != -1)
		return weight;
	while (str_list_next(&rest, &item)) {
		if (!str_cut(&item, ';', &head))
			continue;
		head = str_trim(head);
		if (head.len == slash + 2 && head.p[slash + 1] == '*' &&
		    str_eq_nocase(str_from(head.p, slash + 1),
		    str_from(type.p, slash + 1)))
			return accept_quality(accept, head);
	}
	return accept_quality(accept, STR("*/*"));
}

int
lane_accepts(struct lane_ctx *c, const char *const *types, unsigned count)
{
	struct str accept = c->request == NULL ? str_from(NULL, 0)
	    : request_get(c->request, FIELD_ACCEPT);
	int best = -1, best_weight = 0, weight;
	unsigned i;

	/* RFC 9110 12.5.1: none said is anything. */
	if (accept.p == NULL)
		return count > 0 ? 0 : -1;
	for (i = 0; i < count; i++) {
		weight = accept_weight(accept, str_of(types[i]));
		if (weight > best_weight) {
			best = (int)i;
			best_weight = weight;
		}
	}
	return best;
}

bool
lane_has_type(struct lane_ctx *c, const char *type)
{
	return c->request != NULL && media_type_is(
	    request_get(c->request, FIELD_CONTENT_TYPE), str_of(type));
}

/* Attributes. */

int
lane_attr_set(struct lane_ctx *c, const char *name, struct lane_value value)
{
	if (c->request == NULL || value.kind == LANE_POINTER)
		return -EINVAL;
	return attr_set(&c->request->attrs, c->arena, str_of(name), value);
}

struct lane_value
lane_attr(struct lane_ctx *c, const char *name)
{
	return c->request == NULL ? lane_null()
	    : attr_get(c->request->attrs, str_of(name));
}

bool
lane_attr_int(struct lane_ctx *c, const char *name, int64_t *ret_value)
{
	struct lane_value v = lane_attr(c, name);

	if (v.kind != LANE_INT)
		return false;
	*ret_value = v.u.i;
	return true;
}

struct lane_str
lane_attr_text(struct lane_ctx *c, const char *name)
{
	struct lane_value v = lane_attr(c, name);

	return v.kind == LANE_TEXT ? v.u.s : nothing;
}

int
lane_attr_set_pointer(struct lane_ctx *c, const char *name, const void *type,
    void *p)
{
	struct lane_value v = {.kind = LANE_POINTER};

	if (c->request == NULL)
		return -EINVAL;
	v.u.ptr.p = p;
	v.u.ptr.type = type;
	return attr_set(&c->request->attrs, c->arena, str_of(name), v);
}

void *
lane_attr_pointer(struct lane_ctx *c, const char *name, const void *type)
{
	struct lane_value v = lane_attr(c, name);

	return v.kind == LANE_POINTER && v.u.ptr.type == type ? v.u.ptr.p
	    : NULL;
}
