/* SPDX-License-Identifier: MIT */
/*
 * Frames (RFC 6455 5) to events.
 *
 *	       +------------- the frame's last byte ------------+
 *	       v                                                |
 *	    HEADER --> control: whole, or it stays in `in`      |
 *	       |  |                                             |
 *	       |  +--> data --> CONTENT (is_in_frame) ----------+
 *	       v
 *	    WS_BAD, for good
 *
 * The path that counts is a short text that came whole: one look at its header,
 * one pass that unmasks and sees on the way that all of it is ASCII.
 *
 * Owns nothing.  Invariant: `left` is not 0 while is_in_frame; is_in_message
 * from a message's first header to its last byte; `utf8` is whole outside.
 * Here: the syntax of frames, of their sequence, and of a close frame.  Not
 * here: what is answered (ws.c), compression (ws_deflate.c).
 * Context: pure functions.  ws.c -> [ws_frame.c] -> utf8.c
 */
#include "server/ws_frame.h"

#include <string.h>

#include "common/word.h"

#define WS_RSV2_OR_3 0x30
#define WS_OPCODE 0x0f
#define WS_OPCODE_CONTROL 0x08
#define WS_MASKED 0x80
#define WS_LEN 0x7f
#define WS_LEN_16 126
#define WS_LEN_64 127
#define WS_CONTROL_MAX 125
#define WS_MASK_BYTES 4

struct ws_header {
	uint64_t len;		/* of the content */
	size_t bytes;		/* of the header, with its mask */
	uint8_t first;		/* FIN, RSV1 and opcode */
};

void
ws_reader_init(struct ws_reader *r, const struct ws_limits *limits)
{
	*r = (struct ws_reader){
		.message_bytes = limits->message_bytes < UINT32_MAX ?
		    (uint32_t)limits->message_bytes : UINT32_MAX,
		.has_deflate = limits->deflate,
	};
}

static enum ws_event
ws_fail(struct ws_reader *r, unsigned code, const char *reason)
{
	r->code = (uint16_t)code;
	r->reason = reason;
	return WS_BAD;
}

/* Turns it so that it begins with the byte that is `by` bytes further on. */
static inline uint32_t
ws_mask_turn(uint32_t mask, size_t by)
{
	unsigned bits = 8 * (by % WS_MASK_BYTES);

	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
		return mask >> bits | mask << (-bits % 32);
	return mask << bits | mask >> (-bits % 32);
}

/* One register, where there are such; else two words. */
struct ws_block {
	uint64_t v __attribute__((vector_size(16)));
};

#define WS_BLOCK_BYTES sizeof(struct ws_block)

static inline struct ws_block
ws_block_unmask(char *p, struct ws_block mask)
{
	struct ws_block b;

	memcpy(&b, p, sizeof(b));
	b.v ^= mask.v;
	memcpy(p, &b, sizeof(b));
	return b;
}

static inline uint64_t
ws_word_unmask(char *p, uint64_t mask)
{
	uint64_t w = word_load(p) ^ mask;

	memcpy(p, &w, sizeof(w));
	return w;
}

/* Fewer than eight bytes. */
static inline uint64_t
ws_rest_unmask(char *p, size_t len, uint32_t mask)
{
	uint8_t key[WS_MASK_BYTES];
	uint64_t seen = 0;
	uint32_t w;

	if (len >= sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		w ^= mask;
		memcpy(p, &w, sizeof(w));
		seen = w;
		p += sizeof(w);
		len -= sizeof(w);
	}
	memcpy(key, &mask, sizeof(key));
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)p[i] ^ key[i];

		p[i] = (char)byte;
		seen |= byte;
	}
	return seen;
}

/* Unmasks; the bits that any of the bytes has now, in some byte's place. */
static inline uint64_t
ws_unmask_look(char *p, size_t len, uint32_t mask)
{
	const uint64_t word = (uint64_t)mask << 32 | mask;
	const struct ws_block all = {{word, word}};
	struct ws_block seen = {{0, 0}};
	uint64_t rest = 0;

	for (; len >= 4 * WS_BLOCK_BYTES; len -= 4 * WS_BLOCK_BYTES) {
		for (size_t i = 0; i < 4; i++, p += WS_BLOCK_BYTES)
			seen.v |= ws_block_unmask(p, all).v;
	}
	for (; len >= WS_BLOCK_BYTES; len -= WS_BLOCK_BYTES) {
		seen.v |= ws_block_unmask(p, all).v;
		p += WS_BLOCK_BYTES;
	}
	if (len >= sizeof(word)) {
		rest = ws_word_unmask(p, word);
		p += sizeof(word);
		len -= sizeof(word);
	}
	rest |= ws_rest_unmask(p, len, mask);
	return seen.v[0] | seen.v[1] | rest;
}

uint32_t
ws_unmask(char *p, size_t len, uint32_t mask)
{
	ws_unmask_look(p, len, mask);
	return ws_mask_turn(mask, len);
}

