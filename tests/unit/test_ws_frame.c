/* SPDX-License-Identifier: MIT */
/*
 * Proves the codec of WebSocket frames: what RFC 6455 allows comes out, what it
 * forbids fails with the right code, and both in the same way however the bytes
 * are cut up on their way.
 *
 * Context: no loop.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "server/ws_frame.h"
#include "tests/unit/unit.h"

#define FIN WS_FIN
#define RSV1 WS_RSV1

enum how {
	MASKED,
	UNMASKED,
	LEN_16,			/* in two bytes, needed or not */
	LEN_64,
	LEN_64_TOP,		/* with the top bit set */
	HEADER_ONLY		/* its content never comes */
};

struct frame {
	unsigned first;
	const char *content;	/* NULL: no more frames */
	enum how how;
};

/* What a client would send, with a mask of its own for each frame. */
static void
frame_add(const struct frame *f, struct buf *out)
{
	static const char masks[][4] = {
		{0x37, (char)0xfa, 0x21, 0x3d}, {0, 0, 0, 0},
		{(char)0xff, 1, (char)0x80, 0x7f}
	};
	const char *mask = masks[out->len % UNIT_COUNT(masks)];
	size_t len = strlen(f->content);
	unsigned bits = f->how == UNMASKED ? 0 : 0x80;
	unsigned code = len < 126 ? (unsigned)len : 126;
	int bytes = code == 126 ? 2 : 0;

	if (f->how == LEN_16) {
		code = 126;
		bytes = 2;
	} else if (f->how == LEN_64 || f->how == LEN_64_TOP) {
		code = 127;
		bytes = 8;
	}
	buf_add_byte(out, (char)f->first);
	buf_add_byte(out, (char)(bits | code));
	for (int i = bytes - 1; i >= 0; i--) {
		unsigned top = f->how == LEN_64_TOP && i == 7 ? 0x80 : 0;

		buf_add_byte(out, (char)(((uint64_t)len >> (8 * i)) | top));
	}
	if (bits != 0)
		buf_add(out, str_from(mask, 4));
	for (size_t i = 0; i < len && f->how != HEADER_ONLY; i++)
		buf_add_byte(out, bits != 0 ? f->content[i] ^ mask[i % 4]
		    : f->content[i]);
}

/*
 * What came out, as text: "text(Hello) ping() !1002 reserved opcode".  Only
 * whole messages are in it: a part of one is nobody's before its end.
 */
struct told {
	struct ws_reader reader;
	struct buf text, message;
	bool is_over;
};

static void
told_init(struct told *t, size_t max_bytes, bool deflate)
{
	*t = (struct told){.is_over = false};
	ws_reader_init(&t->reader,
	    &(struct ws_limits){.message_bytes = max_bytes,
	    .deflate = deflate});
}

static void
told_done(struct told *t)
{
	buf_done(&t->text);
	buf_done(&t->message);
}

static void
told_add(struct told *t, const char *name, struct str content)
{
	buf_printf(&t->text, "%s%s%s(", t->text.len > 0 ? " " : "",
	    t->reader.opcode < WS_CLOSE && t->reader.is_compressed ? "z-" : "",
	    name);
	buf_add(&t->text, content);
	buf_add_byte(&t->text, ')');
}

/* Feeds all of `in`; returns how much is left of it. */
static size_t
told_feed(struct told *t, struct str in)
{
	static const char *const names[] = {[WS_TEXT] = "text",
		[WS_BINARY] = "binary", [WS_CLOSE] = "close",
		[WS_PING] = "ping", [WS_PONG] = "pong"};
	struct str piece;

	for (;;) {
		switch (ws_read(&t->reader, &in, &piece)) {
		case WS_MORE:
			return in.len;
		case WS_DATA:
			assert_true(piece.len > 0);
			buf_add(&t->message, piece);
			break;
		case WS_DATA_END:
			buf_add(&t->message, piece);
			told_add(t, names[t->reader.opcode],
			    buf_str(&t->message));
			buf_clear(&t->message);
			break;
		case WS_CONTROL:
			told_add(t, names[t->reader.opcode], piece);
			break;
		case WS_BAD:
			buf_printf(&t->text, "%s!%u %s",
			    t->text.len > 0 ? " " : "", t->reader.code,
			    t->reader.reason);
			t->is_over = true;
			return 0;
		}
	}
}

