/* SPDX-License-Identifier: MIT */
/*
 * What went wrong with a request, as its client is told: struct lane_problem of
 * <corelane/response.h>, from whatever code has refused it.
 *
 *	lane_fail(), lane_invalid() --> problem_set() --.
 *	response_error(): a status, a literal reason ---+-> problem_of()
 *	                                                      |
 *	                       module's on_request_error, or error_page.c
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_PROBLEM_H
#define CORELANE_SERVER_PROBLEM_H

#include <corelane/response.h>

#include "server/request.h"

/* Answers with the problem: everything of it is copied.  Returns its status, or
 * -ENOMEM. */
int problem_set(struct request *r, const struct lane_problem *problem);

/* The problem of a response that is an error, complete: code and message are
 * always there.  Lent until the request ends. */
void problem_of(const struct request *r, struct lane_problem *ret_problem);

#endif
