/* SPDX-License-Identifier: MIT */
/*
 * "headers": response fields as the operator wants them: first some are
 * removed, then some replaced, then some added.
 *
 * Owns nothing: names and values are the configuration's, checked at setup.
 * Here: fields of complete responses, errors included.  Not here: fields of
 * requests.
 * Context: the loop's thread.
 */
#include <stdlib.h>

#include "server/middleware.h"

struct headers {
	const struct config_fields *set, *add;
	const struct config_strings *remove;
};

static int
headers_check(const struct config_fields *fields, const char *key,
    struct error *err)
{
	size_t i;

	for (i = 0; i < fields->count; i++) {
		const struct config_field *f = &fields->item[i];

		if (!is_token(f->name) || !is_field_value(f->value))
			return error_set(err, ERROR_INVALID,
			    "%s: '%.*s' can't be sent: a name is a token and a "
			    "value has no control bytes", key,
			    STR_FMT(f->name));
		if (field_is_reserved(f->name))
			return error_set(err, ERROR_INVALID,
			    "%s: %.*s is set by the server", key,
			    STR_FMT(f->name));
	}
	return 0;
}

static int
headers_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct headers *st;

	if (headers_check(&cfg->headers.set, "set", err) == -1 ||
	    headers_check(&cfg->headers.add, "add", err) == -1)
		return -1;
	if ((st = calloc(1, sizeof(*st))) == NULL)
		return error_nomem(err, "middleware");
	st->set = &cfg->headers.set;
	st->add = &cfg->headers.add;
	st->remove = &cfg->headers.remove;
	*ret_state = st;
	return 0;
}

/* Where there is no memory for a field the response goes without it. */
static void
headers_after(struct request *r, const void *state)
{
	const struct headers *st = state;
	size_t i;

	for (i = 0; i < st->remove->count; i++)
		response_remove(r, st->remove->item[i]);
	for (i = 0; i < st->set->count; i++) {
		response_remove(r, st->set->item[i].name);
		(void)response_add_checked(r, st->set->item[i].name,
		    st->set->item[i].value);
	}
	for (i = 0; i < st->add->count; i++)
		(void)response_add_checked(r, st->add->item[i].name,
		    st->add->item[i].value);
}

const struct middleware middleware_headers = {
	.name = "headers",
	.setup = headers_setup,
	.teardown = free,
	.after = headers_after,
};
