/* SPDX-License-Identifier: MIT */
/*
 * "openapi": what the public service answers to, as an OpenAPI document.
 *
 * Owns nothing.  Here: the request.  Not here: the document (openapi.c).
 * Context: the loop's thread.
 */
#include <errno.h>

#include "server/handler.h"
#include "server/handlers/report.h"
#include "server/openapi.h"

static int
openapi_run(struct request *r, const void *state)
{
	struct buf b;

	buf_init(&b, 0);
	if (openapi_print(r->srv, &b) == -1) {
		buf_done(&b);
		return -ENOMEM;
	}
	return report_send(r, 200, STR("application/json"), &b);
}

const struct handler handler_openapi = {
	.name = "openapi",
	.methods = METHOD_BIT(METHOD_GET),
	.run = openapi_run,
};
