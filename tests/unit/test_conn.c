/* SPDX-License-Identifier: MIT */
/*
 * Proves the state machine of a connection against clients that stop, stall,
 * lie, never read, or go away at the worst moment.
 *
 * Context: a loopback per test.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "tests/unit/wire.h"

#define ROUTES                                                                 \
	"\"routes\": ["                                                        \
	"{\"path\": \"/hello\", \"handler\": \"respond\","                    \
	" \"body\": \"Hi!\"},"                                                 \
	"{\"path\": \"/empty\", \"handler\": \"respond\","                    \
	" \"status\": 204},"                                                   \
	"{\"path\": \"/late\", \"handler\": \"respond\","                     \
	" \"delay\": \"150ms\", \"body\": \"at last\"},"                      \
	"{\"path\": \"/never\", \"handler\": \"respond\","                    \
	" \"delay\": \"1h\", \"body\": \"never\"},"                           \
	"{\"path\": \"/echo\", \"handler\": \"echo\"},"                       \
	"{\"path\": \"/stream\", \"handler\": \"echo\","                      \
	" \"stream\": true}]"

/* "{" + settings + routes + "}" */
#define CONFIG(settings) "{" settings ROUTES "}"

#define HELLO "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
#define NEVER "GET /never HTTP/1.1\r\nHost: x\r\n\r\n"
#define HEAD "HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n"

/* `text`, so often; the caller frees .p. */
static struct str
repeat(const char *text, size_t count, const char *last)
{
	size_t len = strlen(text), end = strlen(last), i;
	char *p = malloc(count * len + end + 1);

	assert_non_null(p);
	for (i = 0; i < count; i++)
		memcpy(p + i * len, text, len);
	memcpy(p + count * len, last, end + 1);
	return str_from(p, count * len + end);
}

static void
repeat_free(struct str s)
{
	union {
		const char *in;
		void *out;
	} p = {.in = s.p};

	free(p.out);
}

static void
send_repeated(struct wire *w, const char *text, size_t count, const char *last)
{
	struct str s = repeat(text, count, last);

	wire_send(w, s);
	repeat_free(s);
}

static void
test_timeouts_answer_once(void **unused)
{
	static const char *const begun[] = {
		"GET /hello HTTP/1.1\r\nHo",
		"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
		("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
		    "chunked\r\n\r\n5\r\nab"),
	};
	size_t i;

	for (i = 0; i < UNIT_COUNT(begun); i++) {
		struct loopback *lo = loopback_open(CONFIG("\"timeouts\": "
		    "{\"head\": \"200ms\", \"body\": \"200ms\"},"));
		struct wire w;

		wire_open(lo, &w);
		wire_send(&w, STR(HELLO));
		wire_send(&w, str_of(begun[i]));
		wire_expect_end(&w);
		unit_check(wire_count(&w, " 200 OK") == 1, begun[i]);
		unit_check(wire_count(&w, " 408 Request") == 1, begun[i]);
		unit_check(wire_count(&w, "HTTP/1.1 ") == 2, begun[i]);
		wire_close(&w);
		loopback_check_quiet(lo);
		unit_check(lo->stats.timeouts_head + lo->stats.timeouts_body ==
		    1, begun[i]);
		loopback_close(lo);
	}
}

/* The size of a first chunk depends on nothing that came before. */
static void
test_chunks_after_a_length(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG(""));
	struct wire w;

	wire_open(lo, &w);
	wire_send(&w, STR("POST /echo HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 5\r\n\r\nfirst"));
	wire_expect(&w, "first");
	wire_send(&w, STR("POST /echo HTTP/1.1\r\nHost: x\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n"
	    HELLO));
	wire_expect(&w, "Hi!");
	assert_int_equal(wire_count(&w, "second"), 1);
	assert_int_equal(wire_count(&w, "HTTP/1.1 200"), 3);
	wire_close(&w);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

/* Responses without content need no room in the socket to be begun: they must
 * not pile up in the queue of a client that never reads. */
