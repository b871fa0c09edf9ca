/* SPDX-License-Identifier: MIT */
/*
 * What the files of the module API (api_*.c) share.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_API_H
#define CORELANE_SERVER_API_H

#include <corelane/types.h>

#include "common/str.h"

struct lane_ctx;
struct request;

/*
 * Bytes of the request's head as modules get them: lent until the request ends,
 * though the head itself may lie in the read buffer as yet.  .p NULL where `s`
 * is, or where there is no memory.
 */
struct lane_str api_lend(struct lane_ctx *c, struct str s);

/* Whether a response may be made or changed now: there is a request, and its
 * head hasn't gone out. */
bool api_can_answer(const struct lane_ctx *c);

/* For what completes a response: 0, or the negative errno to return. */
int api_begin_answer(struct lane_ctx *c, int status);

#endif
