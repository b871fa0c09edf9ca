/* SPDX-License-Identifier: MIT */
/*
 * Frames of a client that are right, or as wrong as a test wants them.
 *
 * Owns nothing.
 * Here: bytes.  Not here: what is right (the tests).
 * Context: the test's thread.
 */
#include "tests/unit/ws_wire.h"

#include "tests/unit/unit.h"

void
ws_wire_put(struct buf *out, unsigned first, struct str content,
    bool is_masked)
{
	static const char mask[] = {0x12, 0x34, 0x56, 0x78};
	char header[WS_HEADER_MAX];
	size_t len = ws_write_header(header, first, content.len);

	if (is_masked)
		header[1] = (char)(header[1] | 0x80);
	buf_add(out, str_from(header, len));
	if (!is_masked) {
		buf_add(out, content);
		return;
	}
	buf_add(out, str_from(mask, sizeof(mask)));
	for (size_t i = 0; i < content.len; i++)
		buf_add_byte(out, (char)(content.p[i] ^ mask[i % 4]));
}

void
ws_wire_put_parts(struct buf *out, const struct ws_part *part, bool is_masked)
{
	for (size_t i = 0; i < WS_PARTS && part[i].content.p != NULL; i++)
		ws_wire_put(out, part[i].first, part[i].content, is_masked);
}

static void
ws_wire_shake_hands(struct wire *w, const char *fields)
{
	wire_send(w, STR(WS_WIRE_ASK));
	if (fields != NULL)
		wire_send(w, str_of(fields));
	wire_send(w, STR("\r\n"));
	wire_expect(w, "\r\n\r\n");
	if (wire_count(w, "HTTP/1.1 101 ") != 1)
		fail_msg("%.*s", STR_FMT(buf_str(&w->text)));
	buf_clear(&w->text);
}

void
ws_wire_open(struct loopback *lo, struct wire *w, const char *fields)
{
	wire_open(lo, w);
	ws_wire_shake_hands(w, fields);
}

void
ws_wire_open_small(struct loopback *lo, struct wire *w)
{
	wire_open_small(lo, w);
	ws_wire_shake_hands(w, NULL);
}

void
ws_wire_send(struct wire *w, unsigned first, struct str content)
{
	struct buf out;

	buf_init(&out, 0);
	ws_wire_put(&out, first, content, true);
	wire_send(w, buf_str(&out));
	buf_done(&out);
}

void
ws_wire_check_all(struct wire *w, const struct ws_part *part, const char *name)
{
	struct buf want;

	wire_expect_end(w);
	buf_init(&want, 0);
	ws_wire_put_parts(&want, part, false);
	unit_check_str(buf_str(&w->text), buf_str(&want), name);
	buf_done(&want);
}
