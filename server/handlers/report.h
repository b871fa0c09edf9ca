/* SPDX-License-Identifier: MIT */
/*
 * Answers that are written anew for each request: the end that health, ready,
 * metrics and stats have in common.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_HANDLERS_REPORT_H
#define CORELANE_SERVER_HANDLERS_REPORT_H

#include "common/buf.h"
#include "server/request.h"

/*
 * Answers with the text of `b`, not to be kept by any cache.  b: taken, also on
 * failure.  Returns the status, or -ENOMEM.
 */
int report_send(struct request *r, int status, struct str type, struct buf *b);

/* The same with a literal. */
int report_send_static(struct request *r, int status, struct str type,
    struct str text);

#endif
