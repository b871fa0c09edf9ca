/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1: one request after the other on a connection.
 *
 * Owns: the request under way, through the connection.  Invariant: responses
 * leave in the order of their requests; nothing of a request is looked at
 * before the one in front of it has its answer.
 * Here: reading heads and content, ending requests, refusing.  Not here:
 * sending (http1_send.c), what a request means (pipeline.c).
 * Context: a worker's loop.  conn.c -> [http1.c] -> pipeline.c
 */
#include "server/http1.h"

#include "common/log.h"
#include "server/access_log.h"
#include "server/conn.h"
#include "server/handler.h"
#include "server/internal.h"
#include "server/memo.h"
#include "server/pipeline.h"
#include "server/session.h"
#include "server/spool.h"

/* Where a pipeline_run() has left the request is where the connection goes. */
static void
http1_follow(struct conn *c)
{
	struct request *r = c->req;

	if (c->state == CONN_CLOSED)
		return;
	switch (r->phase) {
	case PHASE_BODY:
		conn_move(c, CONN_BODY);
		conn_set_timer(c, c->srv->config->timeouts.body_ms);
		break;
	case PHASE_PENDING:
		conn_move(c, CONN_HANDLER);
		conn_set_timer(c, http1_takes_body(r)
		    ? c->srv->config->timeouts.body_ms : HTTP1_HANDLER_MS);
		break;
	default:
		conn_move(c, CONN_SEND);
		c->is_sent_full = false;
		if (http1_takes_body(r))
			conn_set_timer(c, c->srv->config->timeouts.body_ms);
		break;
	}
}

/* The request is over: the next one may come. */
static void
http1_rest(struct conn *c)
{
	const struct server *srv = c->srv;

	request_free(c->req);
	c->req = NULL;
	c->is_sent_full = false;
	conn_move(c, CONN_IDLE);
	conn_set_timer(c, srv->is_draining ? SERVER_DRAIN_GRACE_MS
	    : srv->config->timeouts.idle_ms);
}

/* Starts a request; its answer may be there when this returns. */
static bool
http1_start(struct conn *c, struct head *head,
    const struct head_refusal *refusal)
{
	struct server *srv = c->srv;
	struct request *r = request_new(c, head);

	if (r == NULL) {
		srv->stats->memory_errors++;
		conn_close(c, "no memory for a request");
		return false;
	}
	c->req = r;
	c->request_count++;
	srv->stats->requests_active++;
	body_reader_init(&r->reader, head->framing, head->content_length,
	    srv->config->limits.body_bytes);
	if (refusal != NULL)
		r->refusal = *refusal;
	pipeline_run(r);
	http1_follow(c);
	return true;
}

/* What stands for a head that can't be read.  The answer to what was a HEAD has
 * no content all the same (RFC 9110 9.3.2): a client would read it as the next
 * response. */
static struct head *
http1_no_head(struct str raw)
{
	static struct field no_fields[1];
	static struct head none = {
		.fields = no_fields, .minor = 1, .method = METHOD_OTHER,
	}, silent = {
		.fields = no_fields, .minor = 1, .method = METHOD_HEAD,
	};

	return str_has_prefix(raw, STR("HEAD ")) ? &silent : &none;
}

/*
 * Where framing is in doubt nothing behind it can be trusted: one answer, then
 * the end of the connection (RFC 9112 2.2).  `in` starts with what is refused.
 */
static bool
http1_refuse(struct conn *c, struct str *in, const struct head_refusal *refusal)
{
	struct head *head = http1_no_head(*in);

	*in = str_from(NULL, 0);
	c->is_closing = c->is_lingering = true;
	c->srv->stats->requests_malformed++;
	return http1_start(c, head, refusal);
}

/* A part of a head is there: the clock runs from its first byte. */
static bool
http1_wait_head(struct conn *c)
{
	if (c->state == CONN_IDLE) {
		conn_move(c, CONN_HEAD);
		conn_set_timer(c, c->srv->config->timeouts.head_ms);
	}
	return false;
}

