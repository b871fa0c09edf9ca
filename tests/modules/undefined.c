/* SPDX-License-Identifier: MIT */
/* A module that calls what this server doesn't have. */
#include <corelane/corelane.h>

int lane_from_the_future(struct lane_ctx *c);

static const struct lane_route routes[] = {
	{.name = "future", .path = "/future", .run = lane_from_the_future},
	{.name = NULL},
};

LANE_MODULE(.name = "undefined", .routes = routes);