/* What is wrong with a control frame's first two bytes, or NULL. */
static const char *
ws_control_fault(unsigned first, unsigned second)
{
	/* RFC 6455 5.5 */
	if ((first & WS_OPCODE) > WS_PONG)
		return "reserved opcode";
	if ((first & WS_RSV1) != 0)
		return "compressed control frame";
	if ((first & WS_FIN) == 0)
		return "fragmented control frame";
	if ((second & WS_LEN) > WS_CONTROL_MAX)
		return "control frame of more than 125 bytes";
	return NULL;
}

/* What is wrong with a header's first two bytes, or NULL. */
static const char *
ws_first_fault(const struct ws_reader *r, unsigned first, unsigned second)
{
	unsigned opcode = first & WS_OPCODE;

	/* RFC 6455 5.2; RFC 7692 6 */
	if ((first & WS_RSV2_OR_3) != 0 ||
	    ((first & WS_RSV1) != 0 && !r->has_deflate))
		return "reserved bit set";
	/* RFC 6455 5.1 */
	if ((second & WS_MASKED) == 0)
		return "frame not masked";
	if ((opcode & WS_OPCODE_CONTROL) != 0)
		return ws_control_fault(first, second);
	if (opcode > WS_BINARY)
		return "reserved opcode";
	/* RFC 6455 5.4; RFC 7692 6.1: only a message's first frame. */
	if (opcode == WS_CONTINUATION) {
		if (!r->is_in_message)
			return "continuation of nothing";
		if ((first & WS_RSV1) != 0)
			return "compressed continuation";
	} else if (r->is_in_message)
		return "message inside a message";
	return NULL;
}

static uint64_t
ws_load_be(const char *p, size_t bytes)
{
	uint64_t n = 0;

	for (size_t i = 0; i < bytes; i++)
		n = n << 8 | (uint8_t)p[i];
	return n;
}

/* Reads a length of two or eight bytes; what is wrong with it, or NULL.  RFC
 * 6455 5.2: in the fewest bytes, and the topmost bit is 0. */
static const char *
ws_load_len(const char *p, unsigned code, uint64_t *ret_len)
{
	*ret_len = ws_load_be(p, code == WS_LEN_16 ? 2 : 8);
	if (*ret_len >> 63 != 0)
		return "length beyond 63 bits";
	if (*ret_len < (code == WS_LEN_16 ? WS_LEN_16 : 0x10000))
		return "length in more bytes than it needs";
	return NULL;
}

/* Looks at the header that `in` begins with.  Returns WS_MORE when it isn't
 * whole, WS_BAD, or WS_DATA: it is in *h. */
static enum ws_event
ws_read_header(struct ws_reader *r, struct str in, struct ws_header *h)
{
	const char *fault;
	unsigned second;

	if (in.len < 2)
		return WS_MORE;
	h->first = (uint8_t)in.p[0];
	second = (uint8_t)in.p[1];
	fault = ws_first_fault(r, h->first, second);
	if (fault != NULL)
		return ws_fail(r, WS_CLOSE_PROTOCOL, fault);
	h->len = second & WS_LEN;
	h->bytes = 2 + WS_MASK_BYTES;
	if (h->len >= WS_LEN_16)
		h->bytes += h->len == WS_LEN_16 ? 2 : 8;
	if (in.len < h->bytes)
		return WS_MORE;
	if (h->len >= WS_LEN_16) {
		fault = ws_load_len(in.p + 2, (unsigned)h->len, &h->len);
		if (fault != NULL)
			return ws_fail(r, WS_CLOSE_PROTOCOL, fault);
	}
	return WS_DATA;
}

static inline uint32_t
ws_header_mask(const char *p, const struct ws_header *h)
{
	uint32_t mask;

	memcpy(&mask, p + h->bytes - sizeof(mask), sizeof(mask));
	return mask;
}

static inline void
ws_skip(struct str *in, size_t bytes)
{
	in->p += bytes;
	in->len -= bytes;
}

/* `in` is lent to be written over. */
static inline char *
ws_writable(struct str in)
{
	return (char *)(uintptr_t)in.p;
}

/* A control frame is given out whole, and until then not touched. */
static enum ws_event
ws_take_control(struct ws_reader *r, struct str *in,
    const struct ws_header *h, struct str *ret_piece)
{
	uint32_t mask = ws_header_mask(in->p, h);

	if (in->len < h->bytes + h->len)
		return WS_MORE;
	ws_skip(in, h->bytes);
	*ret_piece = str_from(in->p, (size_t)h->len);
	ws_unmask(ws_writable(*ret_piece), ret_piece->len, mask);
	ws_skip(in, ret_piece->len);
	r->opcode = h->first & WS_OPCODE;
	return WS_CONTROL;
}