static bool
http1_parse_head(struct conn *c, struct str *in)
{
	struct server *srv = c->srv;
	struct head_refusal refusal;
	struct str raw;
	struct head *head;

	srv->scan = (struct head_scan){0};
	if (c->state == CONN_HEAD)
		srv->scan = c->input->scan;
	switch (head_find(&srv->scan, in->p, in->len, &srv->head_limits,
	    &refusal)) {
	case HEAD_MORE:
		return http1_wait_head(c);
	case HEAD_BAD:
		return http1_refuse(c, in, &refusal);
	case HEAD_WHOLE:
		break;
	}
	raw = str_from(in->p + srv->scan.skip,
	    srv->scan.len - srv->scan.skip);
	head = head_parse(srv->heads, raw, &srv->head_limits, &refusal);
	if (head == NULL) {
		*in = raw;
		return http1_refuse(c, in, &refusal);
	}
	*in = str_from(in->p + srv->scan.len, in->len - srv->scan.len);
	return http1_start(c, head, NULL);
}

static bool
http1_read_head(struct conn *c, struct str *in)
{
	struct head *head;

	/* Answers nobody reads are not added to. */
	if (in->len == 0 || c->is_closing || c->unsent != NULL)
		return false;
	if (c->srv->out.bytes >= c->srv->config->limits.write_queue_bytes &&
	    conn_flush(c, false) != 0)
		return false;
	if (c->is_timed_out)
		return http1_refuse(c, in, &(struct head_refusal){408,
		    "request head took too long"});
	if (c->state == CONN_IDLE) {
		head = memo_find(c->srv->memo, c->service, in->p, in->len);
		if (head != NULL) {
			*in = str_from(in->p + head->raw.len,
			    in->len - head->raw.len);
			return http1_start(c, head, NULL);
		}
	}
	return http1_parse_head(c, in);
}

/* Returns false when the connection is closed by it. */
static bool
http1_send_continue(struct request *r)
{
	static const struct str line =
	    STR_INIT("HTTP/1.1 100 Continue\r\n\r\n");

	if (r->is_continued || !r->head->expect_continue)
		return true;
	r->is_continued = true;
	r->srv->stats->responses_1xx++;
	if (out_refer(&r->srv->out, line, false))
		return true;
	return conn_flush(r->conn, false) != -1 &&
	    out_refer(&r->srv->out, line, false);
}

void
http1_limit_body(struct request *r)
{
	if (body_is_done(&r->reader) || r->refusal.status != 0)
		return;
	if (r->route != NULL)
		r->reader.max = r->route->body_bytes;
	if (r->head->framing == BODY_LENGTH &&
	    r->head->content_length > r->reader.max) {
		r->refusal = (struct head_refusal){413, "content is too large"};
		r->conn->is_closing = r->conn->is_lingering = true;
	}
}

bool
http1_want_body(struct request *r)
{
	if (body_is_done(&r->reader) || r->body.is_whole || r->route == NULL ||
	    r->refusal.status != 0)
		return true;
	switch (r->route->body) {
	case HANDLER_BODY_IGNORE:
		return true;
	case HANDLER_BODY_STREAM:
		/* Its response may begin at once: now or never. */
		return http1_send_continue(r);
	case HANDLER_BODY_WHOLE:
		break;
	}
	return false;
}

static bool
http1_is_streamed(const struct request *r)
{
	return r->route != NULL && r->route->body == HANDLER_BODY_STREAM;
}

bool
http1_takes_body(const struct request *r)
{
	return http1_is_streamed(r) &&
	    (r->phase != PHASE_PENDING || r->pending_from == PHASE_HANDLE) &&
	    r->refusal.status == 0 && !r->is_ended && !r->is_body_paused &&
	    !body_is_done(&r->reader);
}

/* The content can't be read: an answer if there is none yet, and the end. */
static bool
http1_refuse_body(struct conn *c, struct str *in,
    const struct head_refusal *refusal)
{
	*in = str_from(NULL, 0);
	c->is_closing = c->is_lingering = true;
	c->srv->stats->requests_malformed++;
	if (c->req->is_responding) {
		conn_cut(c, refusal->reason);
		return false;
	}
	if (c->req->phase == PHASE_PENDING)
		pipeline_cancel(c->req);
	c->req->refusal = *refusal;
	c->req->phase = PHASE_HANDLE;
	pipeline_run(c->req);
	http1_follow(c);
	return true;
}

