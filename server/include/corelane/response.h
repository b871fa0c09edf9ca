/* SPDX-License-Identifier: MIT */
/*
 * Making a response.  What completes one returns its status, or a negative
 * errno, so that a handler ends with `return lane_send(...)`.  A second answer
 * to one request is the module's mistake: a logged 500.
 *
 *	static int
 *	user(struct lane_ctx *c)
 *	{
 *		struct lane_json_writer *w = lane_json_new(c);
 *
 *		lane_json_object(w);
 *		lane_json_add_int(w, "id", 7);
 *		lane_json_add_str(w, "name", LANE_STR("Ada"));
 *		lane_json_end(w);
 *		return lane_json_send(w, 200);
 *	}
 */
#ifndef CORELANE_RESPONSE_H
#define CORELANE_RESPONSE_H

#include <corelane/types.h>

LANE_BEGIN

struct cJSON;

/*
 * Header fields: copied.  Returns 0, or -EINVAL for a name that is no token, a
 * value with CR, LF, NUL or another control byte, and for fields that are the
 * server's own (Content-Length, Transfer-Encoding, Connection, Date).
 */
int lane_set(struct lane_ctx *c, const char *name, struct lane_str value);
int lane_add(struct lane_ctx *c, const char *name, struct lane_str value);
void lane_remove(struct lane_ctx *c, const char *name);
struct lane_str lane_response_header(struct lane_ctx *c, const char *name);

/* For `after` hooks: what the response is; 0 before there is one. */
int lane_response_status(struct lane_ctx *c);

/*
 * A cookie (RFC 6265 4.1).  Refused (-EINVAL) is one with bytes that a cookie
 * can't have, and one that no browser keeps: SameSite=None or Partitioned
 * without Secure, "__Host-" and "__Secure-" without what they promise.
 *
 *	lane_set_cookie(c, &(struct lane_cookie){.name = "sid", .value = token,
 *	    .path = "/", .max_age_s = 3600, .http_only = true,
 *	    .secure = true, .same_site = LANE_SAME_SITE_LAX});
 */
enum lane_same_site {
	LANE_SAME_SITE_DEFAULT,
	LANE_SAME_SITE_LAX,
	LANE_SAME_SITE_STRICT,
	LANE_SAME_SITE_NONE
};
struct lane_cookie {
	const char *name;
	struct lane_str value;
	const char *path, *domain; /* or NULL */
	int64_t max_age_s; /* 0: until the browser ends; < 0: drop
					 * it */
	int64_t expires_s; /* Unix time; 0: not said */
	bool secure, http_only, partitioned;
	enum lane_same_site same_site;
};
int lane_set_cookie(struct lane_ctx *c, const struct lane_cookie *cookie);

/* Content.  type: "text/plain", borrowed; NULL: none said. */
int lane_send(struct lane_ctx *c, int status, const char *type,
    struct lane_str content) LANE_CHECKED; /* copied */
/* The same for bytes that outlive the request: lane_alloc(), literals. */
int lane_send_lent(struct lane_ctx *c, int status, const char *type,
    struct lane_str content) LANE_CHECKED;
int lane_printf(struct lane_ctx *c, int status, const char *type,
    const char *fmt, ...) LANE_CHECKED LANE_PRINTF(4, 5);
/* No content: 204, 304, or a 200 of length 0. */
int lane_empty(struct lane_ctx *c, int status) LANE_CHECKED;
int lane_redirect(
    struct lane_ctx *c, int status, struct lane_str location) LANE_CHECKED;
/* A part of an open file, by sendfile(2).  fd: taken.  length: UINT64_MAX for
 * all that follows offset. */
int lane_send_file(struct lane_ctx *c, int status, const char *type, int fd,
    uint64_t offset, uint64_t length) LANE_CHECKED;

/* JSON from a cJSON tree: taken. */
int lane_json(struct lane_ctx *c, int status, struct cJSON *tree) LANE_CHECKED;

/*
 * JSON by a writer: no tree, no copies, numbers exact.  Commas and closing
 * brackets are its business; a call in the wrong place (a value without a key
 * in an object) is told once by lane_json_send(), as -EINVAL.  Invalid UTF-8
 * becomes U+FFFD, a float that isn't finite null, a LANE_BLOB base64.
 */
struct lane_json_writer;
/* NULL when there is no memory; every call takes NULL, lane_json_send() says
 * -ENOMEM for it. */
