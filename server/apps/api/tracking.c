/* SPDX-License-Identifier: MIT */
/*
 * Middleware of the module: "api.tracking" tells the server's counts in each
 * answer, "api.logging" writes a line at a request's start and one at its end.
 *
 * Owns nothing.  Context: a worker's loop.
 */
#include "api.h"

#define START_ATTR "api.start_ms"

static void
tracking_set(struct lane_ctx *c, const char *name, uint64_t n)
{
	struct lane_str text = lane_format(c, "%llu", (unsigned long long)n);

	if (text.p != NULL)
		(void)lane_set(c, name, text);
}

void
tracking_after(struct lane_ctx *c)
{
	struct lane_figures now;

	lane_figures(c, &now);
	tracking_set(c, "X-Active-Connections", now.connections_active);
	tracking_set(c, "X-Total-Requests", now.requests);
}

static enum lane_log_level
logging_level(struct lane_ctx *c)
{
	return lane_str_eq(lane_option(c, "level").u.s, LANE_STR("info"))
	    ? LANE_INFO : LANE_DEBUG;
}

int
logging_before(struct lane_ctx *c)
{
	lane_log(c, logging_level(c), "%.*s %.*s from %.*s, %.*s",
	    LANE_FMT(lane_method(c)), LANE_FMT(lane_path(c)),
	    LANE_FMT(lane_peer(c)), LANE_FMT(lane_header(c, "User-Agent")));
	tracking_set(c, "X-Request-Start", (uint64_t)lane_time_s(c));
	return lane_attr_set(c, START_ATTR, lane_int(lane_now_ms(c)));
}

void
logging_after(struct lane_ctx *c)
{
	int64_t start_ms;

	if (!lane_attr_int(c, START_ATTR, &start_ms))
		return;
	lane_log(c, logging_level(c), "%.*s %.*s: %d in %lld ms",
	    LANE_FMT(lane_method(c)), LANE_FMT(lane_path(c)),
	    lane_response_status(c), (long long)(lane_now_ms(c) - start_ms));
}
