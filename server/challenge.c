/* SPDX-License-Identifier: MIT */
/*
 * Authorization and WWW-Authenticate (RFC 9110 11).
 *
 * Owns nothing.
 * Here: the fields.  Not here: whether credentials are right.
 * Context: the loop's thread.  middleware/ -> [challenge.c] -> response.c
 */
#include "server/challenge.h"

#include <errno.h>

#include "server/internal.h"

struct str
challenge_find(const struct request *r, struct str scheme)
{
	struct str value = request_get(r, FIELD_AUTHORIZATION);

	if (value.len <= scheme.len || value.p[scheme.len] != ' ' ||
	    !str_eq_nocase(str_from(value.p, scheme.len), scheme))
		return str_from(NULL, 0);
	return str_trim(str_from(value.p + scheme.len,
	    value.len - scheme.len));
}

bool
challenge_is_ambiguous(const struct request *r)
{
	const struct head *h = r->head;
	unsigned i, count = 0;

	for (i = 0; i < h->field_count; i++)
		count += h->fields[i].id == FIELD_AUTHORIZATION;
	return count > 1;
}

int
challenge_refuse(struct request *r, int status, struct str field,
    const char *reason)
{
	r->srv->stats->auth_failures++;
	if (field.p == NULL || response_add_checked(r,
	    STR("WWW-Authenticate"), field) == -1)
		return -ENOMEM;
	return response_error(r, status, reason);
}
