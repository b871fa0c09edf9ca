/* SPDX-License-Identifier: MIT */
/*
 * One request and its response: what handlers and middleware work with.
 *
 * A request is made when its head is whole and ends when its response has been
 * handed over; between the two it moves through the phases of pipeline.h.  All
 * its memory is its arena: nothing is freed by hand.
 *
 *	static int
 *	greet(struct request *r, const void *state)
 *	{
 *		struct str name = request_param(r, STR("name"));
 *		struct str text = arena_printf(&r->arena, "Hello, %.*s!\n",
 *		    STR_FMT(name));
 *
 *		return response_text(r, 200, STR("text/plain"), text);
 *	}
 *
 * The head, and a body that came with it, are lent by the worker's read buffer
 * while the handler runs; a request that goes on after its handler has
 * returned (REQUEST_PENDING, a streamed body) is given a copy of its own first,
 * by the pipeline, so `r->head` is good whenever a handler is called.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_REQUEST_H
#define CORELANE_SERVER_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/arena.h"
#include "common/bytes.h"
#include "common/wheel.h"
#include "server/body.h"
#include "server/head.h"

struct attr;
struct conn;
struct lane_ctx;
struct lane_problem;
struct server;
struct service;
struct service_route;
struct session;
struct spool;

/*
 * What handlers and `before` hooks return: a status (>= 200), by which the
 * response is finished; or one of these; or a negative errno, which is logged
 * and answered with a 500 (-ENOMEM: 503).
 */
#define REQUEST_NEXT 0		/* middleware only: go on */
#define REQUEST_PENDING 1	/* the answer comes by request_resume() */

enum request_phase {
	PHASE_ROUTE,
	PHASE_BEFORE,
	PHASE_BODY,
	PHASE_HANDLE,
	PHASE_AFTER,
	PHASE_PENDING,		/* these two are left from outside */
	PHASE_SEND
};

/*
 * Content that is made while it is sent: pulled, so that a slow client slows
 * its source and nothing else.
 */
struct source {
	/*
	 * Gives the next piece: SOURCE_DATA with *ret_piece lent until the next
	 * call; SOURCE_END; SOURCE_WAIT, when there is none yet (then
	 * response_wake() says that there is); SOURCE_FAILED: the connection is
	 * cut, so that the client can tell.
	 */
	enum source_result {
		SOURCE_DATA, SOURCE_END, SOURCE_WAIT, SOURCE_FAILED
	} (*next)(struct source *s, size_t max_bytes, struct str *ret_piece);
	/* Called once, at the end or at an abort; may be NULL. */
	void (*stop)(struct source *s);
};

enum content_kind {
	CONTENT_NONE,
	CONTENT_STATIC, /* a slice that outlives the server's requests */
	CONTENT_ARENA,		/* a slice that lives as long as the request */
	CONTENT_FILE,		/* a descriptor, by sendfile */
	CONTENT_SOURCE,
	CONTENT_UPGRADE /* none: the connection becomes a session's */
};

/* The length of content that nobody knows yet: sent chunked. */
#define CONTENT_LENGTH_UNKNOWN UINT64_MAX

struct response_field {
	struct str name, value;
};

#define RESPONSE_FIELDS_INLINE 20
#define RESPONSE_TRAILERS_MAX 4000

struct response {
	/* Set to 0 with the request, but for the inline fields. */
	int status;			/* 0: not answered yet */
	enum content_kind kind;
	uint64_t length;
	union {
		struct str slice;
		struct {
			int fd;		/* closed when the request ends */
			uint64_t offset;
		} file;
		struct source *source;
		struct session *session;
	};
	struct response_field *fields;	/* inline_fields, or in the arena */
	uint16_t field_count, field_cap;
	uint16_t field_base;		/* those of `before` hooks: kept */
	bool close;			/* the connection ends with it */
	bool is_error; /* content is made from status and reason */
	struct str trailers; /* fields behind chunked content, each with its
				 * line end; in the arena */
	const char *reason; /* of an error, for the log; lent */
	const struct lane_problem *problem; /* more of it; or NULL */
	struct response_field inline_fields[RESPONSE_FIELDS_INLINE];
};

/* The content of a request, whole, for handlers that gather it. */
struct body {
	struct str data;	/* in memory; lent while the handler runs */
	int fd;			/* or in an unlinked file; else -1: lent */
	uint64_t length;
	bool is_whole;
};

