/* SPDX-License-Identifier: MIT */
/*
 * "ready": whether a balancer should send work here; 503 and the reason while
 * the server drains or can't serve.
 *
 * Owns nothing.  Here: the answer.  Not here: the decision (server_ops).
 * Context: the loop's thread.
 */
#include "server/handler.h"
#include "server/handlers/report.h"
#include "server/internal.h"

static int
ready_run(struct request *r, const void *state)
{
	const struct server_ops *ops = server_get_ops(r->srv);
	const char *reason = NULL;
	struct buf b;

	if (ops->is_ready(ops->ctx, &reason))
		return report_send_static(r, 200, STR("application/json"),
		    STR("{\"status\":\"ready\"}"));
	buf_init(&b, 0);
	buf_add(&b, STR("{\"status\":\"unavailable\",\"reason\":"));
	buf_add_json(&b, str_of(reason != NULL ? reason : "not ready"));
	buf_add_byte(&b, '}');
	return report_send(r, 503, STR("application/json"), &b);
}

const struct handler handler_ready = {
	.name = "ready",
	.methods = METHOD_BIT(METHOD_GET),
	.run = ready_run,
};