struct lane_json_writer *lane_json_new(struct lane_ctx *c);
void lane_json_object(struct lane_json_writer *w);
void lane_json_array(struct lane_json_writer *w);
void lane_json_end(struct lane_json_writer *w); /* of the innermost */
void lane_json_key(struct lane_json_writer *w, const char *key);
void lane_json_str(struct lane_json_writer *w, struct lane_str s);
void lane_json_int(struct lane_json_writer *w, int64_t i);
void lane_json_uint(struct lane_json_writer *w, uint64_t i);
void lane_json_float(struct lane_json_writer *w, double f);
void lane_json_bool(struct lane_json_writer *w, bool b);
void lane_json_null(struct lane_json_writer *w);
void lane_json_value(struct lane_json_writer *w, struct lane_value v);
void lane_json_raw(struct lane_json_writer *w, struct lane_str json);
/* Key and value in one. */
void lane_json_add_str(
    struct lane_json_writer *w, const char *key, struct lane_str s);
void lane_json_add_int(struct lane_json_writer *w, const char *key, int64_t i);
void lane_json_add_float(struct lane_json_writer *w, const char *key, double f);
void lane_json_add_bool(struct lane_json_writer *w, const char *key, bool b);
/* All that was written, lent until the request ends; p == NULL where it went
 * wrong. */
struct lane_str lane_json_text(struct lane_json_writer *w);
int lane_json_send(struct lane_json_writer *w, int status) LANE_CHECKED;

/*
 * Errors: one shape for all.  The client gets JSON
 * {"error":{"code","message","request_id"[,"field"]}}, application/problem+json
 * (RFC 9457) or a page, by Accept; a module's on_request_error may give them
 * another shape.  message: shown to the client, so nothing internal in it; with
 * a field it goes on behind its name ("is missing").  A 400 or 422 that names a
 * field has the code "VALIDATION_FAILED" unless another is given.
 */
struct lane_problem {
	int status;
	const char *code; /* "NOT_FOUND"; NULL: from the status */
	struct lane_str message; /* p == NULL: from the status */
	struct lane_str field; /* what is wrong; p == NULL: none */
	int retry_after_s; /* 0: none */
};
int lane_fail(struct lane_ctx *c, int status, const char *fmt, ...) LANE_CHECKED
    LANE_PRINTF(3, 4);
/* 400, naming the field. */
int lane_invalid(struct lane_ctx *c, const char *field, const char *fmt,
    ...) LANE_CHECKED LANE_PRINTF(3, 4);
int lane_fail_with(
    struct lane_ctx *c, const struct lane_problem *problem) LANE_CHECKED;

/*
 * Content that is written piece by piece, now and later: chunked, or until the
 * close for HTTP/1.0.
 *
 *	int rc = lane_stream(c, &(struct lane_stream_args){.status = 200,
 *	    .type = "text/plain", .on_drain = more, .state = st});
 *	lane_write(c, LANE_STR("first\n"));
 *	return rc;				(LANE_ASYNC)
 *
 * on_drain(): the client has taken what was queued; it writes more, ends the
 * stream with `return lane_stream_end(c)`, or returns LANE_ASYNC.  Called once
 * for all that was written before, and once at the start where that is nothing.
 *
 * An open stream is under way: the context lives until it ends.  Once it has
 * begun, the request's own deadline no longer holds, but those for writing do;
 * and any other result of a continuation than LANE_ASYNC or the stream's status
 * cuts the connection, so that the client can tell.  So does a stream with
 * neither an on_drain() that writes nor anything else under way.
 */
struct lane_stream_args {
	int status;
	const char *type;
	lane_done_fn on_drain; /* may be NULL */
	void *state;
	size_t queue_bytes; /* most that may wait; 0: the
					 * configuration's write_queue_bytes */
};
enum lane_write_result {
	LANE_OK, /* queued or sent */
	LANE_FULL, /* queued, the last one: wait for on_drain */
	LANE_DROPPED, /* not queued: no room */
	LANE_GONE /* the client is gone, or the stream has ended */
};
int lane_stream(
    struct lane_ctx *c, const struct lane_stream_args *args) LANE_CHECKED;
enum lane_write_result lane_write(struct lane_ctx *c, struct lane_str piece);
/* Ends it; returns what the continuation returns then. */
int lane_stream_end(struct lane_ctx *c) LANE_CHECKED;
/* A field behind chunked content (RFC 9112 7.1.2), before lane_stream_end().
 * Dropped where the client can't have it (HTTP/1.0, no "TE: trailers").
 * Returns 0, or -EINVAL (also for fields that can't stand there, RFC 9110
 * 6.5.1), -EMSGSIZE when there are more than 4000 bytes of them, -ENOMEM. */
int lane_trailer(struct lane_ctx *c, const char *name, struct lane_str value);

/* 103 Early Hints (RFC 8297) with one Link field, at once: the browser loads
 * while the handler works.  Does nothing for HTTP/1.0.  Returns 0, -EINVAL (a
 * bad value, or the response has begun), or -EPIPE: the client is gone. */
int lane_early_hint(struct lane_ctx *c, struct lane_str link);

LANE_END

#endif
