/* SPDX-License-Identifier: MIT */
/*
 * What the middleware that asks who is asking share.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_CHALLENGE_H
#define CORELANE_SERVER_CHALLENGE_H

#include "server/request.h"

/* The credentials of an Authorization field of that scheme, ASCII case ignored
 * (RFC 9110 11.1); .p NULL: it is of another, or there is none. */
struct str challenge_find(const struct request *r, struct str scheme);

/* Whether there is more than one Authorization field: which one counts would be
 * anybody's guess. */
bool challenge_is_ambiguous(const struct request *r);

/* Answers with an error and that WWW-Authenticate field, and counts it. */
int challenge_refuse(struct request *r, int status, struct str field,
    const char *reason);

#endif
