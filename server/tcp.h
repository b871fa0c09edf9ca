/* SPDX-License-Identifier: MIT */
/*
 * Raw TCP: what comes is sent back (RFC 862), with backpressure: a peer that
 * doesn't read isn't read from.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_TCP_H
#define CORELANE_SERVER_TCP_H

#include "common/str.h"

struct conn;

void tcp_advance(struct conn *c, struct str *in);
void tcp_on_deadline(struct conn *c);

#endif
