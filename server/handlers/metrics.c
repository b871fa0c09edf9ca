/* SPDX-License-Identifier: MIT */
/*
 * "metrics": the statistics of all workers for Prometheus, in its own text
 * format, or as OpenMetrics for those who accept it.
 *
 * Owns nothing.  Here: which format.  Not here: the formats (common/stats.c).
 * Context: the loop's thread.
 */
#include "server/accept.h"
#include "server/handler.h"
#include "server/handlers/report.h"
#include "server/internal.h"

static int
metrics_run(struct request *r, const void *state)
{
	const struct server_ops *ops = server_get_ops(r->srv);
	struct str accept = request_get(r, FIELD_ACCEPT);
	bool openmetrics = accept_quality(accept,
	    STR("application/openmetrics-text")) > 0;
	struct stats_view view;
	struct buf b;

	if (ops->stats_view(ops->ctx, &view) == -1)
		return response_error(r, 503, "statistics are not available");
	buf_init(&b, 0);
	stats_print_prometheus(&view, openmetrics, &b);
	stats_view_done(&view);
	return report_send(r, 200, openmetrics
	    ? STR("application/openmetrics-text; version=1.0.0; charset=utf-8")
	    : STR("text/plain; version=0.0.4; charset=utf-8"), &b);
}

const struct handler handler_metrics = {
	.name = "metrics",
	.methods = METHOD_BIT(METHOD_GET),
	.run = metrics_run,
};
