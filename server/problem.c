/* SPDX-License-Identifier: MIT */
/*
 * What went wrong with a request, from those who refuse it to those who tell
 * its client.
 *
 * Owns nothing: texts lie in the request's arena.
 * Here: keeping it.  Not here: how it looks (error_page.c), which words a
 * status has (http.c).
 * Context: a worker's loop.  api_problem.c -> [problem.c] -> error_page.c
 */
#include "server/problem.h"

#include <errno.h>

#include "server/ctx.h"
#include "server/http.h"

/* A wrong value has one code, whether it is told by a 400 or a 422. */
static const char *
problem_code(int status, bool has_field)
{
	if (has_field && (status == 400 || status == 422))
		return "VALIDATION_FAILED";
	return status_word(status).p;
}

static int
problem_copy(struct arena *a, struct lane_str *s)
{
	struct str copy;

	if (s->p == NULL)
		return 0;
	copy = arena_copy(a, str_of_lane(*s));
	*s = lane_of(copy);
	return copy.p != NULL ? 0 : -1;
}

/* What the log has for a reason. */
static const char *
problem_reason(struct arena *a, const struct lane_problem *p)
{
	if (p->field.p == NULL)
		return p->message.p;
	return arena_printf(a, "%.*s %.*s", LANE_FMT(p->field),
	    (int)p->message.len, p->message.p != NULL ? p->message.p : "")
	    .p;
}

int
problem_set(struct request *r, const struct lane_problem *problem)
{
	struct lane_problem *p = arena_alloc(&r->arena, sizeof(*p));
	struct str code;

	if (p == NULL)
		return -ENOMEM;
	*p = *problem;
	if (problem_copy(&r->arena, &p->message) == -1 ||
	    problem_copy(&r->arena, &p->field) == -1)
		return -ENOMEM;
	if (p->code != NULL) {
		code = arena_copy(&r->arena, str_of(p->code));
		if (code.p == NULL)
			return -ENOMEM;
		p->code = code.p;
	}
	response_error(r, p->status, problem_reason(&r->arena, p));
	r->res.problem = p;
	return p->status;
}

void
problem_of(const struct request *r, struct lane_problem *ret_problem)
{
	const struct response *res = &r->res;
	struct lane_problem p = {0};
	struct str message;

	if (res->problem != NULL)
		p = *res->problem;
	p.status = res->status;
	if (p.code == NULL)
		p.code = problem_code(p.status, p.field.p != NULL);
	if (p.message.p == NULL) {
		message = res->reason != NULL && res->problem == NULL ?
		    str_of(res->reason) : status_reason(p.status);
		p.message = lane_of(message);
	}
	*ret_problem = p;
}