static bool
http1_spool(struct conn *c, struct request *r, struct str piece)
{
	const struct config *cfg = c->srv->config;
	bool was_memory;

	if (r->spool == NULL) {
		r->spool = spool_new(cfg->buffers.body_memory,
		    r->head->content_length);
		if (r->spool == NULL)
			return false;
	}
	was_memory = spool_fd(r->spool) == -1;
	if (spool_add(r->spool, piece, NULL) == -1)
		return false;
	c->srv->stats->bodies_spilled +=
	    was_memory && spool_fd(r->spool) != -1;
	return true;
}

/* All of it is there: the handler runs. */
static bool
http1_end_body(struct conn *c, struct request *r)
{
	if (r->spool != NULL) {
		r->body.data = spool_data(r->spool);
		r->body.fd = spool_fd(r->spool);
	}
	r->body.length = r->reader.total;
	r->body.is_whole = true;
	pipeline_run(r);
	http1_follow(c);
	return true;
}

static bool
http1_read_body(struct conn *c, struct str *in)
{
	struct request *r = c->req;
	const struct config *cfg = c->srv->config;
	enum body_result res;
	struct str piece;

	if (c->is_timed_out)
		return http1_refuse_body(c, in, &(struct head_refusal){408,
		    "request content took too long"});
	while ((res = body_read(&r->reader, in, &piece)) == BODY_PIECE) {
		conn_note_progress(c, piece.len, cfg->timeouts.body_ms);
		/* What came with the head, whole, needs no copy. */
		if (body_is_done(&r->reader) && r->spool == NULL)
			r->body.data = piece;
		else if (!http1_spool(c, r, piece))
			return http1_refuse_body(c, in,
			    &(struct head_refusal){503,
			    "no room for the request content"});
	}
	switch (res) {
	case BODY_END:
		return http1_end_body(c, r);
	case BODY_BAD:
		return http1_refuse_body(c, in, &r->reader.refusal);
	default:
		if (r->reader.total == 0)
			(void)http1_send_continue(r);
		return false;
	}
}

/* Content for a handler that takes it piece by piece, while it answers. */
static bool
http1_feed(struct conn *c, struct str *in)
{
	struct request *r = c->req;
	const struct service_route *route = r->route;
	struct str piece;
	size_t taken;

	while (http1_takes_body(r)) {
		switch (body_read(&r->reader, in, &piece)) {
		case BODY_PIECE:
			conn_note_progress(c, piece.len,
			    c->srv->config->timeouts.body_ms);
			taken = route->handler->on_body(r, route->state, piece,
			    false);
			r->is_body_paused |= taken < piece.len;
			body_unread(&r->reader, in, piece.len - taken);
			break;
		case BODY_BAD:
			return http1_refuse_body(c, in, &r->reader.refusal);
		case BODY_MORE:
		case BODY_END:
			return true;
		}
	}
	return true;
}

static void
http1_tell_end(struct request *r)
{
	const struct service_route *route = r->route;

	if (!http1_is_streamed(r) || r->refusal.status != 0 ||
	    r->is_body_told || r->is_ended || !body_is_done(&r->reader))
		return;
	r->is_body_told = true;
	if (r->phase == PHASE_PENDING)
		pipeline_start_deadline(r);
	route->handler->on_body(r, route->state, str_from(NULL, 0), true);
}

/* A handler is at work; its content may still be coming. */
static bool
http1_wait_handler(struct conn *c, struct str *in)
{
	struct request *r = c->req;

	if (r->phase == PHASE_PENDING && http1_takes_body(r)) {
		if (c->is_timed_out)
			return http1_refuse_body(c, in, &(struct head_refusal){
			    408, "request content took too long"});
		if (!http1_feed(c, in))
			return c->state != CONN_CLOSED;
	}
	if (r->phase == PHASE_PENDING)
		http1_tell_end(r);
	if (c->state != CONN_HANDLER || r->phase == PHASE_PENDING)
		return c->state == CONN_SEND;
	pipeline_run(r);
	http1_follow(c);
	return true;
}

