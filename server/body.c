/* SPDX-License-Identifier: MIT */
/*
 * The strict body reader.
 *
 *	SIZE -> EXTENSION -> SIZE_LF -+-> DATA -> DATA_CR -> DATA_LF -> SIZE
 *	                              |
 *	            (size 0)          +-> TRAILER -> LAST_LF -> END
 *	                                   |   ^
 *	                                   v   |
 *	                       NAME -> VALUE -> TRAILER_LF
 *
 * Owns nothing.  Invariant: after BODY_END not one byte behind the content has
 * been used.
 * Here: framing and its limit.  Not here: storage.
 * Context: a worker's loop.  conn.c -> http1.c -> [body.c] -> spool.c
 */
#include "server/body.h"

#include "server/http.h"

void
body_reader_init(struct body_reader *b, enum body_framing framing,
    uint64_t length, uint64_t max)
{
	*b = (struct body_reader){
	    .framing = framing, .state = BODY_AT_SIZE, .max = max};
	if (framing == BODY_LENGTH)
		b->left = length;
	if (framing != BODY_CHUNKED)
		b->state = b->left > 0 ? BODY_AT_DATA : BODY_AT_END;
}

static int
body_refuse(struct body_reader *b, const char *reason)
{
	b->refusal = (struct head_refusal){400, reason};
	return -1;
}

/* RFC 9112 7.1: chunk-size = 1*HEXDIG, nothing before, between or behind but
 * an extension or CRLF. */
static int
body_on_size(struct body_reader *b, char c)
{
	int digit = str_hex_digit(c);

	if (digit >= 0) {
		if (b->digits == 15)
			return body_refuse(b, "chunk size is too large");
		b->digits++;
		b->left = b->left << 4 | (unsigned)digit;
		return 0;
	}
	if (b->digits == 0)
		return body_refuse(b, "malformed chunk size");
	if (c == '\r')
		b->state = BODY_AT_SIZE_LF;
	else if (c == ';')
		b->state = BODY_AT_EXTENSION;
	else
		return body_refuse(b, "malformed chunk size");
	return 0;
}

/* RFC 9112 7.1.1: extensions are ignored, but their bytes must be legal and
 * few: an endless one costs the sender nothing. */
static int
body_on_extension(struct body_reader *b, char c)
{
	if (c == '\r') {
		b->state = BODY_AT_SIZE_LF;
		return 0;
	}
	if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f)
		return body_refuse(b, "bad byte in a chunk extension");
	return 0;
}

/* A trailer line: token ":" value CRLF, dropped (RFC 9110 6.5.1). */
static int
body_on_trailer(struct body_reader *b, char c)
{
	bool is_name = is_token(str_from(&c, 1));

	switch (b->state) {
	case BODY_AT_TRAILER:
		if (c == '\r')
			b->state = BODY_AT_LAST_LF;
		else if (is_name)
			b->state = BODY_AT_TRAILER_NAME;
		else
			return body_refuse(b, "malformed trailer");
		return 0;
	case BODY_AT_TRAILER_NAME:
		if (c == ':')
			b->state = BODY_AT_TRAILER_VALUE;
		else if (!is_name)
			return body_refuse(b, "malformed trailer");
		return 0;
	default:
		if (c == '\r')
			b->state = BODY_AT_TRAILER_LF;
		else if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f)
			return body_refuse(b, "bad byte in a trailer");
		return 0;
	}
}

/* A line feed is due: anything else is a framing error. */
static int
body_on_lf(struct body_reader *b, char c)
{
	if (c != '\n')
		return body_refuse(b, "CR without LF in chunked content");
	switch (b->state) {
	case BODY_AT_SIZE_LF:
		b->state = b->left > 0 ? BODY_AT_DATA : BODY_AT_TRAILER;
		b->line = 0;
		if (b->left > b->max - b->total) {
			b->refusal = (struct head_refusal){413,
			    "content is too large"};
			return -1;
		}
		break;
	case BODY_AT_DATA_LF:
		b->state = BODY_AT_SIZE;
		b->left = 0;
		b->digits = 0;
		b->line = 0;
		break;
	case BODY_AT_TRAILER_LF:
		b->state = BODY_AT_TRAILER;
		break;
	default:
		b->state = BODY_AT_END;
	}
	return 0;
}

/* One byte of framing. */
static int
body_on_byte(struct body_reader *b, char c)
{
	if (++b->line > (b->state >= BODY_AT_TRAILER ? BODY_TRAILER_MAX
	    : BODY_CHUNK_LINE_MAX))
		return body_refuse(b, "chunk line or trailers are too long");
	switch (b->state) {
	case BODY_AT_SIZE:
		return body_on_size(b, c);
	case BODY_AT_EXTENSION:
		return body_on_extension(b, c);
	case BODY_AT_DATA_CR:
		/* RFC 9112 7.1: CRLF behind the data, or the lengths lie. */
		if (c != '\r')
			return body_refuse(b, "chunk is longer than its size");
		b->state = BODY_AT_DATA_LF;
		return 0;
	case BODY_AT_TRAILER:
	case BODY_AT_TRAILER_NAME:
	case BODY_AT_TRAILER_VALUE:
		return body_on_trailer(b, c);
	case BODY_AT_SIZE_LF:
	case BODY_AT_DATA_LF:
	case BODY_AT_TRAILER_LF:
	case BODY_AT_LAST_LF:
		return body_on_lf(b, c);
	case BODY_AT_DATA:
	case BODY_AT_END:
		break;
	}
	return body_refuse(b, "internal");
}

/* Hands out what there is of the current chunk. */
static enum body_result
body_take(struct body_reader *b, struct str *in, struct str *ret_piece)
{
	size_t n = in->len < b->left ? in->len : (size_t)b->left;

	*ret_piece = str_from(in->p, n);
	*in = str_from(in->p + n, in->len - n);
	b->left -= n;
	b->total += n;
	if (b->left == 0) {
		b->state = b->framing == BODY_LENGTH ? BODY_AT_END
		    : BODY_AT_DATA_CR;
		b->line = 0;
	}
	return BODY_PIECE;
}

enum body_result
body_read(struct body_reader *b, struct str *in, struct str *ret_piece)
{
	while (b->state != BODY_AT_END) {
		if (in->len == 0)
			return BODY_MORE;
		if (b->state == BODY_AT_DATA)
			return body_take(b, in, ret_piece);
		if (body_on_byte(b, in->p[0]) == -1)
			return BODY_BAD;
		*in = str_from(in->p + 1, in->len - 1);
	}
	return BODY_END;
}

void
body_unread(struct body_reader *b, struct str *in, size_t bytes)
{
	if (bytes == 0)
		return;
	*in = str_from(in->p - bytes, in->len + bytes);
	b->left += bytes;
	b->total -= bytes;
	b->state = BODY_AT_DATA;
}
