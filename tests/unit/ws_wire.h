/* SPDX-License-Identifier: MIT */
/*
 * A WebSocket's client on a loopback, frame by frame.
 *
 *	struct wire w;
 *
 *	ws_wire_open(lo, &w, NULL);
 *	ws_wire_send(&w, WS_FIN | WS_TEXT, STR("hello"));
 *	ws_wire_send(&w, WS_FIN | WS_CLOSE, STR("\x03\xe8"));
 *	ws_wire_check_all(&w, WS_LIST(
 *	    WS_PART(WS_FIN | WS_TEXT, "hello"),
 *	    WS_PART(WS_FIN | WS_CLOSE, "\x03\xe8")), "an echo");
 *	wire_close(&w);
 *
 * The path is "/ws".
 *
 * Context: one loop, the test's own thread.
 */
#ifndef CORELANE_TESTS_UNIT_WS_WIRE_H
#define CORELANE_TESTS_UNIT_WS_WIRE_H

#include "server/ws_frame.h"
#include "tests/unit/wire.h"

/* The request, but its last line. */
#define WS_WIRE_ASK                                                            \
	"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"                \
	"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                 \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* A frame: its first byte and its content.  .p NULL ends a list. */
struct ws_part {
	unsigned first;
	struct str content;
};
#define WS_PARTS 6
#define WS_PART(first, literal) {first, STR_INIT(literal)}
#define WS_LIST(...) (const struct ws_part[WS_PARTS]){__VA_ARGS__}

/* Appends a client's frame, or a server's. */
void ws_wire_put(struct buf *out, unsigned first, struct str content,
    bool is_masked);
void ws_wire_put_parts(struct buf *out, const struct ws_part *part,
    bool is_masked);

/* Opens one and forgets the answer's head.  fields: more of the request, or
 * NULL.  small: see wire_open_small(). */
void ws_wire_open(struct loopback *lo, struct wire *w, const char *fields);
void ws_wire_open_small(struct loopback *lo, struct wire *w);

void ws_wire_send(struct wire *w, unsigned first, struct str content);

/* What is read must be these frames, exactly, and then the end. */
void ws_wire_check_all(struct wire *w, const struct ws_part *part,
    const char *name);

#endif
