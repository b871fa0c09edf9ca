/* SPDX-License-Identifier: MIT */
/*
 * "channel".
 *
 * Context: the loop's thread.
 */
#include "server/handler.h"

static int
channel_run(struct request *r, const void *state)
{
	return response_error(r, 501, "not there yet");
}

const struct handler handler_channel = {
	.name = "channel",
	.methods = METHOD_BIT(METHOD_GET),
	.run = channel_run,
};