/* Feeds `in` in pieces of `first` bytes, then of `step`; what is left of each
 * comes again, at another place, in front of the next. */
static void
told_feed_cut(struct told *t, struct str in, size_t first, size_t step)
{
	char *kept = NULL;
	size_t len = 0, n = first;

	while (in.len > 0 && !t->is_over) {
		char *p;
		size_t left;

		if (n > in.len)
			n = in.len;
		p = malloc(len + n);
		assert_non_null(p);
		memcpy(p + len, in.p, n);
		if (len > 0)
			memcpy(p, kept, len);
		free(kept);
		in.p += n;
		in.len -= n;
		len += n;
		left = told_feed(t, str_from(p, len));
		memmove(p, p + len - left, left);
		kept = p;
		len = left;
		/* A header, or a control frame with its own. */
		assert_true(len < 6 + 125);
		n = step;
	}
	free(kept);
}

#define FRAMES_MAX 6

static const struct {
	const char *name;
	struct frame frames[FRAMES_MAX];
	const char *want;
	size_t max_bytes;	/* 0: 1000 */
	bool deflate;
} cases[] = {
	{"a text", {{FIN | WS_TEXT, "Hello", MASKED}}, "text(Hello)", 0, false},
	{"an empty text", {{FIN | WS_TEXT, "", MASKED}}, "text()", 0, false},
	{"binary content may be any bytes",
	    {{FIN | WS_BINARY, "\xff\xfe\x80", MASKED}},
	    "binary(\xff\xfe\x80)", 0, false},
	{"one message after the other",
	    {{FIN | WS_TEXT, "a", MASKED}, {FIN | WS_BINARY, "b", MASKED},
	    {FIN | WS_TEXT, "", MASKED}, {FIN | WS_TEXT, "c", MASKED}},
	    "text(a) binary(b) text() text(c)", 0, false},
	{"fragments make one message",
	    {{WS_TEXT, "Hel", MASKED}, {WS_CONTINUATION, "l", MASKED},
	    {FIN | WS_CONTINUATION, "o", MASKED}}, "text(Hello)", 0, false},
	{"empty fragments are fragments",
	    {{WS_TEXT, "", MASKED}, {WS_CONTINUATION, "", MASKED},
	    {WS_CONTINUATION, "x", MASKED},
	    {FIN | WS_CONTINUATION, "", MASKED}}, "text(x)", 0, false},
	{"control frames come between fragments, and the message goes on",
	    {{WS_BINARY, "a", MASKED}, {FIN | WS_PING, "p", MASKED},
	    {WS_CONTINUATION, "b", MASKED}, {FIN | WS_PONG, "", MASKED},
	    {FIN | WS_CONTINUATION, "c", MASKED}},
	    "ping(p) pong() binary(abc)", 0, false},
	{"a close frame is a control frame like others",
	    {{FIN | WS_CLOSE, "\x03\xe9x", MASKED}}, "close(\x03\xe9x)", 0,
	    false},

	{"a reserved bit", {{FIN | 0x20 | WS_TEXT, "a", MASKED}},
	    "!1002 reserved bit set", 0, true},
	{"the other reserved bit", {{FIN | 0x10 | WS_PING, "a", MASKED}},
	    "!1002 reserved bit set", 0, true},
	{"RSV1 where no extension was agreed on",
	    {{FIN | RSV1 | WS_TEXT, "a", MASKED}}, "!1002 reserved bit set", 0,
	    false},
	{"the first reserved opcode for data", {{FIN | 0x3, "a", MASKED}},
	    "!1002 reserved opcode", 0, false},
	{"the last reserved opcode for data", {{FIN | 0x7, "a", MASKED}},
	    "!1002 reserved opcode", 0, false},
	{"the first reserved opcode for control", {{FIN | 0xb, "a", MASKED}},
	    "!1002 reserved opcode", 0, false},
	{"the last reserved opcode for control", {{FIN | 0xf, "a", MASKED}},
	    "!1002 reserved opcode", 0, false},
	{"a ping in fragments", {{WS_PING, "a", MASKED}},
	    "!1002 fragmented control frame", 0, false},
	{"a client's frame without a mask",
	    {{FIN | WS_TEXT, "a", UNMASKED}}, "!1002 frame not masked", 0,
	    false},
	{"a control frame without a mask",
	    {{FIN | WS_PING, "", UNMASKED}}, "!1002 frame not masked", 0,
	    false},
	{"a short length in two bytes", {{FIN | WS_TEXT, "a", LEN_16}},
	    "!1002 length in more bytes than it needs", 0, false},
	{"a short length in eight bytes", {{FIN | WS_TEXT, "a", LEN_64}},
	    "!1002 length in more bytes than it needs", 0, false},
	{"a length with its top bit set",
	    {{FIN | WS_TEXT, "a", LEN_64_TOP}}, "!1002 length beyond 63 bits",
	    0, false},
	{"a control frame with a length in two bytes",
	    {{FIN | WS_PING, "a", LEN_16}},
	    "!1002 control frame of more than 125 bytes", 0, false},
	{"a continuation of nothing", {{FIN | WS_CONTINUATION, "a", MASKED}},
	    "!1002 continuation of nothing", 0, false},
	{"a continuation of what has ended",
	    {{WS_TEXT, "a", MASKED}, {FIN | WS_CONTINUATION, "b", MASKED},
	    {FIN | WS_CONTINUATION, "c", MASKED}},
	    "text(ab) !1002 continuation of nothing", 0, false},
	{"a message inside a message",
	    {{WS_TEXT, "a", MASKED}, {FIN | WS_TEXT, "b", MASKED}},
	    "!1002 message inside a message", 0, false},
	{"what came before a fault is whole",
	    {{FIN | WS_TEXT, "a", MASKED}, {FIN | WS_PING, "b", MASKED},
	    {FIN | 0xb, "c", MASKED}, {FIN | WS_TEXT, "d", MASKED}},
	    "text(a) ping(b) !1002 reserved opcode", 0, false},

	{"a message as long as allowed", {{FIN | WS_TEXT, "1234", MASKED}},
	    "text(1234)", 4, false},
	{"a longer one is refused by its header",
	    {{FIN | WS_TEXT, "12345", HEADER_ONLY}},
	    "!1009 message too long", 4, false},
	{"fragments count together",
	    {{WS_TEXT, "123", MASKED}, {WS_CONTINUATION, "4", MASKED},
	    {FIN | WS_CONTINUATION, "5", HEADER_ONLY}},
	    "!1009 message too long", 4, false},
	{"the limit is a message's, not a connection's",
	    {{FIN | WS_TEXT, "1234", MASKED}, {WS_TEXT, "12", MASKED},
	    {FIN | WS_CONTINUATION, "34", MASKED}}, "text(1234) text(1234)", 4,
	    false},
	{"a control frame counts for nothing",
	    {{WS_TEXT, "123", MASKED}, {FIN | WS_PING, "123456", MASKED},
	    {FIN | WS_CONTINUATION, "4", MASKED}}, "ping(123456) text(1234)",
	    4, false},

	{"text that is UTF-8",
	    {{FIN | WS_TEXT, "\xce\xba\xe1\xbd\xb9\xf0\x9f\x98\x80", MASKED}},
	    "text(\xce\xba\xe1\xbd\xb9\xf0\x9f\x98\x80)", 0, false},
	{"text that isn't", {{FIN | WS_TEXT, "a\xff", MASKED}},
	    "!1007 text isn't UTF-8", 0, false},
	{"a character over two fragments",
	    {{WS_TEXT, "\xf0\x9f", MASKED},
	    {FIN | WS_CONTINUATION, "\x98\x80", MASKED}},
	    "text(\xf0\x9f\x98\x80)", 0, false},
	{"a character over four fragments, a ping inside",
	    {{WS_TEXT, "\xf0", MASKED}, {WS_CONTINUATION, "\x9f", MASKED},
	    {FIN | WS_PING, "\xff", MASKED}, {WS_CONTINUATION, "", MASKED},
	    {WS_CONTINUATION, "\x98", MASKED},
	    {FIN | WS_CONTINUATION, "\x80", MASKED}},
	    "ping(\xff) text(\xf0\x9f\x98\x80)", 0, false},
	{"a character that is cut by the end",
	    {{FIN | WS_TEXT, "a\xf0\x9f\x98", MASKED}},
	    "!1007 text isn't UTF-8", 0, false},
	{"a character that is cut by an empty last fragment",
	    {{WS_TEXT, "a\xc3", MASKED}, {FIN | WS_CONTINUATION, "", MASKED}},
	    "!1007 text isn't UTF-8", 0, false},
	{"a character doesn't go on in the next message",
	    {{FIN | WS_BINARY, "\xc3", MASKED},
	    {FIN | WS_TEXT, "\xa4", MASKED}},
	    "binary(\xc3) !1007 text isn't UTF-8", 0, false},
	{"ASCII where a character must go on",
	    {{WS_TEXT, "\xc3", MASKED}, {FIN | WS_CONTINUATION,
	    "0123456789012345678901234567890123456789", MASKED}},
	    "!1007 text isn't UTF-8", 0, false},
	{"ASCII inside a character",
	    {{WS_TEXT, "\xc3", MASKED}, {WS_CONTINUATION, "x", MASKED},
	    {FIN | WS_CONTINUATION, "\xa4", MASKED}},
	    "!1007 text isn't UTF-8", 0, false},
	{"it fails before the message ends",
	    {{WS_TEXT, "\xf4\x90", MASKED}, {WS_CONTINUATION, "", MASKED}},
	    "!1007 text isn't UTF-8", 0, false},

	{"compressed content is given out as it is",
	    {{FIN | RSV1 | WS_TEXT, "\xff\x01", MASKED}}, "z-text(\xff\x01)",
	    0, true},
	{"RSV1 says so for all of its fragments, and for them alone",
	    {{RSV1 | WS_TEXT, "\xff", MASKED},
	    {FIN | WS_CONTINUATION, "\xfe", MASKED},
	    {FIN | WS_TEXT, "plain", MASKED}}, "z-text(\xff\xfe) text(plain)",
	    0, true},
	{"RSV1 in a continuation",
	    {{RSV1 | WS_TEXT, "a", MASKED},
	    {FIN | RSV1 | WS_CONTINUATION, "b", MASKED}},
	    "!1002 compressed continuation", 0, true},
	{"RSV1 in a control frame", {{FIN | RSV1 | WS_PING, "a", MASKED}},
	    "!1002 compressed control frame", 0, true},
};