/* The answer has been given, but where the next request begins nobody knows. */
static bool
http1_give_up(struct conn *c, struct str *in, const char *reason)
{
	log_debug("connection %d: %s", conn_fd(c), reason);
	*in = str_from(NULL, 0);
	c->is_closing = c->is_lingering = true;
	http1_rest(c);
	return true;
}

/* Content that no handler wanted is read and dropped, so that the next request
 * is found behind it. */
static bool
http1_discard(struct conn *c, struct str *in)
{
	struct request *r = c->req;
	const struct config *cfg = c->srv->config;
	enum body_result res;
	struct str piece;

	while ((res = body_read(&r->reader, in, &piece)) == BODY_PIECE)
		conn_note_progress(c, piece.len, cfg->timeouts.body_ms);
	if (res == BODY_MORE)
		return false;
	if (res == BODY_BAD)
		return http1_give_up(c, in, r->reader.refusal.reason);
	http1_rest(c);
	return true;
}

/* Scrapes and health checks of the operator are no client's requests. */
static void
http1_log(struct conn *c, bool is_aborted)
{
	if (c->srv->log != NULL && c->service != SERVICE_ADMIN)
		access_log_add(c->srv->log, c->req, is_aborted);
}

static void
http1_count(struct request *r)
{
	struct stats *s = r->srv->stats;

	s->requests++;
	s->requests_active--;
	switch (r->res.status / 100) {
	case 2:
		s->responses_2xx++;
		break;
	case 3:
		s->responses_3xx++;
		break;
	case 4:
		s->responses_4xx++;
		break;
	case 5:
		s->responses_5xx++;
		break;
	default:
		s->responses_1xx++;
	}
	/* Those that came with this turn leave with it: one look at the clock
	 * for all of them, when the batch has gone (http1_settle). */
	if (r->start_ns == r->srv->clock.mono_ns)
		r->srv->batch_count++;
	else
		histogram_add(&s->request_time,
		    (clock_now_ns() - r->start_ns) / 1000, 1);
}

/* The last request of this connection: the session takes over. */
static void
http1_open(struct conn *c)
{
	struct session *s = c->req->res.session;

	c->req->res.kind = CONTENT_NONE;
	request_free(c->req);
	c->req = NULL;
	session_begin(c, s);
}

/* The response is in the batch, or sent. */
static void
http1_end(struct conn *c)
{
	struct request *r = c->req;
	struct server *srv = c->srv;

	r->is_ended = true;
	http1_count(r);
	http1_log(c, false);
	if (r->res.kind == CONTENT_UPGRADE) {
		http1_open(c);
		return;
	}
	if (srv->out.has_loans && conn_flush(c, false) == -1)
		return;
	if (!body_is_done(&r->reader)) {
		if (!c->is_closing) {
			conn_move(c, CONN_DISCARD);
			conn_set_timer(c, srv->config->timeouts.body_ms);
			return;
		}
		c->is_lingering = true;
	}
	http1_rest(c);
}

static bool
http1_send(struct conn *c, struct str *in)
{
	if (c->req == NULL) {
		if (c->unsent != NULL)
			return false;
		http1_rest(c);
		return true;
	}
	if (http1_is_streamed(c->req)) {
		if (!http1_feed(c, in))
			return c->state != CONN_CLOSED;
		http1_tell_end(c->req);
	}
	switch (http1_send_content(c->req)) {
	case HTTP1_SENT:
		http1_end(c);
		return c->state != CONN_CLOSED;
	case HTTP1_SEND_LATER:
		/* A source that was given content while it was asked? */
		return c->state == CONN_SEND && in->len > 0 &&
		    http1_takes_body(c->req);
	case HTTP1_SEND_FAILED:
		break;
	}
	return false;
}

void
http1_abort(struct conn *c)
{
	struct request *r = c->req;

	if (r->is_ended)
		return;
	r->is_ended = true;
	c->srv->stats->requests_aborted++;
	c->srv->stats->requests_active--;
	pipeline_cancel(r);
	http1_log(c, true);
}