static void
test_a_client_that_never_reads(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG(
	    "\"buffers\": {\"read\": \"4KiB\"},"));
	struct str many = repeat(HEAD, 100000, "");
	struct wire w;
	size_t sent;

	wire_open_small(lo, &w);
	sent = wire_push(&w, many);
	unit_check(lo->stats.bytes_in < 262144, "the server stops reading");
	unit_check(sent < many.len, "the client is held up");
	/* And all of it is answered once it does read. */
	while (sent < many.len) {
		size_t n = wire_push(&w, str_from(many.p + sent,
		    many.len - sent));

		sent += n;
		wire_expect(&w, "200 OK");
		buf_clear(&w.text);
		loopback_settle(lo);
		if (sent > 20 * 262144)
			break;
	}
	wire_close(&w);
	loopback_check_quiet(lo);
	repeat_free(many);
	loopback_close(lo);
}

/* What is refused doesn't take with it what was answered before. */
static void
test_answers_before_a_refusal(void **unused)
{
	static const char *const bad[] = {
		"POST /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
		    "\r\n\r\nzz\r\n",
		"POST /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
		    "\r\n\r\n9\r\n123456789\r\n0\r\n\r\n",
		"POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
		    "\r\n\r\n1\r\naz\r\n",
		"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
		    "\r\n\r\nzz\r\n",
		"GET / HTTP/9.9\r\n\r\n",
	};
	size_t i;

	for (i = 0; i < UNIT_COUNT(bad); i++) {
		struct loopback *lo = loopback_open(CONFIG(
		    "\"limits\": {\"body_bytes\": 8},"));
		struct wire w;

		wire_open(lo, &w);
		send_repeated(&w, HELLO, 2, bad[i]);
		wire_expect_end(&w);
		unit_check(wire_count(&w, "Hi!") >= 2, bad[i]);
		unit_check(wire_count(&w, "HTTP/1.1 ") == 3, bad[i]);
		wire_close(&w);
		loopback_check_quiet(lo);
		loopback_close(lo);
	}
}

/* The clock of a head doesn't run on while content is streamed. */
static void
test_a_slow_stream(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG("\"timeouts\": "
	    "{\"head\": \"200ms\", \"idle\": \"200ms\", \"body\": \"20s\","
	    " \"write\": \"200ms\"},"));
	struct wire w;
	unsigned i;

	wire_open(lo, &w);
	wire_send(&w, STR("POST /stream HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 5\r\n\r\n"));
	for (i = 0; i < 5; i++) {
		loopback_ticks(lo, 2);
		wire_send(&w, STR("x"));
	}
	wire_expect(&w, "xxxxx");
	wire_close(&w);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

static void
test_a_stalled_stream(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG("\"timeouts\": "
	    "{\"head\": \"20s\", \"idle\": \"20s\", \"body\": \"200ms\"},"));
	struct wire w;

	wire_open(lo, &w);
	wire_send(&w, STR("POST /stream HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 5\r\n\r\nab"));
	wire_expect_end(&w);
	assert_int_equal(lo->stats.timeouts_body, 1);
	assert_int_equal(lo->stats.timeouts_write, 0);
	wire_close(&w);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

/* The batch has room for so many pieces; "100 Continue" is one more. */
static void
test_continue_behind_a_full_batch(void **unused)
{
	char config[8192];
	struct loopback *lo;
	unsigned n;

	snprintf(config, sizeof(config), "{\"routes\": [{\"path\": \"/big\","
	    "\"handler\": \"respond\", \"body\": \"%05000d\"}, {\"path\": "
	    "\"/echo\", \"handler\": \"echo\"}]}", 0);
	lo = loopback_open(config);
	for (n = 14; n < 19; n++) {
		struct wire w;

		wire_open(lo, &w);
		send_repeated(&w, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n", n,
		    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
		    "Expect: 100-continue\r\n\r\n");
		wire_expect(&w, "HTTP/1.1 100 Continue\r\n\r\n");
		wire_send(&w, STR("12345"));
		wire_expect(&w, "12345");
		assert_int_equal(wire_count(&w, "HTTP/1.1 200"), n + 1);
		wire_close(&w);
	}
	loopback_check_quiet(lo);
	loopback_close(lo);
}

/* Whatever a client that doesn't read has begun behind its unread answers, its
 * time is over in the end. */