static void
each_case_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		size_t max_bytes = cases[i].max_bytes;
		struct buf in;

		buf_init(&in, 0);
		for (size_t k = 0; k < FRAMES_MAX; k++) {
			if (cases[i].frames[k].content != NULL)
				frame_add(&cases[i].frames[k], &in);
		}
		/* In two pieces, and at last whole; then byte by byte. */
		for (size_t first = 1; first <= in.len + 1; first++) {
			struct told t;

			told_init(&t, max_bytes != 0 ? max_bytes : 1000,
			    cases[i].deflate);
			told_feed_cut(&t, buf_str(&in),
			    first <= in.len ? first : 1,
			    first <= in.len ? in.len : 1);
			unit_check_str(buf_str(&t.text),
			    str_of(cases[i].want), cases[i].name);
			told_done(&t);
		}
		buf_done(&in);
	}
}

static void
the_examples_of_rfc_6455_5_7(void **state)
{
	static const struct {
		const char *name;
		struct str in;
		const char *want;
	} examples[] = {
		{"a single-frame masked text message",
		    STR_INIT("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
		    "text(Hello)"},
		{"a masked pong",
		    STR_INIT("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
		    "pong(Hello)"},
		{"an unmasked text message, which only a server may send",
		    STR_INIT("\x81\x05\x48\x65\x6c\x6c\x6f"),
		    "!1002 frame not masked"},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(examples); i++) {
		struct told t;

		told_init(&t, 1000, false);
		told_feed_cut(&t, examples[i].in, 1000, 1);
		unit_check_str(buf_str(&t.text), str_of(examples[i].want),
		    examples[i].name);
		told_done(&t);
	}
}

static void
headers_that_are_written(void **state)
{
	static const struct {
		const char *name;
		unsigned opcode;
		uint64_t len;
		struct str want;
	} headers[] = {
		{"an unmasked text", WS_FIN | WS_TEXT, 5, STR_INIT("\x81\x05")},
		{"a first fragment", WS_TEXT, 3, STR_INIT("\x01\x03")},
		{"compressed", WS_FIN | WS_RSV1 | WS_TEXT, 7,
		    STR_INIT("\xc1\x07")},
		{"a close frame of nothing", WS_FIN | WS_CLOSE, 0,
		    STR_INIT("\x88\x00")},
		{"the longest in one byte", WS_FIN | WS_BINARY, 125,
		    STR_INIT("\x82\x7d")},
		{"the shortest in two", WS_FIN | WS_BINARY, 126,
		    STR_INIT("\x82\x7e\x00\x7e")},
		{"256 bytes", WS_FIN | WS_BINARY, 256,
		    STR_INIT("\x82\x7e\x01\x00")},
		{"the longest in two", WS_FIN | WS_BINARY, 65535,
		    STR_INIT("\x82\x7e\xff\xff")},
		{"64 KiB", WS_FIN | WS_BINARY, 65536,
		    STR_INIT("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00")},
		{"more than 4 GiB", WS_FIN | WS_BINARY, 0x123456789a,
		    STR_INIT("\x82\x7f\x00\x00\x00\x12\x34\x56\x78\x9a")},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(headers); i++) {
		char out[WS_HEADER_MAX];
		size_t len = ws_write_header(out, headers[i].opcode,
		    headers[i].len);

		unit_check_str(str_from(out, len), headers[i].want,
		    headers[i].name);
	}
}

/* A frame of `len` bytes "x". */
static void
long_frame_add(unsigned first, size_t len, enum how how, struct buf *out)
{
	char *content = malloc(len + 1);

	assert_non_null(content);
	memset(content, 'x', len);
	content[len] = '\0';
	frame_add(&(struct frame){first, content, how}, out);
	free(content);
}

static void
lengths_in_more_bytes_than_they_need(void **state)
{
	static const struct {
		size_t len;
		enum how how;
	} lengths[] = {{0, LEN_16}, {125, LEN_16}, {126, LEN_64},
		{65535, LEN_64}};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(lengths); i++) {
		struct buf in;
		struct told t;

		buf_init(&in, 0);
		long_frame_add(FIN | WS_BINARY, lengths[i].len, lengths[i].how,
		    &in);
		told_init(&t, 65536, false);
		told_feed_cut(&t, buf_str(&in), in.len, 1);
		unit_check_str(buf_str(&t.text),
		    STR("!1002 length in more bytes than it needs"),
		    "a length");
		told_done(&t);
		buf_done(&in);
	}
}

static void
a_bad_byte_is_seen_at_any_place_of_a_frame(void **state)
{
	(void)state;
	for (size_t len = 1; len <= 125; len++) {
		for (size_t at = 0; at < len; at++) {
			struct buf in;
			struct told t;

			buf_init(&in, 0);
			long_frame_add(FIN | WS_TEXT, len, MASKED, &in);
			in.p[6 + at] ^= (char)0x80;
			told_init(&t, 125, false);
			told_feed_cut(&t, buf_str(&in), in.len, 1);
			unit_check_str(buf_str(&t.text),
			    STR("!1007 text isn't UTF-8"), "a bad byte");
			told_done(&t);
			buf_done(&in);
		}
	}
}

static void
lengths_at_their_limits(void **state)
{
	static const struct {
		unsigned first;
		size_t len, header_bytes;
	} lengths[] = {
		{FIN | WS_TEXT, 125, 6}, {FIN | WS_TEXT, 126, 8},
		{FIN | WS_TEXT, 65535, 8}, {FIN | WS_TEXT, 65536, 14},
		{FIN | WS_PING, 125, 6}
	};
	static const size_t steps[] = {1, 7, 4096, 1 << 20};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(lengths) * UNIT_COUNT(steps); i++) {
		size_t len = lengths[i / UNIT_COUNT(steps)].len;
		size_t step = steps[i % UNIT_COUNT(steps)];
		unsigned first = lengths[i / UNIT_COUNT(steps)].first;
		struct buf in;
		struct told t;

		buf_init(&in, 0);
		long_frame_add(first, len, len < 65536 ? MASKED : LEN_64,
		    &in);
		assert_int_equal(in.len,
		    len + lengths[i / UNIT_COUNT(steps)].header_bytes);
		told_init(&t, 65536, false);
		told_feed_cut(&t, buf_str(&in), step, step);
		assert_int_equal(t.text.len, len + strlen("text()"));
		for (size_t k = 5; k < 5 + len; k++)
			assert_int_equal(t.text.p[k], 'x');
		told_done(&t);
		buf_done(&in);
	}
}

