/* SPDX-License-Identifier: MIT */
/*
 * The access log's lines.
 *
 * Owns its buffer, borrows its descriptor.  Invariant: what is written ends
 * with a whole line; a write that the kernel cuts short is finished first.
 * Here: what a line says.  Not here: whether there is one (access_log
 * middleware), opening and rotating (workers/).
 * Context: a worker's loop.  http1.c -> [access_log.c]
 */
#include "server/access_log.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/stats.h"
#include "server/request.h"

/* Written at once when it has this much; it may hold twice that. */
#define ACCESS_FLUSH_BYTES 32768

struct access_log {
	struct buf buf;
	struct stats *stats;
	size_t lines;		/* in the buffer */
	bool is_cut;		/* which starts inside a line */
	int fd;
	int sys;		/* errno of the last write that failed */
	unsigned worker;
	enum config_access_format format;
	/* The second that is rendered, and how. */
	int64_t second;
	char stamp[40];
};

struct access_log *
access_log_new(enum config_access_format format, int fd, unsigned worker,
    struct stats *stats)
{
	struct access_log *log = calloc(1, sizeof(*log));

	if (log == NULL)
		return NULL;
	buf_init(&log->buf, 0);
	log->format = format;
	log->fd = fd;
	log->worker = worker;
	log->stats = stats;
	log->second = -1;
	return log;
}

void
access_log_free(struct access_log *log)
{
	if (log == NULL)
		return;
	access_log_flush(log);
	buf_done(&log->buf);
	free(log);
}

void
access_log_set_fd(struct access_log *log, int fd)
{
	access_log_flush(log);
	/* The end of a cut line means nothing in another file. */
	buf_clear(&log->buf);
	log->lines = 0;
	log->is_cut = false;
	log->fd = fd;
}

/* What the kernel didn't take is dropped, but for the end of a line that it has
 * begun: that goes first next time. */
static void
access_log_drop(struct access_log *log, struct str rest)
{
	size_t keep = 0, i;

	if (log->is_cut && rest.len > 0)
		keep = str_find(rest, '\n') + 1;
	for (i = keep; i < rest.len; i++)
		log->stats->log_dropped += rest.p[i] == '\n';
	log->lines = keep > 0;
	if (keep == 0) {
		buf_clear(&log->buf);
		return;
	}
	memmove(log->buf.p, rest.p, keep);
	log->buf.len = keep;
	log->buf.p[keep] = '\0';
}

void
access_log_flush(struct access_log *log)
{
	struct str rest = buf_str(&log->buf);
	ssize_t n;

	if (buf_failed(&log->buf)) {
		log->stats->log_dropped += log->lines;
		rest.len = 0;
	}
	while (rest.len > 0) {
		n = write(log->fd, rest.p, rest.len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			log->sys = errno;
			break;
		}
		if (n > 0)
			log->is_cut = rest.p[n - 1] != '\n';
		rest = str_from(rest.p + n, rest.len - (size_t)n);
	}
	access_log_drop(log, rest);
}

int
access_log_error(const struct access_log *log)
{
	return log->sys;
}

static void
render_stamp(struct access_log *log, int64_t second)
{
	time_t t = (time_t)second;
	struct tm tm;

	log->second = second;
	if (log->format == ACCESS_JSON) {
		gmtime_r(&t, &tm);
		strftime(log->stamp, sizeof(log->stamp), "%Y-%m-%dT%H:%M:%S",
		    &tm);
	} else {
		localtime_r(&t, &tm);
		strftime(log->stamp, sizeof(log->stamp),
		    "%d/%b/%Y:%H:%M:%S %z", &tm);
	}
}

static void
add_json_field(struct buf *b, const char *key, struct str value)
{
	if (value.p == NULL)
		return;
	buf_printf(b, ",\"%s\":", key);
	buf_add_json(b, value);
}

static void
add_json(struct access_log *log, struct request *r, int64_t now_ms,
    uint64_t us)
{
	const struct head *h = r->head;
	struct buf *b = &log->buf;

	buf_printf(b, "{\"time\":\"%s.%03dZ\",\"worker\":%u", log->stamp,
	    (int)(now_ms % 1000), log->worker);
	add_json_field(b, "request_id", r->id);
	add_json_field(b, "trace_id", r->trace_id);
	add_json_field(b, "remote", request_peer(r));
	add_json_field(b, "method", h->method_name);
	add_json_field(b, "host", h->authority);
	add_json_field(b, "target", request_log_target(r));
	buf_printf(b, ",\"protocol\":\"HTTP/1.%d\",\"status\":%d,"
	    "\"bytes\":%llu,\"request_bytes\":%llu,\"duration_ms\":%llu.%03d",
	    h->minor, r->res.status, (unsigned long long)r->sent_bytes,
	    (unsigned long long)r->reader.total,
	    (unsigned long long)(us / 1000), (int)(us % 1000));
	add_json_field(b, "referer", request_hide_token(
	    head_get(h, FIELD_REFERER), &r->arena));
	add_json_field(b, "user_agent", head_get(h, FIELD_USER_AGENT));
	if (r->res.reason != NULL)
		add_json_field(b, "reason", str_of(r->res.reason));
}

/* A quoted field of the combined format, as Apache escapes it. */
static void
add_quoted(struct buf *b, struct str s)
{
	size_t i;

	if (s.p == NULL || s.len == 0) {
		buf_add(b, STR("\"-\""));
		return;
	}
	buf_add_byte(b, '"');
	for (i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			buf_printf(b, "\\x%02x", c);
		else
			buf_add_byte(b, s.p[i]);
	}
	buf_add_byte(b, '"');
}

static void
add_combined(struct access_log *log, struct request *r)
{
	const struct head *h = r->head;
	struct buf *b = &log->buf;
	struct str line = STR("-");

	if (h->method_name.len > 0)
		line = arena_printf(&r->arena, "%.*s %.*s HTTP/1.%d",
		    STR_FMT(h->method_name),
		    STR_FMT(request_log_target(r)), h->minor);
	buf_add(b, request_peer(r));
	buf_printf(b, " - - [%s] ", log->stamp);
	add_quoted(b, line);
	buf_printf(b, " %d %llu ", r->res.status,
	    (unsigned long long)r->sent_bytes);
	add_quoted(b, request_hide_token(head_get(h, FIELD_REFERER),
	    &r->arena));
	buf_add_byte(b, ' ');
	add_quoted(b, head_get(h, FIELD_USER_AGENT));
}

void
access_log_add(struct access_log *log, struct request *r, bool is_aborted)
{
	uint64_t us = (clock_now_ns() - r->start_ns) / 1000;
	bool is_slow = r->log_slow_ms > 0 && us / 1000 >= r->log_slow_ms;
	int64_t now_ms = clock_now_real_ms();

	if (!is_slow && (r->log_never ||
	    (r->log_errors_only && r->res.status < 400)))
		return;
	if (now_ms / 1000 != log->second)
		render_stamp(log, now_ms / 1000);
	if (log->format == ACCESS_JSON) {
		add_json(log, r, now_ms, us);
		buf_add(&log->buf, is_aborted ? STR(",\"aborted\":true}\n")
		    : STR("}\n"));
	} else {
		add_combined(log, r);
		buf_add_byte(&log->buf, '\n');
	}
	log->lines++;
	if (log->buf.len >= ACCESS_FLUSH_BYTES)
		access_log_flush(log);
}
