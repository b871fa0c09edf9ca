/* SPDX-License-Identifier: MIT */
/*
 * WebSocket frames: the events are the same however the bytes are cut up, texts
 * are UTF-8, and no limit is passed.
 *
 *	flags  count  sizes[count]  the client's bytes
 */
#include <string.h>

#include "common/buf.h"
#include "server/ws_frame.h"
#include "tests/fuzz/fuzz.h"

#define SIZES_MAX 15
#define FLAG_DEFLATE 1
#define FLAG_SHORT 2

/* All that came out: whole messages and control frames in `events`, what there
 * is of the last message in `open`. */
struct told {
	struct ws_reader reader;
	struct buf events, open;
	bool is_bad;
};

static void
told_init(struct told *t, unsigned flags)
{
	*t = (struct told){.is_bad = false};
	ws_reader_init(&t->reader, &(struct ws_limits){
	    .message_bytes = (flags & FLAG_SHORT) != 0 ? 100 : 1 << 20,
	    .deflate = (flags & FLAG_DEFLATE) != 0});
}

static void
told_done(struct told *t)
{
	buf_done(&t->events);
	buf_done(&t->open);
}

/* Character by character: another way than the reader's. */
static bool
is_utf8(struct str s)
{
	size_t len;

	while ((len = utf8_length(s)) > 0) {
		s.p += len;
		s.len -= len;
	}
	return s.len == 0;
}

static void
told_message(struct told *t)
{
	struct str message = buf_str(&t->open);

	FUZZ_PROMISE(message.len <= t->reader.message_bytes);
	FUZZ_PROMISE(t->reader.opcode == WS_TEXT ||
	    t->reader.opcode == WS_BINARY);
	FUZZ_PROMISE(t->reader.opcode == WS_BINARY ||
	    t->reader.is_compressed || is_utf8(message));
	buf_printf(&t->events, "%d,%d,%zu:", t->reader.opcode,
	    t->reader.is_compressed, message.len);
	buf_add(&t->events, message);
	buf_clear(&t->open);
}

static void
told_control(struct told *t, struct str content)
{
	struct ws_close end;
	const char *error = NULL;

	FUZZ_PROMISE(content.len <= 125);
	FUZZ_PROMISE(t->reader.opcode >= WS_CLOSE &&
	    t->reader.opcode <= WS_PONG);
	buf_printf(&t->events, "%d,%zu:", t->reader.opcode, content.len);
	buf_add(&t->events, content);
	if (t->reader.opcode != WS_CLOSE)
		return;
	if (ws_close_parse(content, &end, &error))
		FUZZ_PROMISE(end.code == WS_CLOSE_NONE ||
		    ws_close_code_is_valid(end.code));
	else
		FUZZ_PROMISE(error != NULL);
}

/* Returns how much of `in` is left. */
static size_t
told_feed(struct told *t, struct str in)
{
	const char *end = in.p + in.len;
	struct str piece;

	for (;;) {
		enum ws_event ev = ws_read(&t->reader, &in, &piece);

		FUZZ_PROMISE(in.p + in.len == end);
		switch (ev) {
		case WS_MORE:
			FUZZ_PROMISE(in.len < 6 + 125);
			return in.len;
		case WS_DATA:
		case WS_DATA_END:
			buf_add(&t->open, piece);
			if (ev == WS_DATA_END)
				told_message(t);
			break;
		case WS_CONTROL:
			told_control(t, piece);
			break;
		case WS_BAD:
			FUZZ_PROMISE(t->reader.reason != NULL);
			buf_printf(&t->events, "!%u %s", t->reader.code,
			    t->reader.reason);
			t->is_bad = true;
			return 0;
		}
	}
}

/* Feeds copies, each of exactly its size. */
static void
told_feed_cut(struct told *t, struct str in, const uint8_t *sizes,
    size_t size_count)
{
	char *kept = NULL;
	size_t kept_len = 0;

	for (size_t i = 0; in.len > 0 && !t->is_bad; i++) {
		size_t n = size_count > 0 ? sizes[i % size_count] + 1u : in.len;
		char *p;

		n = n < in.len ? n : in.len;
		p = malloc(kept_len + n);
		if (p == NULL)
			abort();
		if (kept_len > 0)
			memcpy(p, kept, kept_len);
		memcpy(p + kept_len, in.p, n);
		free(kept);
		in.p += n;
		in.len -= n;
		n += kept_len;
		kept_len = told_feed(t, str_from(p, n));
		memmove(p, p + n - kept_len, kept_len);
		kept = p;
	}
	free(kept);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct told whole, cut;
	struct str in;
	size_t size_count;

	if (size < 2)
		return 0;
	size_count = data[1] & SIZES_MAX;
	if (size - 2 < size_count)
		return 0;
	in = str_from((const char *)data + 2 + size_count,
	    size - 2 - size_count);
	told_init(&whole, data[0]);
	told_init(&cut, data[0]);
	told_feed_cut(&whole, in, NULL, 0);
	told_feed_cut(&cut, in, data + 2, size_count);
	FUZZ_PROMISE(str_eq(buf_str(&whole.events), buf_str(&cut.events)));
	/* A fault is seen before what is in front of it is given out, or
	 * after. */
	if (whole.is_bad)
		FUZZ_PROMISE(str_has_prefix(buf_str(&cut.open),
		    buf_str(&whole.open)));
	else
		FUZZ_PROMISE(str_eq(buf_str(&cut.open), buf_str(&whole.open)));
	told_done(&whole);
	told_done(&cut);
	return 0;
}
