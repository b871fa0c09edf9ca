/* SPDX-License-Identifier: MIT */
/* The next version of another module: its "ok" answers 202. */
#include <corelane/corelane.h>

static int
other_ok(struct lane_ctx *c)
{
	(void)c;
	return 202;
}

static const struct lane_route routes[] = {
	{.name = "ok", .path = "/life", .run = other_ok},
	{.name = NULL},
};

LANE_MODULE(.name = "other", .routes = routes);
