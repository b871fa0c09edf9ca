/* SPDX-License-Identifier: MIT */
/*
 * "security_headers": the fields by which a site tells browsers to be strict.
 *
 * Owns the list of those that are not empty; the values are the
 * configuration's, checked at setup.
 * Here: constant fields of every response.  Not here: CORS (cors.c), fields of
 * the operator's own (headers.c).
 * Context: the loop's thread.
 */
#include <errno.h>
#include <stdlib.h>

#include "server/middleware.h"

#define SECURITY_FIELDS_MAX 6

struct security_headers {
	size_t count;
	struct response_field field[SECURITY_FIELDS_MAX];
};

static int
security_headers_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	const struct response_field all[SECURITY_FIELDS_MAX] = {
		{STR("X-Content-Type-Options"),
		    cfg->security_headers.content_type_options},
		{STR("X-Frame-Options"), cfg->security_headers.frame_options},
		{STR("X-XSS-Protection"), cfg->security_headers.xss_protection},
		{STR("Strict-Transport-Security"),
		    cfg->security_headers.strict_transport_security},
		{STR("Content-Security-Policy"),
		    cfg->security_headers.content_security_policy},
		{STR("Referrer-Policy"), cfg->security_headers.referrer_policy},
	};
	struct security_headers *st = calloc(1, sizeof(*st));
	size_t i;

	if (st == NULL)
		return error_nomem(err, "middleware");
	for (i = 0; i < SECURITY_FIELDS_MAX; i++) {
		if (!is_field_value(all[i].value)) {
			free(st);
			return error_set(err, ERROR_INVALID,
			    "%.*s: the value has control bytes",
			    STR_FMT(all[i].name));
		}
		if (all[i].value.len > 0)
			st->field[st->count++] = all[i];
	}
	*ret_state = st;
	return 0;
}

static int
security_headers_before(struct request *r, const void *state)
{
	const struct security_headers *st = state;
	size_t i;

	for (i = 0; i < st->count; i++)
		if (response_add_checked(r, st->field[i].name,
		    st->field[i].value) == -1)
			return -ENOMEM;
	return REQUEST_NEXT;
}

const struct middleware middleware_security_headers = {
	.name = "security_headers",
	.setup = security_headers_setup,
	.teardown = free,
	.before = security_headers_before,
};
