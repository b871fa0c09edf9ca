/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 responses: the head in one piece, the content pulled from wherever
 * it is as fast as the peer takes it.
 *
 * Owns nothing.  Invariant: once a head has gone out, exactly the content it
 * announces follows, or the connection ends without the rest.
 * Here: RFC 9112 6 and 7.1 for responses.  Not here: what is answered
 * (pipeline.c), the socket (out.c).
 * Context: a worker's loop.  pipeline.c -> [http1_send.c] -> out.c
 */
#include <errno.h>
#include <stdio.h>
#include <sys/sendfile.h>

#include "common/log.h"
#include "server/conn.h"
#include "server/http1.h"
#include "server/internal.h"

/* One reference into large content; more when that has gone. */
#define SEND_PIECE_BYTES ((size_t)256 << 10)
/* What one connection may send in one turn while others wait. */
#define SEND_TURN_BYTES ((uint64_t)1 << 20)
/* "\r\n" + hex size + "\r\n" around a chunk */
#define CHUNK_FRAME_BYTES 24

static char *
put(char *p, struct str s)
{
	memcpy(p, s.p, s.len);
	return p + s.len;
}

static char *
put_u64(char *p, uint64_t v)
{
	char digits[20];
	size_t n = 0;

	do
		digits[sizeof(digits) - ++n] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	return put(p, str_from(digits + sizeof(digits) - n, n));
}

static size_t
head_bytes(const struct response *res)
{
	/* Status line, Date block, Content-Length, Connection, blank line. */
	size_t i, n = 64 + SERVER_DATE_BLOCK_BYTES + 64 + 32 + 2;

	for (i = 0; i < res->field_count; i++)
		n += res->fields[i].name.len + res->fields[i].value.len + 4;
	return n;
}

static char *
write_fields(char *p, const struct response *res)
{
	const struct response_field *f = res->fields;
	const struct response_field *end = f + res->field_count;

	for (; f < end; f++) {
		p = put(p, f->name);
		*p++ = ':';
		*p++ = ' ';
		p = put(p, f->value);
		*p++ = '\r';
		*p++ = '\n';
	}
	return p;
}

/* How the content is delimited, and what becomes of the connection. */
static char *
write_framing(char *p, const struct request *r)
{
	const struct response *res = &r->res;

	/* A session's response ends with its connection. */
	if (res->kind == CONTENT_UPGRADE)
		return res->status == 101 ? p :
		    put(p, STR("Connection: close\r\n"));
	if (r->is_chunked)
		p = put(p, STR("Transfer-Encoding: chunked\r\n"));
	else if (res->length != CONTENT_LENGTH_UNKNOWN &&
	    status_has_content(res->status)) {
		p = put(p, STR("Content-Length: "));
		p = put_u64(p, res->length);
		p = put(p, STR("\r\n"));
	}
	if (r->conn->is_closing)
		p = put(p, STR("Connection: close\r\n"));
	else if (r->head->minor == 0)
		p = put(p, STR("Connection: keep-alive\r\n"));
	return p;
}

static int
write_head(struct request *r)
{
	struct out *out = &r->srv->out;
	size_t bytes = head_bytes(&r->res);
	char *start, *p;

	if (bytes > OUT_BUFFER_BYTES)
		return -1;
	start = out_reserve(out, bytes);
	if (start == NULL) {
		if (conn_flush(r->conn, true) == -1)
			return 0;
		start = out_reserve(out, bytes);
	}
	p = put(start, status_line(r->res.status));
	p = put(p, str_from(r->srv->date_block, SERVER_DATE_BLOCK_BYTES));
	p = write_fields(p, &r->res);
	p = write_framing(p, r);
	*p++ = '\r';
	*p++ = '\n';
	out_commit(out, (size_t)(p - start));
	return 0;
}

static bool
response_is_silent(const struct request *r)
{
	return r->head->method == METHOD_HEAD ||
	    !status_has_content(r->res.status);
}

/* At most OUT_COPY_BYTES, which always fit behind a flush. */
static int
send_copy(struct request *r, struct str s)
{
	struct out *out = &r->srv->out;
	char *p;

	if (s.len == 0)
		return 0;
	p = out_reserve(out, s.len);
	if (p == NULL) {
		if (conn_flush(r->conn, true) == -1)
			return -1;
		p = out_reserve(out, s.len);
	}
	put(p, s);
	out_commit(out, s.len);
	return 0;
}

/* Copies a small piece of content into the batch, refers to a large one. */
static int
send_piece(struct request *r, struct str s, bool is_loan)
{
	struct out *out = &r->srv->out;

	if (s.len == 0)
		return 0;
	r->sent_bytes += s.len;
	if (s.len <= OUT_COPY_BYTES)
		return send_copy(r, s);
	if (!out_refer(out, s, is_loan)) {
		if (conn_flush(r->conn, true) == -1)
			return -1;
		out_refer(out, s, is_loan);
	}
	return 0;
}

