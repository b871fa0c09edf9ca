/* SPDX-License-Identifier: MIT */
/*
 * Sub-requests: lane_fetch(), by libcurl on the worker's loop.
 *
 *	lane_fetch() -> fetch.c -> fetch_loop.c -> libcurl -> another server
 *	continuation <- fetch.c <- fetch_loop.c <-----'
 *
 * A build without libcurl has no_fetch.c instead of both.
 *
 * Context: the loop's thread; names are resolved on a thread of libcurl's.
 */
#ifndef CORELANE_SERVER_FETCH_H
#define CORELANE_SERVER_FETCH_H

/* To all servers, of one worker. */
#define FETCH_CONNECTIONS_MAX 256

struct fetcher;

/* Made by the first sub-request of a server, so after fork; NULL is a no-op.
 * Nothing may be under way. */
void fetcher_free(struct fetcher *f);

#endif