static void
a_control_frame_of_126_bytes_is_refused(void **state)
{
	struct buf in;
	struct told t;

	(void)state;
	buf_init(&in, 0);
	long_frame_add(FIN | WS_PING, 126, MASKED, &in);
	told_init(&t, 1000, false);
	/* By its second byte: no more is needed. */
	told_feed_cut(&t, str_from(in.p, 2), 2, 2);
	unit_check_str(buf_str(&t.text),
	    STR("!1002 control frame of more than 125 bytes"), "two bytes");
	told_done(&t);
	buf_done(&in);
}

static void
a_message_may_have_65536_fragments(void **state)
{
	const size_t count = 65536;
	struct buf in;
	struct told t;

	(void)state;
	buf_init(&in, 0);
	for (size_t i = 0; i < count; i++)
		frame_add(&(struct frame){
		    (i == 0 ? WS_TEXT : WS_CONTINUATION) |
		    (i + 1 == count ? FIN : 0), "x", MASKED}, &in);
	told_init(&t, count, false);
	told_feed_cut(&t, buf_str(&in), in.len, 1);
	assert_int_equal(t.text.len, count + strlen("text()"));
	told_done(&t);
	buf_done(&in);
}

static void
once_bad_it_stays_bad(void **state)
{
	struct ws_reader r;
	char bytes[] = "\xff\x80" "\x81\x80\0\0\0\0";
	struct str in = str_from(bytes, sizeof(bytes) - 1), piece;

	(void)state;
	ws_reader_init(&r, &(struct ws_limits){.message_bytes = 10});
	assert_int_equal(ws_read(&r, &in, &piece), WS_BAD);
	in = str_from(bytes + 2, sizeof(bytes) - 3);
	assert_int_equal(ws_read(&r, &in, &piece), WS_BAD);
	assert_int_equal(r.code, WS_CLOSE_PROTOCOL);
}

