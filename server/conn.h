/* SPDX-License-Identifier: MIT */
/*
 * A connection: the state machine from the first byte to the close.
 *
 *	          accept
 *	            |
 *	            v      part of a head       timeouts.head: 408
 *	   +----> IDLE ----------------> HEAD -------------------+
 *	   |        |                      |                     |
 *	   |        +------ whole head ----+                     |
 *	   |                  |                                  |
 *	   |            pipeline_run()                           |
 *	   |             |    |     |                            |
 *	   |  needs the  |    |     |  answer comes              |
 *	   |  content    v    |     v  later                     |
 *	   |           BODY <-|-- HANDLER  (a middleware's)      |
 *	   |             |    |     |                            |
 *	   |             +-> SEND <-+   content still to be sent |
 *	   |                  |                                  |
 *	   |               DISCARD      content nobody wanted    |
 *	   |                  |                                  |
 *	   |                  +-- upgrade --> OPEN --+           |
 *	   |                  |                      v           |
 *	   +--- keep-alive ---+--- close ---> LINGER <-----------+
 *	                      |                 |  the peer closes, or 2 s
 *	                      +---> CLOSED <----+
 *
 * conn_move() is the only writer of the state.  Every way out is
 * conn_close(c, "reason"); the memory goes when the loop's turn ends, never
 * inside a callback.
 *
 * Between two requests a connection is this struct and nothing else: no buffer,
 * no request, one event (re-assigned when it must write instead of read).
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_CONN_H
#define CORELANE_SERVER_CONN_H

#include <event2/event_struct.h>
#include <netinet/in.h>

#include "common/str.h"
#include "common/wheel.h"
#include "server/head.h"
#include "server/server.h"

struct out_queue;
struct request;
struct server;
struct session;

enum conn_state {
	CONN_IDLE,
	CONN_HEAD,
	CONN_BODY,
	CONN_HANDLER,
	CONN_SEND,
	CONN_DISCARD,
	CONN_OPEN,	/* a session's: session.h */
	CONN_LINGER,
	CONN_CLOSED
};

/* Input that came and can't be used yet: part of a head, or the next requests
 * of a pipeline while this one is being sent.  Exists only when not empty. */
struct conn_input {
	struct head_scan scan; /* in HEAD: how far it has been looked at */
	uint32_t len;
	char data[];
};

struct conn {
	struct event event;
	struct wheel_node timer;	/* what the state allows it to take */
	struct server *srv;
	struct request *req;		/* NULL between requests */
	struct session *session;	/* OPEN, and dropped soon after it */
	struct conn_input *input;
	struct out_queue *unsent;
	struct conn *next_queued;	/* server.queued */
	uint32_t progress;		/* bytes since progress_ms */
	uint32_t progress_ms;		/* CLOCK_MONOTONIC, cut to 32 bits */
	uint32_t request_count;
	uint32_t kernel_bytes;		/* conn_note_full() */
	uint8_t state;			/* enum conn_state */
	uint8_t service;		/* enum service_kind */
	uint8_t want;			/* EV_READ, EV_WRITE or 0 */
	uint8_t family;			/* of the peer */
	uint16_t port;			/* of the peer, network order */
	bool is_closing : 1;		/* after what is being sent */
	bool is_lingering : 1;		/* then: unread input may be there */
	bool is_timed_out : 1; /* its head or content came too slowly */
	bool is_queued : 1;		/* in server.queued */
	bool is_sent_full : 1;		/* the socket took no more */
	bool is_counted : 1;		/* in peers */
	bool is_paused : 1;		/* OPEN: isn't read from */
	bool was_open : 1;		/* counted as what it has become */
	union {
		struct in_addr v4;
		struct in6_addr v6;
	} peer;
};

/* Takes the socket; closes it where there is no memory. */
void conn_open(struct server *srv, int fd, enum service_kind service,
    const struct sockaddr *peer);

/* The end, at once: reason is a literal, for the log. */
void conn_close(struct conn *c, const char *reason);

/* The end in the middle of a response: those in front of it are sent first. */
void conn_cut(struct conn *c, const char *reason);

/* Has server_turn() look at it: conn_continue(), or free() after a close. */
void conn_queue(struct conn *c);
void conn_free(struct conn *c);

/* The connection's deadline is over; from the wheel. */
void conn_on_deadline(struct wheel_node *node, void *arg);

/*
 * Works on a connection until it has to wait: advances its protocol with the
 * input that is kept, sends, and arms what it waits for.  For whoever changes a
 * connection from outside its own events (a handler's late answer).
 */
void conn_continue(struct conn *c);

/* Waits for what its state and its queue want; for whoever sends from outside
 * the connection's own turn. */
void conn_arm(struct conn *c);

void conn_move(struct conn *c, enum conn_state state);

/* Sets the deadline `ms` from now. */
void conn_set_timer(struct conn *c, int64_t ms);

/*
 * Notes that `bytes` have moved: the deadline is `ms` from now again.  But a
 * peer that lets drops fall, to hold a connection for ever, must have moved
 * CONN_PROGRESS_BYTES in CONN_PROGRESS_SPANS times `ms`.
 */
void conn_note_progress(struct conn *c, size_t bytes, int64_t ms);
#define CONN_PROGRESS_BYTES 4096
#define CONN_PROGRESS_SPANS 8

/*
 * The socket is full.  EV_WRITE comes only when a third of what is in its
 * buffer has gone, megabytes maybe: a slow reader that is no dead one is told
 * by what is left in there when timeouts.write is over.
 * conn_is_read(): whether the peer has taken CONN_PROGRESS_BYTES since.
 */
void conn_note_full(struct conn *c);
bool conn_is_read(struct conn *c);

/* Sends the batch.  more: see out_flush().  Returns 0 when all is gone, 1 when
 * something waits in the queue, -1 when the connection is closed by it. */
int conn_flush(struct conn *c, bool more);

/* Everything is sent and nothing more is wanted of the peer: closes, after
 * lingering where unread input could turn the close into a reset. */
void conn_finish(struct conn *c);

static inline int
conn_fd(const struct conn *c)
{
	return (int)c->event.ev_fd;
}

#endif
