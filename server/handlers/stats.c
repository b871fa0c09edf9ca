/* SPDX-License-Identifier: MIT */
/*
 * "stats": the statistics of all workers as JSON.
 *
 * Owns nothing.  Here: the request.  Not here: the format (common/stats.c).
 * Context: the loop's thread.
 */
#include "server/handler.h"
#include "server/handlers/report.h"
#include "server/internal.h"

static int
stats_run(struct request *r, const void *state)
{
	const struct server_ops *ops = server_get_ops(r->srv);
	struct stats_view view;
	struct buf b;

	if (ops->stats_view(ops->ctx, &view) == -1)
		return response_error(r, 503, "statistics are not available");
	buf_init(&b, 0);
	stats_print_json(&view, &b);
	stats_view_done(&view);
	return report_send(r, 200, STR("application/json"), &b);
}

const struct handler handler_stats = {
	.name = "stats",
	.methods = METHOD_BIT(METHOD_GET),
	.run = stats_run,
};