static void
test_unread_answers_time_out(void **unused)
{
	static const char *const last[] = {
		"GET /hel",
		"GET /late HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
		"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na",
		"PUT /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na",
		"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"BAD\r\n\r\n",
	};
	struct loopback *lo = loopback_open(CONFIG("\"timeouts\": "
	    "{\"head\": \"200ms\", \"body\": \"200ms\", \"idle\": "
	    "\"200ms\", \"write\": \"200ms\"},"));
	struct wire w[UNIT_COUNT(last)][40];
	size_t i, n;

	for (i = 0; i < UNIT_COUNT(last); i++) {
		/* The socket fills up at another place each time. */
		for (n = 0; n < UNIT_COUNT(w[i]); n++) {
			struct str s = repeat(HEAD, 4 * n, last[i]);

			wire_open_small(lo, &w[i][n]);
			(void)send(w[i][n].fd, s.p, s.len, MSG_NOSIGNAL);
			loopback_settle(lo);
			repeat_free(s);
		}
	}
	loopback_check_quiet(lo);
	for (i = 0; i < UNIT_COUNT(last); i++) {
		for (n = 0; n < UNIT_COUNT(w[i]); n++)
			wire_close(&w[i][n]);
	}
	loopback_close(lo);
}

static void
test_drain_closes_what_was_under_way(void **unused)
{
	static const char *const begun[] = {
		"GET /late HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
		"POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
		"GET /hello HTTP/1.1\r\nHost: x\r\nX: ",
	};
	static const char *const rest[] = {
		"", "abc", "abc", "abc", "\r\n\r\n"};
	struct wire w[UNIT_COUNT(begun)];
	struct loopback *lo = loopback_open(CONFIG("\"timeouts\": "
	    "{\"idle\": \"1h\", \"head\": \"1h\", \"body\": \"1h\"},"));
	size_t i;

	for (i = 0; i < UNIT_COUNT(begun); i++) {
		wire_open(lo, &w[i]);
		wire_send(&w[i], str_of(begun[i]));
	}
	server_drain(lo->srv);
	for (i = 0; i < UNIT_COUNT(begun); i++) {
		wire_send(&w[i], str_of(rest[i]));
		wire_expect_end(&w[i]);
		unit_check(wire_count(&w[i], " 200 OK") == 1, begun[i]);
		wire_close(&w[i]);
	}
	loopback_check_quiet(lo);
	assert_true(server_is_drained(lo->srv));
	loopback_close(lo);
}

static void
test_clients_gone_before_their_answer(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG(""));
	unsigned i;

	for (i = 0; i < 2000; i++) {
		struct wire w;

		wire_open(lo, &w);
		(void)send(w.fd, STR(NEVER).p, sizeof(NEVER) - 1,
		    MSG_NOSIGNAL);
		if (i % 2 == 0)
			loopback_settle(lo);
		wire_close(&w);
		if (i % 50 == 0)
			loopback_wait_empty(lo);
	}
	loopback_check_quiet(lo);
	assert_int_equal(lo->stats.requests_aborted, 2000);
	loopback_close(lo);
}

static const char pipeline[] = HELLO
    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nfour"
    HEAD
    "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nnil"
    "POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    "3;a=b\r\nabc\r\n4\r\ndefg\r\n0\r\nX: y\r\n\r\n"
    "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n"
    "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    "\r\nPUT /stream HTTP/1.0\r\nContent-Length: 3\r\n"
    "Connection: keep-alive\r\n\r\nxyz"
    "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/* All that isn't data of chunks or changes with time. */
static void
check_pipeline(struct wire *w, unsigned cut)
{
	static const char *const parts[] = {"\r\n\r\nHi!HTTP",
		"\r\n\r\nfourHTTP", "\r\n\r\nHTTP", "\r\n\r\nHi!HTTP",
		"Transfer-Encoding: chunked", "\r\n0\r\n\r\nHTTP/1.1 204",
		"\r\n\r\nabcHTTP",
		"\r\n\r\nxyzHTTP", "\r\n\r\nHi!"};
	char name[64];
	struct str s = buf_str(&w->text);
	size_t i;

	snprintf(name, sizeof(name), "cut at %u", cut);
	unit_check(wire_count(w, "HTTP/1.1 ") == 9, name);
	for (i = 0; i < UNIT_COUNT(parts); i++) {
		size_t len = strlen(parts[i]);
		const char *p = memmem(s.p, s.len, parts[i], len);

		if (p == NULL)
			fail_msg("%s: no '%s' in '%.*s'", name, parts[i],
			    STR_FMT(s));
		s = str_from(p + len / 2, (size_t)(s.p + s.len - p) - len / 2);
	}
}

