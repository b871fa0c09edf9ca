/* SPDX-License-Identifier: MIT */
/*
 * libcurl's transfers on the loop: connections of one worker, kept and used
 * again.
 *
 * Here: what fetch.c sees of it.  Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_FETCH_LOOP_H
#define CORELANE_SERVER_FETCH_LOOP_H

#include <curl/curl.h>

#include "server/fetch.h"

struct server;

/* The server's, made at the first call; NULL when that can't be done. */
struct fetcher *fetcher_of(struct server *srv);

/* Starts a transfer; on_end(), from the loop and never from inside the call,
 * tells how it has ended and finds it taken off.  Returns 0; -EAGAIN: too many
 * are under way; -ENOMEM. */
int fetcher_start(
    struct fetcher *f, CURL *easy, void (*on_end)(CURL *easy, CURLcode code));
/* Takes a transfer off that is under way: on_end() isn't called. */
void fetcher_stop(struct fetcher *f, CURL *easy);

#endif