/* A data frame begins: takes its header.  Returns WS_DATA, or WS_BAD. */
static inline enum ws_event
ws_begin(struct ws_reader *r, struct str *in, const struct ws_header *h)
{
	unsigned opcode = h->first & WS_OPCODE;

	if (opcode != WS_CONTINUATION) {
		r->message_opcode = (uint8_t)opcode;
		r->message_left = r->message_bytes;
		r->is_compressed = (h->first & WS_RSV1) != 0;
	}
	if (h->len > r->message_left)
		return ws_fail(r, WS_CLOSE_TOO_BIG, "message too long");
	r->left = (uint32_t)h->len;
	r->message_left -= r->left;
	r->mask = ws_header_mask(in->p, h);
	r->is_final = (h->first & WS_FIN) != 0;
	r->is_in_message = true;
	r->is_in_frame = true;
	ws_skip(in, h->bytes);
	return WS_DATA;
}

/* Whether the message may go on with the piece, or end with it. */
static inline bool
ws_text_is_valid(struct ws_reader *r, struct str piece, uint64_t seen)
{
	if (r->message_opcode != WS_TEXT || r->is_compressed)
		return true;
	if (((seen & WORD_HIGH) != 0 || !utf8_is_whole(&r->utf8)) &&
	    !utf8_feed(&r->utf8, piece))
		return false;
	return r->is_in_message || utf8_is_whole(&r->utf8);
}

/* Content: as much of the frame's as there is. */
static inline enum ws_event
ws_take_content(struct ws_reader *r, struct str *in, struct str *ret_piece)
{
	size_t len = in->len < r->left ? in->len : r->left;
	struct str piece = str_from(in->p, len);
	uint64_t seen = ws_unmask_look(ws_writable(piece), len, r->mask);

	ws_skip(in, len);
	r->left -= (uint32_t)len;
	r->is_in_frame = r->left > 0;
	if (r->is_in_frame)
		r->mask = ws_mask_turn(r->mask, len);
	else if (r->is_final)
		r->is_in_message = false;
	if (!ws_text_is_valid(r, piece, seen))
		return ws_fail(r, WS_CLOSE_BAD_DATA, "text isn't UTF-8");
	r->opcode = r->message_opcode;
	*ret_piece = piece;
	return r->is_in_message ? WS_DATA : WS_DATA_END;
}

enum ws_event
ws_read(struct ws_reader *r, struct str *in, struct str *ret_piece)
{
	struct ws_header h;
	enum ws_event ev;

	if (r->code != 0)
		return WS_BAD;
	do {
		if (!r->is_in_frame) {
			ev = ws_read_header(r, *in, &h);
			if (ev != WS_DATA)
				return ev;
			if ((h.first & WS_OPCODE_CONTROL) != 0)
				return ws_take_control(r, in, &h, ret_piece);
			if (ws_begin(r, in, &h) == WS_BAD)
				return WS_BAD;
		}
		if (in->len == 0 && r->left > 0)
			return WS_MORE;
		ev = ws_take_content(r, in, ret_piece);
		/* An empty fragment is nothing to tell of. */
	} while (ev == WS_DATA && ret_piece->len == 0);
	return ev;
}

size_t
ws_write_header(char *to, unsigned opcode, uint64_t len)
{
	size_t bytes = len < WS_LEN_16 ? 0 : len < 0x10000 ? 2 : 8;

	to[0] = (char)opcode;
	to[1] = (char)(bytes == 0 ? len : bytes == 2 ? WS_LEN_16 : WS_LEN_64);
	for (size_t i = 0; i < bytes; i++)
		to[2 + i] = (char)(len >> (8 * (bytes - 1 - i)));
	return 2 + bytes;
}

bool
ws_close_code_is_valid(unsigned code)
{
	/* RFC 6455 7.4.1: 1005, 1006 and 1015 are never sent; 1012 to 1014
	 * were registered later, 1004 never was. */
	return (code >= 1000 && code <= 1014 && code != 1004 &&
	    code != WS_CLOSE_NONE && code != WS_CLOSE_ABNORMAL) ||
	    (code >= 3000 && code <= 4999);
}

static bool
ws_close_fail(struct ws_close *ret_close, unsigned code, const char *error,
    const char **ret_error)
{
	*ret_close = (struct ws_close){.code = code, .reason = STR("")};
	*ret_error = error;
	return false;
}

bool
ws_close_parse(struct str content, struct ws_close *ret_close,
    const char **ret_error)
{
	unsigned code;

	*ret_close = (struct ws_close){WS_CLOSE_NONE, STR("")};
	if (content.len == 0)
		return true;
	/* RFC 6455 5.5.1 */
	if (content.len == 1)
		return ws_close_fail(ret_close, WS_CLOSE_PROTOCOL,
		    "close frame of one byte", ret_error);
	code = (unsigned)ws_load_be(content.p, 2);
	if (!ws_close_code_is_valid(code))
		return ws_close_fail(ret_close, WS_CLOSE_PROTOCOL,
		    "close code that can't be sent", ret_error);
	ws_skip(&content, 2);
	if (!utf8_is_valid(content))
		return ws_close_fail(ret_close, WS_CLOSE_BAD_DATA,
		    "close reason isn't UTF-8", ret_error);
	*ret_close = (struct ws_close){code, content};
	return true;
}
