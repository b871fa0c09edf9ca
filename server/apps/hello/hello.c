/* SPDX-License-Identifier: MIT */
/*
 * The smallest module: GET /hello/Ada says "Hello, Ada!".
 *
 * Owns nothing.  Here: all of it.  Context: a worker's loop.
 */
#include <corelane/corelane.h>

static int
hello(struct lane_ctx *c)
{
	return lane_printf(c, 200, "text/plain; charset=utf-8",
	    "Hello, %.*s!\n", LANE_FMT(lane_param(c, "name")));
}

static const struct lane_route routes[] = {
	{.name = "hello", .methods = "GET", .path = "/hello/{name}",
	    .run = hello, .summary = "Greets by name"},
	{0},
};

LANE_MODULE(.name = "hello", .routes = routes);
