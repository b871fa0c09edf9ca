/* SPDX-License-Identifier: MIT */
/*
 * The content of a request on the wire, unwrapped: counted by Content-Length or
 * cut into chunks (RFC 9112 6, 7.1).  Strict on purpose: http-parser's own
 * decoder takes several things that other servers read differently, and that
 * is how requests are smuggled.
 *
 *	struct body_reader b;
 *	body_reader_init(&b, head->framing, head->content_length, limit);
 *	while ((res = body_read(&b, &in, &piece)) == BODY_PIECE)
 *		take(piece);
 *
 * Trailer fields are checked and dropped.
 *
 * Here: framing, and the limit on the content: a chunk that would pass it is
 * refused at its size, before a byte of it has come.  Not here: where content
 * is kept (spool.c).
 * Context: pure.
 */
#ifndef CORELANE_SERVER_BODY_H
#define CORELANE_SERVER_BODY_H

#include <stdint.h>

#include "common/str.h"
#include "server/head.h"

/* A chunk-size line, and all trailer lines together. */
#define BODY_CHUNK_LINE_MAX 256
#define BODY_TRAILER_MAX 8192

enum body_result {
	BODY_MORE,	/* the input is used up */
	BODY_PIECE,	/* *ret_piece is content */
	BODY_END,	/* complete; the input stands behind it */
	BODY_BAD	/* refuse: see `refusal` */
};

enum body_state {
	BODY_AT_SIZE,		/* in the digits of a chunk size */
	BODY_AT_EXTENSION,	/* behind them, up to CR */
	BODY_AT_SIZE_LF,
	BODY_AT_DATA,
	BODY_AT_DATA_CR,
	BODY_AT_DATA_LF,
	BODY_AT_TRAILER,	/* at the start of a trailer line */
	BODY_AT_TRAILER_NAME,
	BODY_AT_TRAILER_VALUE,
	BODY_AT_TRAILER_LF,
	BODY_AT_LAST_LF,
	BODY_AT_END
};

struct body_reader {
	uint64_t left;		/* bytes of this chunk, or of the content */
	uint64_t total;		/* content bytes handed out so far */
	uint64_t max;		/* how many there may be */
	uint16_t line;		/* bytes of the current line or trailers */
	uint8_t digits;		/* of the chunk size */
	enum body_state state;
	enum body_framing framing;
	struct head_refusal refusal;	/* BODY_BAD */
};

/* length: BODY_LENGTH.  max: the limit, which a length has been held to. */
void body_reader_init(struct body_reader *b, enum body_framing framing,
    uint64_t length, uint64_t max);

/* Reads from `in`, which is moved past what was used; *ret_piece, a slice of
 * it, is set with BODY_PIECE. */
enum body_result body_read(struct body_reader *b, struct str *in,
    struct str *ret_piece);

/* Gives the last `bytes` of the piece just read back: they come again. */
void body_unread(struct body_reader *b, struct str *in, size_t bytes);

static inline int
body_is_done(const struct body_reader *b)
{
	return b->state == BODY_AT_END;
}

#endif