int
http1_send_hint(struct request *r, struct str link)
{
	struct conn *c = r->conn;

	/* The batch holds one connection's bytes at a time. */
	if (c->srv->turn != NULL && !r->is_running)
		return 0;
	if (send_copy(r, STR("HTTP/1.1 103 Early Hints\r\nLink: ")) == -1 ||
	    send_copy(r, link) == -1 ||
	    send_copy(r, STR("\r\n\r\n")) == -1 || conn_flush(c, false) == -1)
		return -EPIPE;
	c->srv->stats->responses_1xx++;
	/* Outside of its turn nothing has armed what the rest waits for. */
	if (c->unsent != NULL)
		conn_queue(c);
	return 0;
}

/* Sends the batch; where the peer is behind, the rest of the content waits. */
static enum http1_sent
send_flush(struct request *r, bool more)
{
	struct conn *c = r->conn;

	switch (conn_flush(c, more)) {
	case 0:
		return HTTP1_SENT;
	case 1:
		c->is_sent_full = true;
		conn_note_full(c);
		conn_set_timer(c, c->srv->config->timeouts.write_ms);
		return HTTP1_SEND_LATER;
	default:
		return HTTP1_SEND_FAILED;
	}
}

/* The socket is full, or others' turn has come: EV_WRITE says when to go on. */
static enum http1_sent
send_later(struct request *r)
{
	struct conn *c = r->conn;

	c->is_sent_full = true;
	conn_note_full(c);
	if (c->timer.prev == NULL || c->progress == 0)
		conn_set_timer(c, c->srv->config->timeouts.write_ms);
	return HTTP1_SEND_LATER;
}

static enum http1_sent
send_slice(struct request *r)
{
	size_t max = r->srv->config->limits.write_queue_bytes;
	struct response *res = &r->res;
	bool is_loan = res->kind == CONTENT_ARENA;
	enum http1_sent sent;
	struct str piece;

	if (max > SEND_PIECE_BYTES)
		max = SEND_PIECE_BYTES;
	while (res->slice.len > max) {
		piece = str_from(res->slice.p, max);
		res->slice = str_from(res->slice.p + piece.len,
		    res->slice.len - piece.len);
		if (send_piece(r, piece, is_loan) == -1)
			return HTTP1_SEND_FAILED;
		sent = send_flush(r, true);
		if (sent != HTTP1_SENT)
			return sent;
	}
	piece = res->slice;
	res->slice = str_from(NULL, 0);
	return send_piece(r, piece, is_loan) == 0 ? HTTP1_SENT
	    : HTTP1_SEND_FAILED;
}

static enum http1_sent
send_file(struct request *r)
{
	struct response *res = &r->res;
	struct conn *c = r->conn;
	uint64_t turn = 0;
	enum http1_sent sent;
	off_t offset;
	ssize_t n;

	if (res->length == r->sent_bytes)
		return HTTP1_SENT;
	sent = send_flush(r, true);
	while (sent == HTTP1_SENT && r->sent_bytes < res->length) {
		if (turn >= SEND_TURN_BYTES)
			return send_later(r);
		offset = (off_t)(res->file.offset + r->sent_bytes);
		n = sendfile(conn_fd(c), res->file.fd, &offset,
		    (size_t)(res->length - r->sent_bytes));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return send_later(r);
		if (n <= 0) {
			conn_close(c, n == 0 ? "file shrank while it was sent"
			    : "file or peer is gone");
			return HTTP1_SEND_FAILED;
		}
		r->sent_bytes += (uint64_t)n;
		turn += (uint64_t)n;
		c->srv->stats->bytes_out += (uint64_t)n;
		conn_note_progress(c, (size_t)n,
		    c->srv->config->timeouts.write_ms);
	}
	return sent;
}

/* A piece of a source in the chunk that wraps it, where one does. */
static int
send_chunk(struct request *r, struct str piece)
{
	char size[CHUNK_FRAME_BYTES];
	int n;

	if (!r->is_chunked) {
		/* What is too much would be read as the next response. */
		if (piece.len > r->res.length - r->sent_bytes) {
			conn_cut(r->conn, "content went on past its length");
			return -1;
		}
		return send_piece(r, piece, true);
	}
	n = snprintf(size, sizeof(size), "%zx\r\n", piece.len);
	if (send_copy(r, str_from(size, (size_t)n)) == -1 ||
	    send_piece(r, piece, true) == -1)
		return -1;
	return send_copy(r, STR("\r\n"));
}

