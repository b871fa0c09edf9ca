/* SPDX-License-Identifier: MIT */
/*
 * "ready": whether a balancer should send work here; 503 and the reason while
 * the server drains, can't serve, or a database doesn't answer.
 *
 * Owns nothing.  Here: the answer.  Not here: the decision (server_ops, the
 * databases' drivers).
 * Context: the loop's thread.
 */
#include "server/db/db.h"
#include "server/handler.h"
#include "server/handlers/report.h"
#include "server/internal.h"

/* Why it isn't; NULL: it is.  Formatted text is the request's. */
static const char *
ready_reason(struct request *r)
{
	const struct server_ops *ops = server_get_ops(r->srv);
	const struct db *db = db_set_unready(r->srv->databases);
	const char *reason = NULL;

	if (!ops->is_ready(ops->ctx, &reason))
		return reason != NULL ? reason : "not ready";
	if (db == NULL)
		return NULL;
	reason = arena_printf(&r->arena, "database '%.*s' doesn't answer",
	    STR_FMT(db->config->name))
	    .p;
	return reason != NULL ? reason : "a database doesn't answer";
}

static int
ready_run(struct request *r, const void *state)
{
	const char *reason = ready_reason(r);
	struct buf b;

	if (reason == NULL)
		return report_send_static(r, 200, STR("application/json"),
		    STR("{\"status\":\"ready\"}"));
	buf_init(&b, 0);
	buf_add(&b, STR("{\"status\":\"unavailable\",\"reason\":"));
	buf_add_json(&b, str_of(reason));
	buf_add_byte(&b, '}');
	return report_send(r, 503, STR("application/json"), &b);
}

const struct handler handler_ready = {
	.name = "ready",
	.methods = METHOD_BIT(METHOD_GET),
	.run = ready_run,
};