/* Sends what the turn has made and leaves the connection as its state wants. */
static void
http1_settle(struct conn *c, struct str in)
{
	struct server *srv = c->srv;

	if (c->state == CONN_CLOSED || (!out_is_empty(&srv->out) &&
	    conn_flush(c, false) == -1)) {
		out_discard(&srv->out);
		srv->batch_count = 0;
		return;
	}
	if (srv->batch_count > 0) {
		uint64_t start_ns = srv->clock.mono_ns;

		clock_update(&srv->clock);
		histogram_add(&srv->stats->request_time,
		    (srv->clock.mono_ns - start_ns) / 1000, srv->batch_count);
		srv->batch_count = 0;
	}
	if (c->unsent != NULL) {
		/* What has come is looked at when that has gone. */
		if (c->state == CONN_IDLE || c->state == CONN_HEAD)
			conn_move(c, CONN_SEND);
		if (!c->is_sent_full) {
			conn_note_full(c);
			conn_set_timer(c, srv->config->timeouts.write_ms);
		}
		c->is_sent_full = true;
	}
	if (c->state == CONN_IDLE && c->is_closing) {
		c->is_lingering |= in.len > 0;
		conn_finish(c);
		return;
	}
	if (c->req != NULL && request_keep(c->req) == -1) {
		srv->stats->memory_errors++;
		conn_close(c, "no memory for its request");
	}
}

void
http1_advance(struct conn *c, struct str *in)
{
	bool goes_on = true;

	while (goes_on) {
		switch ((enum conn_state)c->state) {
		case CONN_IDLE:
		case CONN_HEAD:
			goes_on = http1_read_head(c, in);
			break;
		case CONN_BODY:
			goes_on = http1_read_body(c, in);
			break;
		case CONN_HANDLER:
			goes_on = http1_wait_handler(c, in);
			break;
		case CONN_SEND:
			goes_on = http1_send(c, in);
			break;
		case CONN_DISCARD:
			goes_on = http1_discard(c, in);
			break;
		case CONN_OPEN:
			goes_on = false;
			break;
		case CONN_LINGER:
		case CONN_CLOSED:
			*in = str_from(NULL, 0);
			goes_on = false;
			break;
		}
	}
	http1_settle(c, *in);
	if (c->state == CONN_CLOSED || c->state == CONN_LINGER)
		*in = str_from(NULL, 0);
}

/* Who is late: the client, or the source of the response? */
static void
http1_on_send_deadline(struct conn *c)
{
	struct stats *s = c->srv->stats;

	if (c->is_sent_full && conn_is_read(c)) {
		conn_set_timer(c, c->srv->config->timeouts.write_ms);
	} else if (c->is_sent_full) {
		s->timeouts_write++;
		conn_close(c, "does not read its response");
	} else if (http1_takes_body(c->req)) {
		s->timeouts_body++;
		conn_close(c, "streamed content took too long");
	} else {
		conn_set_timer(c, HTTP1_HANDLER_MS);
	}
}

void
http1_on_deadline(struct conn *c)
{
	struct stats *s = c->srv->stats;

	switch ((enum conn_state)c->state) {
	case CONN_IDLE:
		s->timeouts_idle += !c->srv->is_draining;
		conn_close(c, c->srv->is_draining ? "idle while draining"
		    : "idle timeout");
		return;
	case CONN_HEAD:
		s->timeouts_head++;
		c->is_timed_out = true;
		conn_continue(c);
		return;
	case CONN_BODY:
	case CONN_HANDLER:	/* streamed content */
		s->timeouts_body++;
		c->is_timed_out = true;
		conn_continue(c);
		return;
	case CONN_SEND:
		http1_on_send_deadline(c);
		return;
	case CONN_DISCARD:
		s->timeouts_body++;
		conn_close(c, "unwanted content took too long");
		return;
	case CONN_OPEN:
	case CONN_LINGER:
	case CONN_CLOSED:
		conn_close(c, "lingered long enough");
		return;
	}
}
