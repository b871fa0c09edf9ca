/* SPDX-License-Identifier: MIT */
/*
 * How many connections each address has: limits.connections_per_ip.  An IPv6
 * peer is counted by its /64, which is what one subscriber has.
 *
 * Context: one per server; the loop's thread.
 */
#ifndef CORELANE_SERVER_PEERS_H
#define CORELANE_SERVER_PEERS_H

#include <stdbool.h>
#include <stddef.h>

struct conn;
struct peers;

/* limit: connections of one address, at least 1. */
struct peers *peers_new(size_t limit) __attribute__((warn_unused_result));
void peers_free(struct peers *p);

/* Counts a connection; false when its address has had enough (or there is no
 * memory): then it isn't counted. */
bool peers_enter(struct peers *p, const struct conn *c);
void peers_leave(struct peers *p, const struct conn *c);

#endif