static void
masks_at_any_place_and_of_any_length(void **state)
{
	static const char mask_bytes[4] = {0x12, (char)0xfe, 0x00, (char)0x81};
	char data[16 + 300], want[16 + 300];
	uint32_t mask, turned, want_mask;

	(void)state;
	memcpy(&mask, mask_bytes, sizeof(mask));
	for (size_t at = 0; at < 16; at++) {
		for (size_t len = 0; len <= 280; len++) {
			char next[4];

			for (size_t i = 0; i < sizeof(data); i++)
				data[i] = want[i] = (char)(i * 7);
			for (size_t i = 0; i < len; i++)
				want[at + i] ^= mask_bytes[i % 4];
			for (size_t i = 0; i < 4; i++)
				next[i] = mask_bytes[(len + i) % 4];
			memcpy(&want_mask, next, sizeof(next));
			turned = ws_unmask(data + at, len, mask);
			assert_memory_equal(data, want, sizeof(data));
			assert_int_equal(turned, want_mask);
		}
	}
}

static void
codes_that_may_be_sent(void **state)
{
	(void)state;
	for (unsigned code = 0; code <= 65535; code++) {
		bool valid = (code >= 1000 && code <= 1003) ||
		    (code >= 1007 && code <= 1014) ||
		    (code >= 3000 && code <= 4999);

		assert_int_equal(ws_close_code_is_valid(code), valid);
	}
}

