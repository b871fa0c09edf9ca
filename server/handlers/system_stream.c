/* SPDX-License-Identifier: MIT */
/*
 * "system_stream".
 *
 * Context: the loop's thread.
 */
#include "server/handler.h"

static int
system_stream_run(struct request *r, const void *state)
{
	return response_error(r, 501, "not there yet");
}

const struct handler handler_system_stream = {
	.name = "system_stream",
	.methods = METHOD_BIT(METHOD_GET),
	.run = system_stream_run,
};
