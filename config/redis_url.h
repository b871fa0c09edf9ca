/* SPDX-License-Identifier: MIT */
/*
 * The URL of a Redis server, taken apart:
 *
 *	redis://[user:password@]host[:port][/database]
 *	redis+unix://[user:password@]/path[?database=3]
 *
 * "[::1]" for IPv6; user and password may be percent-encoded, and ":password@"
 * is the user "default".  Nothing is looked up.
 *
 * Context: pure functions; syntax.c -> [redis_url.c], workers/bridge_link.c.
 */
#ifndef CORELANE_CONFIG_REDIS_URL_H
#define CORELANE_CONFIG_REDIS_URL_H

#include "common/str.h"

#define REDIS_URL_TEXT_BYTES 256
#define REDIS_URL_PORT 6379
#define REDIS_URL_DATABASE_MAX 65535

struct redis_url {
	char host[REDIS_URL_TEXT_BYTES];	/* "": a unix socket */
	char path[REDIS_URL_TEXT_BYTES];	/* of it */
	int port;
	char user[REDIS_URL_TEXT_BYTES];	/* "": none is told */
	char password[REDIS_URL_TEXT_BYTES];	/* "": no AUTH */
	unsigned database;
};

/* Returns 0, or -1 with *ret_url undefined. */
int redis_url_parse(struct str text, struct redis_url *ret_url)
    __attribute__((warn_unused_result));

#endif
