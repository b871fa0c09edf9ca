/* SPDX-License-Identifier: MIT */
/*
 * A WebSocket, for the files that make it up.
 *
 *	ws.c		its life: opened, pinged, sent away, over
 *	ws_handshake.c	how it is asked for
 *	ws_read.c	what comes: messages, pings, the peer's close
 *	ws_send.c	what goes
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_WS_INTERNAL_H
#define CORELANE_SERVER_WS_INTERNAL_H

#include "common/buf.h"
#include "common/pool.h"
#include "server/conn.h"
#include "server/internal.h"
#include "server/ws.h"

#define WS_CONTROL_BYTES 125	/* most that a control frame holds */
#define WS_REASON_BYTES 123	/* and a close frame behind its code */

/* The drawing in ws.h. */
enum ws_phase {
	WS_OPENING,	/* its handshake hasn't left yet */
	WS_OPEN,
	WS_CLOSING,	/* our close frame is sent, the peer's isn't here */
	WS_OVER		/* ends once what is queued has been sent */
};

/* What one in a hundred needs: exists while it does. */
struct ws_extra {
	struct buf gather;		/* a message, as far as it is here */
	struct ws_context *context;	/* with takeover, once it is used */
	uint8_t pong_len, reason_len;
	bool is_gathering, has_pong, has_reason;
	char pong[WS_CONTROL_BYTES];	/* the last one owed */
	char reason[WS_REASON_BYTES];	/* of our own close frame */
};

/* An idle one is this and nothing else. */
struct ws {
	struct session s;		/* first */
	struct server *srv;
	const struct ws_options *options;	/* lent */
	void *state;			/* the app's */
	struct ws_reader reader;
	struct ws_extra *extra;
	uint64_t end_ms;	/* of its life, or of CLOSING; 0: none */
	uint32_t expiry_s;		/* CLOCK_REALTIME; 0: never */
	uint32_t heard_ms, pinged_ms;	/* CLOCK_MONOTONIC, cut to 32 bits */
	struct ws_deflate deflate;
	uint8_t phase;			/* enum ws_phase */
	uint16_t protocol;		/* 1 + index; 0: none */
	uint16_t close_code;		/* of whoever closed first; 0: nobody */
	bool is_pinged : 1;
	bool is_full : 1;		/* the app waits for drain() */
	bool is_told : 1;		/* the app's close() has been called */
	bool is_silent : 1;		/* ends because no pong came */
};

/* What all WebSockets of a worker share. */
struct ws_shared {
	struct pool pool;
	struct ws_zlib *zlib;		/* NULL: not needed so far */
	struct buf inflated, deflated;	/* one message each, while it passes */
};

/* More than this isn't kept in a buffer of all between two messages. */
#define WS_SHARED_BYTES ((size_t)64 << 10)

static inline struct ws *
ws_from(struct session *s)
{
	return (struct ws *)s;
}

/* NULL: no memory. */
struct ws_extra *ws_extra_get(struct ws *w);
/* Lets go of it where nothing in it is needed any more. */
void ws_extra_trim(struct ws *w);

/* *ret_context: streams of its own, if they were agreed on, or NULL.  Returns
 * -1 when there is no memory. */
int ws_context_get(struct ws *w, struct ws_context **ret_context);
/* Empties a buffer of struct ws_shared. */
void ws_shared_clear(struct buf *b);

/* session.advance */
void ws_advance(struct session *s, struct str *in);

/* Returns as session_send(). */
int ws_send_control(struct ws *w, enum ws_opcode opcode, struct str content);
/* At most WS_REASON_BYTES, and no part of a character (RFC 6455 5.5.1). */
struct str ws_cut_reason(struct str reason);
/* code: WS_CLOSE_NONE sends none.  reason: cut. */
int ws_send_close(struct ws *w, unsigned code, struct str reason);

/* No more messages from here on: tells the app, now; the connection ends once
 * all has been sent.  why: a literal, for the log. */
void ws_end(struct ws *w, unsigned code, struct str reason, const char *why);
/* What came, or is wanted, can't be: closes, and waits for nothing.  reason: a
 * literal. */
void ws_fail(struct ws *w, unsigned code, const char *reason);

#endif