static enum http1_sent
send_source_end(struct request *r)
{
	/* RFC 9112 7.1.2 */
	if (r->is_chunked)
		return send_copy(r, STR("0\r\n")) == 0 &&
		    send_copy(r, r->res.trailers) == 0 &&
		    send_copy(r, STR("\r\n")) == 0
		    ? HTTP1_SENT : HTTP1_SEND_FAILED;
	if (r->res.length != CONTENT_LENGTH_UNKNOWN &&
	    r->sent_bytes != r->res.length) {
		conn_cut(r->conn, "content ended before its length");
		return HTTP1_SEND_FAILED;
	}
	return HTTP1_SENT;
}

static enum http1_sent
send_source(struct request *r)
{
	struct source *source = r->res.source;
	uint64_t until = r->sent_bytes + SEND_TURN_BYTES;
	enum http1_sent sent;
	struct str piece;

	while (r->sent_bytes < until) {
		switch (source->next(source, SEND_PIECE_BYTES, &piece)) {
		case SOURCE_DATA:
			if (piece.len == 0)
				continue;
			if (send_chunk(r, piece) == -1)
				return HTTP1_SEND_FAILED;
			/* A small piece has been copied; a large one is lent
			 * until the next call.  Once the peer is behind, no
			 * more is asked for than has been. */
			if (!r->srv->out.has_loans && r->conn->unsent == NULL)
				continue;
			sent = send_flush(r, false);
			if (sent != HTTP1_SENT)
				return sent;
			break;
		case SOURCE_END:
			return send_source_end(r);
		case SOURCE_WAIT:
			r->is_source_waiting = true;
			sent = send_flush(r, false);
			return sent == HTTP1_SENT ? HTTP1_SEND_LATER : sent;
		case SOURCE_FAILED:
			conn_cut(r->conn, "content failed on its way");
			return HTTP1_SEND_FAILED;
		}
	}
	sent = send_flush(r, false);
	return sent == HTTP1_SENT ? send_later(r) : sent;
}

enum http1_sent
http1_send_content(struct request *r)
{
	if (r->conn->state == CONN_CLOSED)
		return HTTP1_SEND_FAILED;
	if (response_is_silent(r))
		return HTTP1_SENT;
	if (r->conn->unsent != NULL)
		return HTTP1_SEND_LATER;
	switch (r->res.kind) {
	case CONTENT_NONE:
	case CONTENT_UPGRADE:
		break;
	case CONTENT_STATIC:
	case CONTENT_ARENA:
		return send_slice(r);
	case CONTENT_FILE:
		return send_file(r);
	case CONTENT_SOURCE:
		return send_source(r);
	}
	return HTTP1_SENT;
}

/* RFC 9112 9.3, 9.6: whether another request may follow on this connection. */
static bool
is_last(const struct request *r)
{
	const struct server *srv = r->srv;
	int64_t limit = srv->config->limits.requests_per_connection;

	if (!r->head->keep_alive || r->res.close || srv->is_draining)
		return true;
	if (limit > 0 && r->conn->request_count >= (uint64_t)limit)
		return true;
	/* It waits for a 100 that won't come: content may follow, or not. */
	return r->head->expect_continue && !r->is_continued &&
	    !body_is_done(&r->reader);
}

/* A module has made a head that no client would take: an error instead of it.
 * Returns -1 when there is no memory. */
static int
http1_refuse_head(struct request *r)
{
	request_give_id(r);
	log_error("%.*s %.*s: route %.*s: the head of the response has more "
	    "than %d bytes (request %.*s)", STR_FMT(r->head->method_name),
	    STR_FMT(request_log_target(r)), STR_FMT(request_route(r)),
	    OUT_BUFFER_BYTES, STR_FMT(r->id));
	r->srv->stats->handler_errors++;
	r->res.field_base = 0;
	response_reset(r);
	r->is_chunked = false;
	response_error(r, 500, "internal error");
	return response_render_error(r);
}

void
http1_respond(struct request *r)
{
	struct response *res = &r->res;
	struct conn *c = r->conn;

	if (c->state == CONN_CLOSED)
		return;
	c->is_closing |= res->kind != CONTENT_UPGRADE && is_last(r);
	if (res->length == CONTENT_LENGTH_UNKNOWN && !response_is_silent(r) &&
	    res->kind != CONTENT_UPGRADE) {
		r->is_chunked = r->head->minor == 1;
		/* RFC 9112 6.3: in 1.0 the end of the connection is the end. */
		c->is_closing |= !r->is_chunked;
	}
	r->is_responding = true;
	if (write_head(r) == -1 &&
	    (http1_refuse_head(r) == -1 || write_head(r) == -1))
		conn_cut(c, "response head is too large");
}
