/* SPDX-License-Identifier: MIT */
/*
 * Heads that came before: a client that asks again sends, byte for byte, the
 * head it sent last, so its parse, and the route it led to, can be used again.
 * Comparing costs 5 ns where parsing costs 300.
 *
 * Only heads that are whole requests are kept: no content, no upgrade, no
 * expectation.  What they say of the connection is a part of their parse.  And
 * only when the same head comes a second time, so that heads with an id of
 * their own in them don't wash the rest out.
 *
 * Context: one per server; the loop's thread.
 */
#ifndef CORELANE_SERVER_MEMO_H
#define CORELANE_SERVER_MEMO_H

#include "server/head.h"

struct memo;

struct memo *memo_new(void) __attribute__((warn_unused_result));
void memo_free(struct memo *m);

/*
 * The parse of the head that p[0..len) starts with, if it is known; NULL
 * otherwise.  key: what else the route depends on (the service).
 * Lent until the next memo_offer().
 */
struct head *memo_find(struct memo *m, unsigned key, const char *p, size_t len);

/* Offers a parsed, routed head: copied if it is worth it. */
void memo_offer(struct memo *m, unsigned key, const struct head *h);

#endif
