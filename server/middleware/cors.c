/* SPDX-License-Identifier: MIT */
/*
 * "cors": tells browsers which foreign pages may read responses (Fetch 3.3).
 *
 * A preflight of an allowed origin is answered here, with 204.  Every other
 * request goes on; where its origin is allowed the response says so.  A foreign
 * origin's request isn't stopped, since its page can't read the response; but
 * its preflight is refused with 403: browsers need only the absent fields, the
 * person who reads the network panel needs a word.
 *
 * Owns the texts joined at setup; origins are the configuration's.
 * Here: CORS.  Not here: automatic OPTIONS (pipeline.c).
 * Context: the loop's thread.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/buf.h"
#include "server/middleware.h"

struct cors {
	const struct config_strings *origins;
	bool any_origin, any_header, any_method, credentials;
	struct buf methods, headers, expose, max_age;
};

static bool
strings_have(const struct config_strings *list, struct str s)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (str_eq(list->item[i], s))
			return true;
	return false;
}

/* "a, b, c"; every item must be a token. */
static int
cors_join(const struct config_strings *list, const char *key, struct buf *out,
    struct error *err)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (!is_token(list->item[i]))
			return error_set(err, ERROR_INVALID,
			    "%s: '%.*s' has bytes that no name may have", key,
			    STR_FMT(list->item[i]));
		buf_add(out, i > 0 ? STR(", ") : STR(""));
		buf_add(out, list->item[i]);
	}
	return buf_failed(out) ? error_nomem(err, "middleware") : 0;
}

/* scheme "://" host [":" port], as browsers send it (RFC 6454 6.2). */
static int
cors_check_origin(struct str origin, struct error *err)
{
	struct str rest = origin;
	size_t i, at = str_find(origin, ':');

	if (at == 0 || origin.len < at + 4 ||
	    memcmp(origin.p + at, "://", 3) != 0)
		return error_set(err, ERROR_INVALID,
		    "origins: '%.*s' must be like \"https://example.com\"",
		    STR_FMT(origin));
	rest.p += at + 3;
	rest.len -= at + 3;
	if (str_find(rest, '/') < rest.len)
		return error_set(err, ERROR_INVALID,
		    "origins: '%.*s' is more than an origin: write '%.*s'",
		    STR_FMT(origin), (int)(at + 3 + str_find(rest, '/')),
		    origin.p);
	for (i = 0; i < origin.len; i++)
		if (origin.p[i] <= ' ' || origin.p[i] == 0x7f ||
		    (origin.p[i] >= 'A' && origin.p[i] <= 'Z'))
			return error_set(err, ERROR_INVALID,
			    "origins: '%.*s': browsers send lower case",
			    STR_FMT(origin));
	return 0;
}

static int
cors_check(const struct config_middleware *cfg, struct error *err)
{
	const struct config_strings *origins = &cfg->cors.origins;
	size_t i;

	/* Fetch 3.3.5 forbids it, and to echo any origin instead would open
	 * every session of every user to every page. */
	if (cfg->cors.credentials && strings_have(origins, STR("*")))
		return error_set(err, ERROR_INVALID,
		    "credentials can't be shared with any origin: name the "
		    "origins instead of \"*\"");
	for (i = 0; i < origins->count; i++)
		if (!str_eq(origins->item[i], STR("*")) &&
		    cors_check_origin(origins->item[i], err) == -1)
			return -1;
	return 0;
}

static void
cors_teardown(void *state)
{
	struct cors *st = state;

	if (st == NULL)
		return;
	buf_done(&st->methods);
	buf_done(&st->headers);
	buf_done(&st->expose);
	buf_done(&st->max_age);
	free(st);
}

