/* SPDX-License-Identifier: MIT */
/*
 * WebSocket frames (RFC 6455 5): a pure codec, bytes in, events out, no input
 * or output.
 *
 *	struct ws_reader reader;
 *	ws_reader_init(&reader, &(struct ws_limits){...});
 *	while ((ev = ws_read(&reader, &in, &piece)) != WS_MORE)
 *		switch (ev) ...
 *
 * A frame comes as one WS_DATA or more, then WS_DATA_END where it ends its
 * message; a control frame, always whole, as WS_CONTROL.  Content is unmasked
 * in place, and lent from `in`.  A header or a control frame that isn't whole
 * yet stays in `in`, which then is a few bytes: nothing else is ever kept.
 *
 * Text is checked while it streams (RFC 6455 8.1): what is given out is valid
 * so far, and a character may end in the next piece.  With `deflate` negotiated
 * the content of a compressed message is given out as it is, unchecked, with
 * is_compressed set: whoever inflates it checks the result (utf8.h).
 *
 * Context: pure functions; one reader per connection.
 */
#ifndef CORELANE_SERVER_WS_FRAME_H
#define CORELANE_SERVER_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "common/utf8.h"

enum ws_opcode {
	WS_CONTINUATION = 0x0,
	WS_TEXT = 0x1,
	WS_BINARY = 0x2,
	WS_CLOSE = 0x8,
	WS_PING = 0x9,
	WS_PONG = 0xa
};

/* RFC 6455 7.4.1, and the IANA registry beside it. */
enum ws_close_code {
	WS_CLOSE_NORMAL = 1000,
	WS_CLOSE_GOING_AWAY = 1001,
	WS_CLOSE_PROTOCOL = 1002,
	WS_CLOSE_UNACCEPTABLE = 1003,
	WS_CLOSE_NONE = 1005,		/* never on the wire: no code came */
	WS_CLOSE_ABNORMAL = 1006,	/* never on the wire: cut off */
	WS_CLOSE_BAD_DATA = 1007,
	WS_CLOSE_POLICY = 1008,
	WS_CLOSE_TOO_BIG = 1009,
	WS_CLOSE_INTERNAL = 1011,
	WS_CLOSE_RESTART = 1012,	/* come back, elsewhere */
	WS_CLOSE_TRY_LATER = 1013,	/* too slow; come back and recover */
	/* 3000 to 3499: come back; 3500 to 3999: don't. */
	WS_CLOSE_EXPIRED = 3005,
	WS_CLOSE_FORBIDDEN = 3503,
	WS_CLOSE_LOST = 3504		/* what was missed isn't there */
};

enum ws_event {
	WS_MORE,		/* nothing (more) in `in` to use */
	WS_DATA,		/* content of a message, not its last */
	WS_DATA_END,		/* the last of a message; may be empty */
	WS_CONTROL,		/* a whole control frame */
	WS_BAD			/* reader.code and reader.reason say why */
};

struct ws_limits {
	size_t message_bytes;	/* on the wire, all frames; below 4 GiB */
	bool deflate;		/* RSV1 may begin a message (RFC 7692 6) */
};

/* 32 bytes: every WebSocket that waits has one. */
struct ws_reader {
	const char *reason;	/* WS_BAD: a literal */
	uint32_t left;		/* of the frame's content */
	uint32_t message_left;	/* of what a message may have */
	uint32_t message_bytes;
	uint32_t mask;		/* turned to where the content is */
	struct utf8_state utf8;
	uint8_t opcode;		/* of the message, or the control frame */
	uint8_t message_opcode;	/* while a control frame is inside it */
	bool has_deflate : 1;
	bool is_in_frame : 1;	/* content is still to come */
	bool is_in_message : 1;	/* a continuation must follow */
	bool is_final : 1;	/* of the frame: FIN */
	bool is_compressed : 1;	/* of the message: RSV1 */
	uint16_t code;		/* WS_BAD: enum ws_close_code */
};

void ws_reader_init(struct ws_reader *r, const struct ws_limits *limits);

/* The next event.  `in` is moved past what was used, its content written over
 * where it is unmasked. */
enum ws_event ws_read(struct ws_reader *r, struct str *in,
    struct str *ret_piece);

/*
 * Writes a server's frame header: never masked.  Returns its length.
 * opcode: with WS_FIN, and WS_RSV1 for compressed content, or'ed in.
 */
#define WS_FIN 0x80
#define WS_RSV1 0x40
#define WS_HEADER_MAX 10
size_t ws_write_header(char *to, unsigned opcode, uint64_t len);

/* RFC 6455 7.4: whether a peer may send this code. */
bool ws_close_code_is_valid(unsigned code);

/* The content of a close frame: its code (WS_CLOSE_NONE: empty) and reason.
 * Returns false with reader-like code and reason when it is malformed. */
struct ws_close {
	unsigned code;
	struct str reason;
};
bool ws_close_parse(struct str content, struct ws_close *ret_close,
    const char **ret_error);

/* XORs `len` bytes with the mask, which begins with the byte that `mask` has
 * first in memory; returns the mask turned to the next byte. */
uint32_t ws_unmask(char *p, size_t len, uint32_t mask);

#endif