struct request {
	struct conn *conn;
	struct server *srv;
	const struct service *service;
	struct head *head;			/* lent */
	const struct service_route *route;	/* NULL: none matched */
	struct arena arena;
	enum request_phase phase;
	enum request_phase pending_from; /* PHASE_BEFORE or PHASE_HANDLE */
	uint8_t middleware_at;		/* how many `before` hooks have run */
	bool is_head_kept;		/* head is a copy of ours */
	bool is_body_kept;		/* and body.data */
	bool is_running;		/* pipeline_run() is on the stack */
	bool is_responding;		/* its head is on its way */
	bool is_chunked;		/* how its content leaves */
	bool is_source_waiting;		/* SOURCE_WAIT: see response_wake() */
	bool is_body_paused;		/* on_body() has had enough */
	bool is_body_told; /* on_body() knows that it is complete */
	bool is_continued;		/* 100 Continue has been sent */
	bool is_ended;			/* answered, counted and logged */
	bool log_never, log_errors_only;	/* access_log middleware */
	uint32_t log_slow_ms;
	struct head_refusal refusal;	/* status 0: a good head */
	struct body_reader reader;	/* its content on the wire */
	struct body body;
	struct spool *spool; /* gathers the body; NULL: none needed */
	uint64_t record;		/* flight.h's mark; 0: none */
	struct str id;			/* request id; .p NULL: none given */
	struct str trace_id;		/* 32 hex digits; .p NULL: none */
	uint64_t start_ns; /* CLOCK_MONOTONIC, its first byte read */
	uint64_t sent_bytes;		/* content of the response */
	void *handler_data;		/* the handler's own, in the arena */
	struct lane_ctx *ctx;		/* ctx.h; NULL: no module so far */
	struct attr *attrs;		/* attr.h */
	struct wheel_node deadline;	/* request_set_deadline() */
	int deadline_status;
	struct response res;		/* last: its fields aren't cleared */
};

/* For the protocol: a request on its pool, ready for PHASE_ROUTE; NULL when
 * there is no memory.  request_free() runs its defers and stops its source.
 * request_keep() copies what it was only lent; -1 when there is no memory. */
struct request *request_new(struct conn *c, struct head *head)
    __attribute__((warn_unused_result));
void request_free(struct request *r);
int request_keep(struct request *r);
int request_keep_body(struct request *r);

/* An error has an id to ask for, with or without the request_id middleware:
 * makes r->id unless there is one (or no memory). */
void request_give_id(struct request *r);

/* Lets go of what its content is made of. */
void response_drop_content(struct response *res);

/* Makes the content of an error response (error_page.c). */
int response_render_error(struct request *r);

/* The pattern of its route, for the log; "none". */
struct str request_route(const struct request *r);

/*
 * The target, for logs: the value of ?access_token= (RFC 6750 2.3) is "***".
 * In the arena where that changes it; without memory it ends in front of it.
 * request_hide_token(): the same of any text that has a query; a NULL arena is
 * want of memory.
 */
struct str request_log_target(struct request *r);
struct str request_hide_token(struct str text, struct arena *a);

/* Reading it.  What isn't there comes as .p == NULL. */
struct str request_param(const struct request *r, struct str name);
struct str request_field(const struct request *r, struct str name);

static inline struct str
request_get(const struct request *r, enum field_id id)
{
	return head_get(r->head, id);
}

/* The peer's address as text, without its port ("unix:" for a unix socket):
 * in the arena. */
struct str request_peer(struct request *r);
/* The peer's address: AF_INET, AF_INET6 or AF_UNIX. */
void request_peer_addr(const struct request *r,
    struct sockaddr_storage *ret_addr);

/* CLOCK_MONOTONIC, nanoseconds, as this loop turn has it. */
uint64_t request_now_ns(const struct request *r);

/*
 * Goes on with a request whose handler has returned REQUEST_PENDING.
 * result: as a handler returns it.  Context: the loop's thread, and never from
 * inside the handler itself.
 */
void request_resume(struct request *r, int result);

/*
 * All of these return the status given, so that a handler ends with
 * `return response_text(...)`, or a negative errno where it can't be done.
 * type: the media type, static or in the arena; .p NULL: none.
 */
int response_empty(struct request *r, int status);
/* text: in the arena. */
int response_text(struct request *r, int status, struct str type,
    struct str text);
/* text: outlives every request of this server (configuration, literals). */
int response_static(struct request *r, int status, struct str type,
    struct str text);
/* A part of an open file. */
struct file_range {
	int fd;
	uint64_t offset, length;
};
/* The descriptor is taken, also on failure. */
int response_file(struct request *r, int status, struct str type,
    const struct file_range *range);
/* The descriptor stays open until the request ends: the caller's business,
 * by arena_defer(). */
int response_file_lent(struct request *r, int status, struct str type,
    const struct file_range *range);
/* length: or CONTENT_LENGTH_UNKNOWN.  source: in the arena; its stop() is
 * called in any case. */
int response_source(struct request *r, int status, struct str type,
    struct source *source, uint64_t length);
/*
 * An error with content made by the server: JSON, or a page for those who
 * Accept HTML.  reason: a literal, shown to the client.
 */
int response_error(struct request *r, int status, const char *reason);
int response_redirect(struct request *r, int status, struct str location);

/* Drops content and fields but those that middleware has added: what a handler
 * began is replaced. */
void response_reset(struct request *r);

/* Has a waiting source asked again. */
void response_wake(struct request *r);

/*
 * Fields.  name, value: static or in the arena.  Returns 0; -1 when the value
 * has CR, LF, NUL or another control byte, the name is no token, or there is
 * no memory.  Content-Length, Transfer-Encoding, Connection and Date are the
 * server's own and refused.
 */
int response_set(struct request *r, struct str name, struct str value);
int response_add(struct request *r, struct str name, struct str value);
void response_remove(struct request *r, struct str name);
struct str response_find(const struct request *r, struct str name);

/* The same without a look at the bytes: for what was checked at load. */
int response_add_checked(struct request *r, struct str name, struct str value);

/* Adds `token` to Vary unless it is there. */
int response_vary(struct request *r, struct str token);

#endif