static int
cors_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct cors *st;

	if (cors_check(cfg, err) == -1)
		return -1;
	if ((st = calloc(1, sizeof(*st))) == NULL)
		return error_nomem(err, "middleware");
	st->origins = &cfg->cors.origins;
	st->any_origin = strings_have(st->origins, STR("*"));
	st->any_header = strings_have(&cfg->cors.headers, STR("*"));
	st->any_method = strings_have(&cfg->cors.methods, STR("*"));
	st->credentials = cfg->cors.credentials;
	buf_printf(&st->max_age, "%lld", (long long)cfg->cors.max_age_s);
	if (cors_join(&cfg->cors.methods, "methods", &st->methods, err) == -1 ||
	    cors_join(&cfg->cors.headers, "headers", &st->headers, err) == -1 ||
	    cors_join(&cfg->cors.expose, "expose", &st->expose, err) == -1) {
		cors_teardown(st);
		return -1;
	}
	*ret_state = st;
	return 0;
}

/* What Allow-Origin says, from the configuration and never from the client;
 * .p NULL: not allowed. */
static struct str
cors_allowed_origin(const struct cors *st, struct str origin)
{
	size_t i;

	if (st->any_origin)
		return STR("*");
	for (i = 0; i < st->origins->count; i++)
		if (str_eq(st->origins->item[i], origin))
			return st->origins->item[i];
	return str_from(NULL, 0);
}

static int
cors_add(struct request *r, struct str name, struct str value)
{
	return value.len > 0 ? response_add_checked(r, name, value) : 0;
}

static int
cors_add_origin(struct request *r, const struct cors *st, struct str allowed)
{
	if (cors_add(r, STR("Access-Control-Allow-Origin"), allowed) == -1)
		return -1;
	return cors_add(r, STR("Access-Control-Allow-Credentials"),
	    st->credentials ? STR("true") : STR(""));
}

/* With "*" what was asked for is allowed by name: the wildcard itself doesn't
 * cover Authorization, nor anything with credentials (Fetch 3.3.3). */
static struct str
cors_list(struct request *r, bool any, const struct buf *list,
    enum field_id asked)
{
	struct str sent = request_get(r, asked);

	if (!any)
		return buf_str(list);
	return sent.len > 0 ? arena_copy(&r->arena, sent) : STR("");
}

static int
cors_preflight(struct request *r, const struct cors *st, struct str allowed)
{
	struct str methods = cors_list(r, st->any_method, &st->methods,
	    FIELD_CORS_METHOD);
	struct str headers = cors_list(r, st->any_header, &st->headers,
	    FIELD_CORS_HEADERS);

	if (response_add_checked(r, STR("Vary"),
	    STR("Origin, Access-Control-Request-Method, "
		"Access-Control-Request-Headers")) == -1)
		return -ENOMEM;
	if (str_is_null(allowed))
		return response_error(r, 403, "this origin is not allowed");
	if (cors_add_origin(r, st, allowed) == -1 ||
	    cors_add(r, STR("Access-Control-Allow-Methods"), methods) == -1 ||
	    cors_add(r, STR("Access-Control-Allow-Headers"), headers) == -1 ||
	    cors_add(r, STR("Access-Control-Max-Age"),
		buf_str(&st->max_age)) == -1)
		return -ENOMEM;
	return response_empty(r, 204);
}

static int
cors_before(struct request *r, const void *state)
{
	const struct cors *st = state;
	struct str origin = request_get(r, FIELD_ORIGIN);
	struct str allowed = cors_allowed_origin(st, origin);

	if (!str_is_null(origin) && r->head->method == METHOD_OPTIONS &&
	    !str_is_null(request_get(r, FIELD_CORS_METHOD)))
		return cors_preflight(r, st, allowed);
	/* Also without Origin: a cache mustn't give this response to a request
	 * that has one (Fetch 3.3.5). */
	if (!st->any_origin && response_vary(r, STR("Origin")) == -1)
		return -ENOMEM;
	if (str_is_null(origin) || str_is_null(allowed))
		return REQUEST_NEXT;
	if (cors_add_origin(r, st, allowed) == -1 ||
	    cors_add(r, STR("Access-Control-Expose-Headers"),
		buf_str(&st->expose)) == -1)
		return -ENOMEM;
	return REQUEST_NEXT;
}

const struct middleware middleware_cors = {
	.name = "cors",
	.setup = cors_setup,
	.teardown = cors_teardown,
	.before = cors_before,
};
