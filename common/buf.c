/* SPDX-License-Identifier: MIT */
/*
 * The growing text.
 *
 * Owns its memory, which at least doubles when it must grow.  Invariant: while
 * `p` is set, p[len] is a NUL and len < cap.
 * Here: bytes, formats, JSON and HTML text.  Not here: documents of either.
 * Context: one thread per buffer.
 */
#include "common/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

#define BUF_FIRST_BYTES 256

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void
buf_done(struct buf *b)
{
	free(b->p);
	buf_init(b, b->max);
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->p != NULL)
		b->p[0] = '\0';
}

/* Makes room for `more` bytes and the NUL; on failure the buffer has failed. */
static int
buf_reserve(struct buf *b, size_t more)
{
	size_t limit = b->max != 0 ? b->max : SIZE_MAX / 2 - 1;
	size_t cap = b->cap > 0 ? b->cap : BUF_FIRST_BYTES;
	char *p;

	if (b->failed)
		return -1;
	if (b->len > limit || more > limit - b->len)
		goto fail;
	if (b->len + more < b->cap)
		return 0;
	while (cap <= b->len + more)
		cap = cap <= SIZE_MAX / 2 ? cap * 2 : SIZE_MAX;
	p = realloc(b->p, cap);
	if (p == NULL)
		goto fail;
	b->p = p;
	b->cap = cap;
	b->p[b->len] = '\0';
	return 0;
fail:
	b->failed = true;
	return -1;
}

void
buf_add(struct buf *b, struct str s)
{
	if (s.len == 0 || buf_reserve(b, s.len) == -1)
		return;
	memcpy(b->p + b->len, s.p, s.len);
	b->len += s.len;
	b->p[b->len] = '\0';
}

void
buf_add_byte(struct buf *b, char byte)
{
	buf_add(b, str_from(&byte, 1));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	size_t room = b->cap - b->len;
	va_list again;
	int len;

	if (b->failed)
		return;
	va_copy(again, ap);
	len = vsnprintf(b->p != NULL ? b->p + b->len : NULL, room, fmt, ap);
	if (len < 0 || buf_reserve(b, (size_t)len) == -1) {
		b->failed = true;
		if (b->p != NULL)
			b->p[b->len] = '\0';
	} else {
		if ((size_t)len >= room)
			vsnprintf(b->p + b->len, (size_t)len + 1, fmt, again);
		b->len += (size_t)len;
	}
	va_end(again);
}

/* RFC 8259 7: these have short escapes, other control bytes \u00XX. */
static void
buf_add_json_byte(struct buf *b, char byte)
{
	switch (byte) {
	case '"':
		buf_add(b, STR("\\\""));
		return;
	case '\\':
		buf_add(b, STR("\\\\"));
		return;
	case '\n':
		buf_add(b, STR("\\n"));
		return;
	case '\r':
		buf_add(b, STR("\\r"));
		return;
	case '\t':
		buf_add(b, STR("\\t"));
		return;
	default:
		buf_printf(b, "\\u%04x", (unsigned)(uint8_t)byte);
	}
}

static bool
buf_is_json_plain(char byte)
{
	return (uint8_t)byte >= 0x20 && (uint8_t)byte < 0x7f && byte != '"' &&
	    byte != '\\';
}

void
buf_add_json(struct buf *b, struct str s)
{
	buf_add_byte(b, '"');
	while (s.len > 0 && !b->failed) {
		size_t n = 0;

		while (n < s.len && buf_is_json_plain(s.p[n]))
			n++;
		if (n > 0) {
			buf_add(b, str_from(s.p, n));
		} else if ((n = utf8_length(s)) == 1) {
			buf_add_json_byte(b, s.p[0]);
		} else if (n > 1) {
			buf_add(b, str_from(s.p, n));
		} else {
			buf_add(b, STR("\xef\xbf\xbd"));	/* U+FFFD */
			n = 1;
		}
		s.p += n;
		s.len -= n;
	}
	buf_add_byte(b, '"');
}

static struct str
buf_html_entity(char byte)
{
	switch (byte) {
	case '&':
		return STR("&amp;");
	case '<':
		return STR("&lt;");
	case '>':
		return STR("&gt;");
	case '"':
		return STR("&quot;");
	case '\'':
		return STR("&#39;");
	default:
		return (struct str){NULL, 0};
	}
}

void
buf_add_html(struct buf *b, struct str s)
{
	size_t start = 0;

	for (size_t i = 0; i < s.len; i++) {
		struct str entity = buf_html_entity(s.p[i]);

		if (str_is_null(entity))
			continue;
		buf_add(b, str_from(s.p + start, i - start));
		buf_add(b, entity);
		start = i + 1;
	}
	if (start < s.len)
		buf_add(b, str_from(s.p + start, s.len - start));
}

bool
buf_failed(const struct buf *b)
{
	return b->failed;
}

struct str
buf_str(const struct buf *b)
{
	return b->p != NULL ? str_from(b->p, b->len) : STR("");
}

char *
buf_take(struct buf *b)
{
	char *text = NULL;

	if (buf_reserve(b, 0) == 0) {
		text = b->p;
		b->p = NULL;
	}
	buf_done(b);
	return text;
}

void
buf_add_number(struct buf *b, double number)
{
	char text[32];
	int digits = 15;

	if (number >= -0x1p53 && number <= 0x1p53 &&
	    (double)(int64_t)number == number) {
		buf_printf(b, "%lld", (long long)number);
		return;
	}
	do
		snprintf(text, sizeof(text), "%.*g", digits, number);
	while (strtod(text, NULL) != number && ++digits <= 17);
	buf_add(b, str_of(text));
}