static void
close_frames(void **state)
{
	static const struct {
		const char *name;
		struct str content;
		bool ok;
		unsigned code;
		const char *text;	/* the reason, or what is wrong */
	} closes[] = {
		{"empty", STR_INIT(""), true, WS_CLOSE_NONE, ""},
		{"a code", STR_INIT("\x03\xe8"), true, 1000, ""},
		{"a code and a reason", STR_INIT("\x0f\xa0" "b\xc3\xa4"), true,
		    4000, "b\xc3\xa4"},
		{"half a code", STR_INIT("\x03"), false, WS_CLOSE_PROTOCOL,
		    "close frame of one byte"},
		{"a code of zero", STR_INIT("\x00\x00"), false,
		    WS_CLOSE_PROTOCOL, "close code that can't be sent"},
		{"a code that is for use inside", STR_INIT("\x03\xed"), false,
		    WS_CLOSE_PROTOCOL, "close code that can't be sent"},
		{"a code of nobody's", STR_INIT("\x07\xd0 reason"), false,
		    WS_CLOSE_PROTOCOL, "close code that can't be sent"},
		{"a reason that isn't UTF-8", STR_INIT("\x03\xe8" "a\xff"),
		    false, WS_CLOSE_BAD_DATA, "close reason isn't UTF-8"},
		{"a reason that is cut", STR_INIT("\x03\xe8" "a\xc3"), false,
		    WS_CLOSE_BAD_DATA, "close reason isn't UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(closes); i++) {
		struct ws_close got;
		const char *error = "";
		bool ok = ws_close_parse(closes[i].content, &got, &error);

		unit_check(ok == closes[i].ok, closes[i].name);
		unit_check(got.code == closes[i].code, closes[i].name);
		unit_check_str(ok ? got.reason : str_of(error),
		    str_of(closes[i].text), closes[i].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case_cut_anywhere),
		cmocka_unit_test(the_examples_of_rfc_6455_5_7),
		cmocka_unit_test(headers_that_are_written),
		cmocka_unit_test(lengths_in_more_bytes_than_they_need),
		cmocka_unit_test(a_bad_byte_is_seen_at_any_place_of_a_frame),
		cmocka_unit_test(lengths_at_their_limits),
		cmocka_unit_test(a_control_frame_of_126_bytes_is_refused),
		cmocka_unit_test(a_message_may_have_65536_fragments),
		cmocka_unit_test(once_bad_it_stays_bad),
		cmocka_unit_test(masks_at_any_place_and_of_any_length),
		cmocka_unit_test(codes_that_may_be_sent),
		cmocka_unit_test(close_frames),
	};

	return UNIT_RUN(tests);
}
