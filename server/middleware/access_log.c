/* SPDX-License-Identifier: MIT */
/*
 * "access_log": which requests of a route are written to the access log.
 *
 * Owns nothing beyond its settings.
 * Here: the choice, noted on the request.  Not here: the log
 * (server/access_log.c).
 * Context: the loop's thread.
 */
#include <stdlib.h>

#include "server/middleware.h"

struct access_rule {
	bool never, errors_only;
	uint32_t slow_ms;
};

static int
access_log_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct access_rule *st = calloc(1, sizeof(*st));
	int64_t slow_ms = cfg->access_log.slow_ms;

	if (st == NULL)
		return error_nomem(err, "middleware");
	st->never = cfg->access_log.when == LOG_NEVER;
	st->errors_only = cfg->access_log.when == LOG_ERRORS;
	st->slow_ms = slow_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)slow_ms;
	*ret_state = st;
	return 0;
}

static int
access_log_before(struct request *r, const void *state)
{
	const struct access_rule *st = state;

	r->log_never = st->never;
	r->log_errors_only = st->errors_only;
	r->log_slow_ms = st->slow_ms;
	return REQUEST_NEXT;
}

const struct middleware middleware_access_log = {
	.name = "access_log",
	.setup = access_log_setup,
	.teardown = free,
	.before = access_log_before,
};
