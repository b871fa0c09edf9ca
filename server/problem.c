/* SPDX-License-Identifier: MIT */
/*
 * Errors that modules answer with (<corelane/response.h>).
 *
 * Owns nothing: the text is the request's.
 * Context: a worker's loop.  [problem.c] -> error_page.c
 */
#include <errno.h>
#include <stdarg.h>

#include <corelane/response.h>

#include "server/api.h"
#include "server/ctx.h"
#include "server/request.h"

int
lane_fail_with(struct lane_ctx *c, const struct lane_problem *problem)
{
	struct str text = str_of_lane(problem->message);
	int result = api_begin_answer(c, problem->status);

	if (result != 0)
		return result;
	if (problem->field.p != NULL)
		text = arena_printf(c->arena, "%.*s %.*s",
		    LANE_FMT(problem->field), STR_FMT(text));
	else if (text.p != NULL)
		text = arena_copy(c->arena, text);
	if (problem->retry_after_s > 0) {
		struct str after = arena_printf(c->arena, "%d",
		    problem->retry_after_s);

		if (after.p == NULL || response_set(c->request,
		    STR("Retry-After"), after) == -1)
			return -ENOMEM;
	}
	return response_error(c->request, problem->status, text.p);
}

int
lane_fail(struct lane_ctx *c, int status, const char *fmt, ...)
{
	struct str text;
	va_list ap;

	va_start(ap, fmt);
	text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return lane_fail_with(c, &(struct lane_problem){.status = status,
	    .message = lane_of(text)});
}

int
lane_invalid(struct lane_ctx *c, const char *field, const char *fmt, ...)
{
	struct str text;
	va_list ap;

	va_start(ap, fmt);
	text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return lane_fail_with(c, &(struct lane_problem){.status = 400,
	    .message = lane_of(text), .field = lane_str_of(field)});
}
