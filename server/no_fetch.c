/* SPDX-License-Identifier: MIT */
/*
 * lane_fetch() in a build without libcurl.
 *
 * Owns nothing.  Here: saying so.  Not here: fetching (fetch.c).
 * Context: a worker's loop.
 */
#include "server/fetch.h"

#include <corelane/corelane.h>

#include <errno.h>
#include <stddef.h>

void
fetcher_free(struct fetcher *f)
{
}

int
lane_fetch(struct lane_ctx *c, const struct lane_fetch_args *args)
{
	lane_log(c, LANE_ERROR,
	    "lane_fetch(): corelane was built without it"
	    " (libcurl)");
	return -ENOTSUP;
}

struct lane_str
lane_fetched_header(const struct lane_fetched *answer, const char *name)
{
	return (struct lane_str){NULL, 0};
}
