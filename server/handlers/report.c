/* SPDX-License-Identifier: MIT */
/*
 * Sends reports: text made for one request, stale a moment later.
 *
 * Owns nothing: the text goes with the request.
 * Here: sending.  Not here: what is reported.
 * Context: the loop's thread.
 */
#include "server/handlers/report.h"

#include <errno.h>
#include <stdlib.h>

static int
report_mark(struct request *r)
{
	return response_add_checked(r, STR("Cache-Control"), STR("no-store"));
}

int
report_send(struct request *r, int status, struct str type, struct buf *b)
{
	size_t len = b->len;
	char *text = buf_take(b);

	buf_done(b);
	if (text == NULL || arena_defer(&r->arena, free, text) == -1 ||
	    report_mark(r) == -1)
		return -ENOMEM;
	return response_text(r, status, type, str_from(text, len));
}

int
report_send_static(struct request *r, int status, struct str type,
    struct str text)
{
	return report_mark(r) == -1 ? -ENOMEM
				    : response_static(r, status, type, text);
}
