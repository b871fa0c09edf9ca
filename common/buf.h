/* SPDX-License-Identifier: MIT */
/*
 * A growing text: for what is built piece by piece and isn't on the path of
 * every request (metrics, reports, log lines, JSON).
 *
 * Failure is sticky: once memory is out, or the text passes `max`, every call
 * is a no-op and buf_failed() says so, so that a writer checks once, at the
 * end.
 *
 *	struct buf b;
 *	buf_init(&b, 0);
 *	buf_printf(&b, "{\"count\":%u,\"name\":", n);
 *	buf_add_json(&b, name);
 *	buf_add(&b, STR("}"));
 *	if (buf_failed(&b)) ...
 *	buf_done(&b);
 *
 * Context: one thread per buffer.
 */
#ifndef CORELANE_COMMON_BUF_H
#define CORELANE_COMMON_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/str.h"

struct buf {
	char *p;	/* owned, NUL-terminated once anything was added */
	size_t len;	/* without the NUL */
	size_t cap;
	size_t max;	/* most bytes it may hold; 0: no limit */
	bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);

/* Empties it and keeps the memory; clears a failure. */
void buf_clear(struct buf *b);

void buf_add(struct buf *b, struct str s);
void buf_add_byte(struct buf *b, char byte);
void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* Appends `s` as a JSON string with its quotes (RFC 8259 7).  Bytes that are
 * not UTF-8 become U+FFFD, so that the result always is. */
void buf_add_json(struct buf *b, struct str s);

/* Appends a finite number as JSON: whole ones up to 2^53 in full, others with
 * the fewest digits that are read as the same number. */
void buf_add_number(struct buf *b, double number);

/* Appends `s` with &, <, >, " and ' as HTML entities. */
void buf_add_html(struct buf *b, struct str s);

bool buf_failed(const struct buf *b);

/* What it holds, lent until the next call that changes it. */
struct str buf_str(const struct buf *b);

/* Takes the text out, NUL-terminated: the caller's to free(); NULL after a
 * failure.  The buffer is empty afterwards. */
char *buf_take(struct buf *b) __attribute__((warn_unused_result));

#endif