static void
test_a_pipeline_cut_anywhere(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG(""));
	unsigned cut;

	for (cut = 0; cut < sizeof(pipeline); cut++) {
		struct wire w;

		wire_open(lo, &w);
		wire_send(&w, str_from(pipeline, cut));
		wire_send(&w, str_from(pipeline + cut,
		    sizeof(pipeline) - 1 - cut));
		wire_expect_end(&w);
		check_pipeline(&w, cut);
		wire_close(&w);
	}
	loopback_check_quiet(lo);
	loopback_close(lo);
}

static void
test_a_pipeline_byte_by_byte(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG(""));
	struct wire w;
	unsigned i;

	wire_open(lo, &w);
	for (i = 0; i < sizeof(pipeline) - 1; i++)
		wire_send(&w, str_from(pipeline + i, 1));
	wire_expect_end(&w);
	check_pipeline(&w, 1);
	wire_close(&w);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

static void
test_a_pipeline_left_anywhere(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG(""));
	unsigned cut;

	for (cut = 0; cut < sizeof(pipeline); cut++) {
		struct wire w;

		wire_open_small(lo, &w);
		wire_send(&w, str_from(pipeline, cut));
		if (cut % 3 == 0)
			shutdown(w.fd, SHUT_WR);
		wire_close(&w);
	}
	loopback_check_quiet(lo);
	loopback_close(lo);
}

/* A part of the next head comes while the handler is at work. */
static void
test_a_head_begun_behind_a_late_answer(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG(""));
	struct wire w;

	wire_open(lo, &w);
	wire_send(&w, STR("GET /late HTTP/1.1\r\nHost: x\r\n\r\n"));
	wire_send(&w, STR("GET /hel"));
	wire_expect(&w, "at last");
	wire_send(&w, STR("lo HTTP/1.1\r\nHost: x\r\n\r\n"));
	wire_expect(&w, "Hi!");
	wire_close(&w);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

/* Answers larger than the socket, content and requests behind them. */
static void
test_a_pipeline_read_slowly(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG(""));
	struct str many = repeat("POST /stream HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 20\r\n\r\n12345678901234567890" HEAD HELLO
	    "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
	    "\r\n14\r\n12345678901234567890\r\n0\r\n\r\n", 500,
	    "GET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	struct wire w;
	size_t at = 0;

	wire_open_small(lo, &w);
	while (!w.is_ended) {
		char piece[700];
		ssize_t n;

		if (at < many.len)
			at += wire_push(&w, str_from(many.p + at,
			    many.len - at < 5000 ? many.len - at : 5000));
		n = recv(w.fd, piece, sizeof(piece), 0);
		if (n > 0)
			buf_add(&w.text, str_from(piece, (size_t)n));
		w.is_ended = n == 0;
		loopback_settle(lo);
	}
	assert_int_equal(wire_count(&w, "HTTP/1.1 200"), 2000);
	assert_int_equal(wire_count(&w, "12345678901234567890"), 1000);
	assert_int_equal(wire_count(&w, "HTTP/1.1 204"), 1);
	wire_close(&w);
	loopback_check_quiet(lo);
	repeat_free(many);
	loopback_close(lo);
}

static void
test_limits_at_their_ends(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG(
	    "\"limits\": {\"header_bytes\": \"1MiB\", \"header_count\": 10000,"
	    " \"body_bytes\": \"1MiB\"},"
	    "\"buffers\": {\"read\": \"4KiB\", \"body_memory\": 0},"));
	struct str head = repeat("X-Filler: 0123456789012345678901234567890123"
	    "456789012345678901234567890123456789012345678901234\r\n", 9000,
	    "Host: x\r\n\r\n");
	struct str body = repeat("0123456789abcdef", 65536, "");
	struct wire w;

	wire_open(lo, &w);
	wire_send(&w, STR("GET /hello HTTP/1.1\r\n"));
	wire_send(&w, head);
	wire_expect(&w, "Hi!");
	wire_send(&w, STR("POST /echo HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 1048576\r\n\r\n"));
	wire_send(&w, body);
	wire_send(&w, STR(HELLO));
	wire_expect(&w, "89abcdefHTTP/1.1 200 OK");
	wire_close(&w);
	loopback_check_quiet(lo);
	repeat_free(head);
	repeat_free(body);
	loopback_close(lo);
}

