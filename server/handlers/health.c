/* SPDX-License-Identifier: MIT */
/*
 * "health": whether this process is alive.  That it answers is the answer.
 *
 * Owns nothing.  Here: liveness.  Not here: whether to send it work (ready.c).
 * Context: the loop's thread.
 */
#include "server/handler.h"
#include "server/handlers/report.h"

static int
health_run(struct request *r, const void *state)
{
	return report_send_static(r, 200, STR("application/json"),
	    STR("{\"status\":\"ok\"}"));
}

const struct handler handler_health = {
	.name = "health",
	.methods = METHOD_BIT(METHOD_GET),
	.run = health_run,
};
