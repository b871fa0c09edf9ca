/* SPDX-License-Identifier: MIT */
/*
 * The life of one request, from its head to its response:
 *
 *	ROUTE -> BEFORE -> BODY -> HANDLE -+-> AFTER -> SEND
 *	            |        ^       |     |     ^
 *	            |        |       v     |     |
 *	            |     (waits)  PENDING-+     |
 *	            +--- a middleware answers ---+
 *
 * pipeline_run() goes on from r->phase as far as it can.  It returns where the
 * request has to wait (content, a late answer) and is called again when that
 * has come.
 *
 * Context: the loop's thread; never called from inside itself.
 */
#ifndef CORELANE_SERVER_PIPELINE_H
#define CORELANE_SERVER_PIPELINE_H

#include "server/request.h"

void pipeline_run(struct request *r);

/* A pending request's time begins: with streamed content, when all of it has
 * come. */
void pipeline_start_deadline(struct request *r);

/* Drops a request whose client is gone: cancels its handler. */
void pipeline_cancel(struct request *r);

/* A request's deadline is over; from the wheel.  A pending handler is cancelled
 * and the request answered with r->deadline_status. */
void pipeline_on_deadline(struct wheel_node *node, void *arg);

#endif
