/* SPDX-License-Identifier: MIT */
/*
 * One error, and the context that is put in front of it on its way up.
 *
 * Owns nothing: the caller has the struct.  Invariant: `text` ends in a NUL,
 * and in "..." where it was cut.
 * Here: the texts.  Not here: whether they are logged or sent.
 * Context: any process, any thread; no allocation.
 */
#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char error_ellipsis[] = "...";

/* Marks a text that filled its array to the end as cut. */
static void
error_mark_cut(struct error *err)
{
	memcpy(err->text + sizeof(err->text) - sizeof(error_ellipsis),
	    error_ellipsis, sizeof(error_ellipsis));
}

/* Formatted aside first: an argument may be the text of `err` itself. */
static __attribute__((format(printf, 2, 0))) void
error_vformat(struct error *err, const char *fmt, va_list ap)
{
	char text[ERROR_TEXT_BYTES];
	int len = vsnprintf(text, sizeof(text), fmt, ap);

	if (len < 0)
		text[0] = '\0';
	memcpy(err->text, text, sizeof(text));
	if (len >= (int)sizeof(text))
		error_mark_cut(err);
}

static void
error_append(struct error *err, const char *s)
{
	size_t have = strlen(err->text), more = strlen(s);

	if (more < sizeof(err->text) - have) {
		memcpy(err->text + have, s, more + 1);
		return;
	}
	memcpy(err->text + have, s, sizeof(err->text) - have);
	error_mark_cut(err);
}

int
error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, fmt);
	error_vformat(err, fmt, ap);
	va_end(ap);
	err->code = code;
	err->sys = 0;
	return -1;
}

int
error_sys(struct error *err, const char *fmt, ...)
{
	int sys = errno;
	char reason[128];
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, fmt);
	error_vformat(err, fmt, ap);
	va_end(ap);
	error_append(err, ": ");
	error_append(err, strerror_r(sys, reason, sizeof(reason)));
	err->code = ERROR_SYSTEM;
	err->sys = sys;
	errno = sys;
	return -1;
}

int
error_wrap(struct error *err, const char *fmt, ...)
{
	char inner[ERROR_TEXT_BYTES];
	va_list ap;

	if (err == NULL)
		return -1;
	memcpy(inner, err->text, sizeof(inner));
	va_start(ap, fmt);
	error_vformat(err, fmt, ap);
	va_end(ap);
	error_append(err, ": ");
	error_append(err, inner);
	return -1;
}

int
error_nomem(struct error *err, const char *what)
{
	return error_set(err, ERROR_MEMORY, "no memory for %s", what);
}

void
error_clear(struct error *err)
{
	err->code = ERROR_NONE;
	err->sys = 0;
	err->text[0] = '\0';
}
