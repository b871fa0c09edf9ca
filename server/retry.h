/* SPDX-License-Identifier: MIT */
/*
 * lane_retry(): what an attempt returns, now or by a continuation, is looked at
 * before it becomes the context's result.
 *
 *	attempt() -> 503 -.	an operation belongs to the attempt
 *	   ^              |	that has started it: struct op, `retry`
 *	   `--- waits <---'
 *
 * op_finish() makes the operation's attempt the context's, so that ctx_take()
 * knows whose result it has.  Attempts may be nested, and several may be under
 * way side by side.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_RETRY_H
#define CORELANE_SERVER_RETRY_H

#include <stdbool.h>

struct lane_ctx;

/* Returns true when the result goes no further: the attempt waits for more, or
 * another one will be made. */
bool retry_take(struct lane_ctx *c, int result);

#endif
