/* SPDX-License-Identifier: MIT */
/*
 * Content that a module writes piece by piece (lane_stream()): a source with a
 * queue in front.
 *
 *	lane_write() -> [piece] -> [piece] -> stream_next() -> http1_send.c
 *	                                          |
 *	                              empty: on_drain() writes more
 *
 * A stream is an operation of its context: while it is open the context waits,
 * whatever else is under way.  The response begins with what the handler, or
 * the continuation that called lane_stream(), returns: LANE_ASYNC means that
 * more will come.  From then on the request is in PHASE_SEND, no deadline but
 * those of its connection holds, and what a continuation returns can only end
 * the stream or cut it off.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_STREAM_H
#define CORELANE_SERVER_STREAM_H

#include "server/ctx.h"

/* Whether the response of this context is a stream that hasn't been given up
 * for another. */
bool stream_is_open(const struct lane_ctx *c);

/* For the pipeline: what it is to take for what module code returned, once
 * there is an open stream. */
int stream_result(struct lane_ctx *c, int result);

/* What a continuation returned while the response is on its way. */
void stream_take(struct lane_ctx *c, int result, const char *mistake);

#endif
