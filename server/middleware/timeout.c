/* SPDX-License-Identifier: MIT */
/*
 * "timeout": how long a handler may take before its client gets an error
 * instead.
 *
 * Owns nothing beyond its settings.
 * Here: the deadline.  Not here: what happens when it is over (pipeline.c), and
 * the timeouts of reading and writing (conn.c).
 * Context: the loop's thread.
 */
#include <errno.h>
#include <stdlib.h>

#include "server/internal.h"
#include "server/middleware.h"

struct timeout {
	uint64_t after_ms;		/* 0: none */
	int status;
};

static int
timeout_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	int64_t after_ms = cfg->timeout.after_ms;
	struct timeout *st = calloc(1, sizeof(*st));

	if (st == NULL)
		return error_nomem(err, "middleware");
	if (after_ms == CONFIG_AUTO)
		after_ms = server_config(srv)->timeouts.request_ms;
	st->after_ms = (uint64_t)after_ms;
	st->status = cfg->timeout.status;
	*ret_state = st;
	return 0;
}

static int
timeout_before(struct request *r, const void *state)
{
	const struct timeout *st = state;

	if (st->after_ms > 0 &&
	    request_set_deadline(r, st->after_ms, st->status) == -1)
		return -ENOMEM;
	return REQUEST_NEXT;
}

const struct middleware middleware_timeout = {
	.name = "timeout",
	.setup = timeout_setup,
	.teardown = free,
	.before = timeout_before,
};