static void
test_no_content_is_allowed(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG(
	    "\"limits\": {\"body_bytes\": 0},"));
	struct wire w;

	wire_open(lo, &w);
	wire_send(&w, STR("POST /echo HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 0\r\n\r\n"
	    "POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
	    "\r\n\r\n0\r\n\r\n"
	    "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
	    "\r\n\r\n1\r\na\r\n0\r\n\r\n"));
	wire_expect_end(&w);
	assert_int_equal(wire_count(&w, "HTTP/1.1 200"), 2);
	assert_int_equal(wire_count(&w, "HTTP/1.1 413"), 1);
	wire_close(&w);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

/* A route has a limit of its own, whatever that of all is. */
static void
test_routes_take_different_lengths(void **unused)
{
	struct loopback *lo = loopback_open("{\"limits\": "
	    "{\"body_bytes\": 4}, \"routes\": ["
	    "{\"path\": \"/all\", \"handler\": \"echo\"},"
	    "{\"path\": \"/more\", \"handler\": \"echo\", "
	    "\"body_bytes\": 8, \"middleware\": [{\"use\": \"cors\"}]},"
	    "{\"path\": \"/none\", \"handler\": \"echo\", "
	    "\"body_bytes\": 0},"
	    "{\"path\": \"/stream\", \"handler\": \"echo\", "
	    "\"stream\": true, \"body_bytes\": 8}]}");
	static const struct {
		const char *path, *framing;
		int status;
	} cases[] = {
		{"/all", "Content-Length: 4\r\n\r\n1234", 200},
		{"/all", "Content-Length: 5\r\n\r\n12345", 413},
		{"/nowhere", "Content-Length: 5\r\n\r\n12345", 413},
		{"/nowhere", "Content-Length: 4\r\n\r\n1234", 404},
		{"/more", "Content-Length: 8\r\n\r\n12345678", 200},
		{"/more", "Content-Length: 9\r\nOrigin: http://a\r\n"
		    "Expect: 100-continue\r\n\r\n", 413},
		{"/more", "Transfer-Encoding: chunked\r\n\r\n"
		    "8\r\n12345678\r\n0\r\n\r\n", 200},
		{"/more", "Transfer-Encoding: chunked\r\n\r\n"
		    "8\r\n12345678\r\n1\r\n", 413},
		{"/none", "Content-Length: 0\r\n\r\n", 200},
		{"/none", "Content-Length: 1\r\n\r\n1", 413},
		{"/stream", "Content-Length: 8\r\n\r\n12345678", 200},
		{"/stream", "Content-Length: 9\r\n\r\n123456789", 413},
	};
	char request[256], line[32];
	struct wire w;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(request, sizeof(request), "POST %s HTTP/1.1\r\n"
		    "Host: x\r\n%s", cases[i].path, cases[i].framing);
		snprintf(line, sizeof(line), "HTTP/1.1 %d ", cases[i].status);
		wire_open(lo, &w);
		wire_send(&w, str_of(request));
		wire_expect(&w, line);
		/* The route's middleware has seen the refusal. */
		if (strstr(request, "Origin") != NULL)
			wire_expect(&w, "Access-Control-Allow-Origin: ");
		wire_close(&w);
	}
	loopback_check_quiet(lo);
	loopback_close(lo);
}

static void
test_requests_per_connection(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG(
	    "\"limits\": {\"requests_per_connection\": 3},"));
	struct wire w;

	wire_open(lo, &w);
	send_repeated(&w, HELLO, 10, "");
	wire_expect_end(&w);
	assert_int_equal(wire_count(&w, "HTTP/1.1 200"), 3);
	assert_int_equal(wire_count(&w, "Connection: close"), 1);
	wire_close(&w);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

