/* SPDX-License-Identifier: MIT */
/*
 * Handles: numbers that stand for a waiting context, and may be used by any
 * thread, also when that context has ended long ago.
 *
 *	handle: generation (32 bits), index (32 bits)
 *	lane_post(handle) -> table -> the server's postbox -> eventfd -> loop
 *
 * Context: lane_post() on any thread; all else on the loop's.
 */
#ifndef CORELANE_SERVER_HANDLE_H
#define CORELANE_SERVER_HANDLE_H

struct postbox;

/* Made by the first lane_hold() of a server.  Every handle that points to it
 * has been dropped before it is freed. */
void postbox_free(struct postbox *box);

#endif
