/* SPDX-License-Identifier: MIT */
/*
 * permessage-deflate (RFC 7692): its negotiation, and messages in and out.
 *
 * By default neither side keeps a context between messages: what a connection
 * owns is then two bytes of parameters, one pair of zlib streams serves all
 * connections of a worker, and a message that goes to many is compressed once.
 * With context takeover (off unless configured) a connection has streams of its
 * own, made when first used.
 *
 * Context: the loop's thread; one struct ws_zlib per worker.
 */
#ifndef CORELANE_SERVER_WS_DEFLATE_H
#define CORELANE_SERVER_WS_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/str.h"

struct ws_zlib;			/* the worker's streams and scratch */
struct ws_context;		/* one connection's, with takeover */

/* What both sides have agreed on; all zero: no compression. */
struct ws_deflate {
	uint8_t server_bits;		/* 9 to 15; 0: not agreed */
	uint8_t client_bits;		/* 8 to 15 */
	bool server_takeover : 1, client_takeover : 1;
};

/* What this server wants. */
struct ws_deflate_options {
	bool takeover;			/* both ways, where the client agrees */
	uint8_t window_bits;		/* 9 to 15: the most it uses */
	int level;			/* 1 to 9 */
};

/* Whether Sec-WebSocket-Extensions (all fields joined by commas) is written as
 * RFC 6455 9.1 wants it; where it isn't the handshake must fail. */
bool ws_extensions_are_valid(struct str offers);

/*
 * Takes the first offer in Sec-WebSocket-Extensions (all fields joined by
 * commas) that it can; others are passed over (RFC 7692 5.1, 7.1).
 * answer: room for WS_DEFLATE_ANSWER_MAX bytes, given the extension for the
 * response's field.  *ret_answer_len: its length, 0: none taken.
 * Returns false where there is none.
 */
#define WS_DEFLATE_ANSWER_MAX 160
bool ws_deflate_negotiate(struct str offers,
    const struct ws_deflate_options *options, struct ws_deflate *ret_agreed,
    char *answer, size_t *ret_answer_len);

struct ws_zlib *ws_zlib_new(int level) __attribute__((warn_unused_result));
void ws_zlib_free(struct ws_zlib *z);

/* A connection's own streams, where a takeover was agreed on. */
struct ws_context *ws_context_new(int level)
    __attribute__((warn_unused_result));
void ws_context_free(struct ws_context *ctx);

/*
 * Compresses a whole message (less than 4 GiB), without the four bytes that its
 * end has (RFC 7692 7.2.1), behind what `out` has.  ctx: NULL without takeover.
 * Returns 0, or -1 when there is no memory.
 */
int ws_deflate_message(struct ws_zlib *z, struct ws_context *ctx,
    const struct ws_deflate *agreed, struct str message, struct buf *out);

/*
 * Decompresses a whole message behind what `out` has.  What would make the
 * message longer than max_bytes is not produced, let alone kept: a bomb costs
 * max_bytes and no more.  ctx: NULL without takeover.
 */
enum ws_inflate {
	WS_INFLATED,
	WS_INFLATE_BAD,
	WS_INFLATE_TOO_BIG,
	WS_INFLATE_NOMEM
};
enum ws_inflate ws_inflate_message(struct ws_zlib *z, struct ws_context *ctx,
    const struct ws_deflate *agreed, struct str message, size_t max_bytes,
    struct buf *out);

#endif
