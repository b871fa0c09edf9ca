/* SPDX-License-Identifier: MIT */
/*
 * Errors that modules answer with: lane_fail() and its like, of
 * <corelane/response.h>.
 *
 * Owns nothing: texts lie in the request's arena.
 * Context: the loop's thread.  [api_problem.c] -> problem.c
 */
#include <errno.h>
#include <stdarg.h>

#include "server/api.h"
#include "server/ctx.h"
#include "server/problem.h"

int
lane_fail_with(struct lane_ctx *c, const struct lane_problem *problem)
{
	int rc = api_begin_answer(c, problem->status);

	return rc != 0 ? rc : problem_set(c->request, problem);
}

static __attribute__((format(printf, 3, 0))) int
problem_fail_v(struct lane_ctx *c, struct lane_problem *p, const char *fmt,
    va_list ap)
{
	struct str text = arena_vprintf(c->arena, fmt, ap);

	if (text.p == NULL)
		return -ENOMEM;
	p->message = lane_of(text);
	return lane_fail_with(c, p);
}

int
lane_fail(struct lane_ctx *c, int status, const char *fmt, ...)
{
	struct lane_problem p = {.status = status};
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = problem_fail_v(c, &p, fmt, ap);
	va_end(ap);
	return rc;
}

int
lane_invalid(struct lane_ctx *c, const char *field, const char *fmt, ...)
{
	struct lane_problem p = {.status = 400,
	    .field = lane_of(str_of(field))};
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = problem_fail_v(c, &p, fmt, ap);
	va_end(ap);
	return rc;
}