/* Raw TCP: an echo that took long to be read isn't followed by its timeout. */
static void
test_tcp_after_a_slow_reader(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG("\"timeouts\": "
	    "{\"write\": \"300ms\", \"idle\": \"1h\", \"head\": \"1h\"},"));
	struct str much = repeat("0123456789abcdef", 4096, "");
	struct wire w;

	lo->service = SERVICE_TCP_ECHO;
	wire_open_small(lo, &w);
	(void)wire_push(&w, str_from(much.p, 20000));
	while (w.text.len < 20000 && !w.is_ended) {
		char piece[4096];
		ssize_t n = recv(w.fd, piece, sizeof(piece), 0);

		if (n > 0)
			buf_add(&w.text, str_from(piece, (size_t)n));
		loopback_settle(lo);
	}
	loopback_ticks(lo, 6);
	buf_clear(&w.text);
	wire_send(&w, STR("still there"));
	wire_expect(&w, "still there");
	shutdown(w.fd, SHUT_WR);
	wire_expect_end(&w);
	wire_close(&w);
	loopback_check_quiet(lo);
	repeat_free(much);
	loopback_close(lo);
}

/* What clients may use up is not the operator's. */
static void
test_room_for_the_operator(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG(""));
	struct wire w[101], admin;
	size_t i;

	for (i = 0; i < UNIT_COUNT(w); i++)
		wire_open(lo, &w[i]);
	assert_int_equal(server_connection_count(lo->srv), 100);
	assert_int_equal(lo->stats.connections_refused, 1);
	wire_expect_end(&w[100]);
	lo->service = SERVICE_ADMIN;
	wire_open(lo, &admin);
	wire_send(&admin, STR("GET /health HTTP/1.1\r\nHost: x\r\n\r\n"));
	wire_expect(&admin, "HTTP/1.1 200 OK");
	wire_close(&admin);
	for (i = 0; i < UNIT_COUNT(w); i++)
		wire_close(&w[i]);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

/* Every way out gives an address its place back. */
static void
test_connections_per_address(void **unused)
{
	struct loopback *lo = loopback_open(CONFIG(
	    "\"limits\": {\"connections_per_ip\": 2},"));
	struct wire w[40];
	unsigned round, i;

	for (round = 0; round < 5; round++) {
		for (i = 0; i < UNIT_COUNT(w); i++) {
			/* A network of 64 bits is one address; three each. */
			lo->peer.sin6_addr.s6_addr[7] = (uint8_t)(i / 3);
			wire_open(lo, &w[i]);
			wire_push(&w[i], STR("GET /late HTTP/1.1\r\n"
			    "Host: x\r\nConnection: close\r\n\r\n"));
		}
		assert_int_equal(server_connection_count(lo->srv), 27);
		for (i = 0; i < UNIT_COUNT(w); i++) {
			if ((i + round) % 2 == 0)
				wire_expect_end(&w[i]);
			wire_close(&w[i]);
		}
		loopback_check_quiet(lo);
	}
	assert_int_equal(lo->stats.connections_refused, 13 * 5);
	loopback_close(lo);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timeouts_answer_once),
		cmocka_unit_test(test_chunks_after_a_length),
		cmocka_unit_test(test_a_client_that_never_reads),
		cmocka_unit_test(test_answers_before_a_refusal),
		cmocka_unit_test(test_a_slow_stream),
		cmocka_unit_test(test_a_stalled_stream),
		cmocka_unit_test(test_continue_behind_a_full_batch),
		cmocka_unit_test(test_unread_answers_time_out),
		cmocka_unit_test(test_drain_closes_what_was_under_way),
		cmocka_unit_test(test_clients_gone_before_their_answer),
		cmocka_unit_test(test_a_pipeline_cut_anywhere),
		cmocka_unit_test(test_a_pipeline_byte_by_byte),
		cmocka_unit_test(test_a_pipeline_left_anywhere),
		cmocka_unit_test(test_a_head_begun_behind_a_late_answer),
		cmocka_unit_test(test_a_pipeline_read_slowly),
		cmocka_unit_test(test_limits_at_their_ends),
		cmocka_unit_test(test_no_content_is_allowed),
		cmocka_unit_test(test_routes_take_different_lengths),
		cmocka_unit_test(test_requests_per_connection),
		cmocka_unit_test(test_room_for_the_operator),
		cmocka_unit_test(test_connections_per_address),
		cmocka_unit_test(test_tcp_after_a_slow_reader),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	signal(SIGPIPE, SIG_IGN);
	return UNIT_RUN(tests);
}
