/* SPDX-License-Identifier: MIT */
/*
 * Proves the handlers, each through the whole server.
 *
 * Context: a loopback; a folder of its own under TMPDIR.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/loopback.h"
#include "tests/unit/unit.h"

static const char routes[] = "{\"routes\": ["
    "{\"path\": \"/hello\", \"methods\": [\"GET\"], \"handler\": \"respond\","
    " \"headers\": {\"content-type\": \"text/plain\", \"X-A\": \"b\"},"
    " \"body\": \"Hello, World!\"},"
    "{\"path\": \"/json\", \"handler\": \"respond\","
    " \"json\": {\"a\": 1}},"
    "{\"path\": \"/empty\", \"handler\": \"respond\", \"status\": 204},"
    "{\"path\": \"/late\", \"handler\": \"respond\", \"delay\": \"30ms\","
    " \"body\": \"at last\"},"
    "{\"path\": \"/old/{id}\", \"handler\": \"redirect\","
    " \"to\": \"/new/{id}\", \"status\": 308},"
    "{\"path\": \"/deep/{path:.*}\", \"handler\": \"redirect\","
    " \"to\": \"https://example.com/{path}?a=b#c\"},"
    "{\"path\": \"/plain\", \"handler\": \"redirect\","
    " \"to\": \"/there\", \"keep_query\": false, \"status\": 301},"
    "{\"path\": \"/echo\", \"handler\": \"echo\"},"
    "{\"path\": \"/stream\", \"handler\": \"echo\", \"stream\": true},"
    "{\"path\": \"/health\", \"handler\": \"health\"},"
    "{\"path\": \"/ready\", \"handler\": \"ready\"},"
    "{\"path\": \"/metrics\", \"handler\": \"metrics\"},"
    "{\"path\": \"/stats\", \"handler\": \"stats\"}"
    "]}";

static const struct exchange exchanges[] = {
	{"respond sends type, fields and body", "GET /hello HTTP/1.0", 200,
	    {"Content-Type: text/plain", "X-A: b", "Content-Length: 13"}, {0},
	    "Hello, World!"},
	{"and no body to HEAD", "HEAD /hello HTTP/1.0", 200,
	    {"Content-Length: 13"}, {0}, ""},
	{"and 405 with Allow to others", "POST /hello HTTP/1.0", 405,
	    {"Allow: GET, HEAD, OPTIONS"}, {0}, NULL},
	{"JSON has its type", "GET /json HTTP/1.0", 200,
	    {"Content-Type: application/json"}, {0}, "{\"a\":1}"},
	{"204 has no content", "GET /empty HTTP/1.0", 204, {0},
	    {"Content-Type:", "Content-Length:"}, ""},
	{"an answer may wait", "GET /late HTTP/1.0", 200,
	    {"Content-Length: 7"}, {0}, "at last"},
	{"a redirect takes its parameter and the query",
	    "GET /old/42?x=1&y HTTP/1.0", 308, {"Location: /new/42?x=1&y"},
	    {0}, ""},
	{"and encodes what it was decoded from",
	    "GET /old/a%20b%3f%5c%2F HTTP/1.0", 308,
	    {"Location: /new/a%20b%3F%5C%2F"}, {0}, NULL},
	{"and lets nothing through to the head",
	    "GET /old/a%0d%0aX:%20y HTTP/1.0", 308,
	    {"Location: /new/a%0D%0AX%3A%20y"}, {"X:"}, NULL},
	{"a tail, a query of its own, a fragment",
	    "GET /deep/a/b?c=d HTTP/1.0", 302,
	    {"Location: https://example.com/a/b?a=b&c=d#c"}, {0}, NULL},
	{"without the query", "GET /plain?c=d HTTP/1.0", 301,
	    {"Location: /there"}, {0}, NULL},
	{"echo of nothing", "GET /echo HTTP/1.0", 200, {0}, {0}, ""},
	{"alive", "GET /health HTTP/1.0", 200, {"Cache-Control: no-store"},
	    {0}, "{\"status\":\"ok\"}"},
	{"ready", "GET /ready HTTP/1.0", 200, {0}, {0},
	    "{\"status\":\"ready\"}"},
	{"Prometheus by default", "GET /metrics HTTP/1.0", 200,
	    {"Content-Type: text/plain; version=0.0.4; charset=utf-8"}, {0},
	    NULL},
	{"OpenMetrics by Accept", "GET /metrics HTTP/1.0\r\n"
	    "Accept: application/openmetrics-text;version=1.0.0,text/plain;"
	    "q=0.5", 200, {"Content-Type: application/openmetrics-text; "
	    "version=1.0.0; charset=utf-8"}, {0}, NULL},
	{"but not where it is refused", "GET /metrics HTTP/1.0\r\n"
	    "Accept: application/openmetrics-text;q=0,text/plain", 200,
	    {"Content-Type: text/plain; version=0.0.4; charset=utf-8"}, {0},
	    NULL},
	{"stats are JSON", "GET /stats HTTP/1.0", 200,
	    {"Content-Type: application/json"}, {0}, NULL},
};

static void
test_exchanges(void **state)
{
	struct loopback *lo = loopback_open(routes);

	for (size_t i = 0; i < UNIT_COUNT(exchanges); i++)
		exchange_run(lo, &exchanges[i]);
	loopback_close(lo);
}

static void
test_not_ready(void **state)
{
	struct loopback *lo = loopback_open(routes);

	lo->unready = "it \"drains\"";
	exchange_run(lo, &(struct exchange){"drains", "GET /ready HTTP/1.0",
	    503, {"Cache-Control: no-store"}, {0}, "{\"status\":"
	    "\"unavailable\",\"reason\":\"it \\\"drains\\\"\"}"});
	loopback_close(lo);
}

/* A client that is told no takes its timer with it. */
static void
test_delay_is_cancelled(void **state)
{
	struct loopback *lo = loopback_open("{\"routes\": [{\"path\": \"/\","
	    "\"handler\": \"respond\", \"delay\": \"10m\"}],"
	    "\"timeouts\": {\"request\": \"200ms\"}}");

	exchange_run(lo, &(struct exchange){"too late", "GET / HTTP/1.0", 503,
	    {0}, {0}, NULL});
	loopback_close(lo);
}

static void
echo_check(struct loopback *lo, const char *path, size_t bytes)
{
	struct buf request;
	struct reply reply;

	buf_init(&request, 0);
	buf_printf(&request, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close"
	    "\r\nContent-Type: text/x-mine\r\nContent-Length: %zu\r\n\r\n",
	    path, bytes);
	for (size_t i = 0; i < bytes; i++)
		buf_add_byte(&request, (char)('a' + i % 23));
	loopback_ask(lo, request.p, &reply);
	assert_int_equal(reply.status, 200);
	unit_check_str(reply_field(&reply, "Content-Type"),
	    STR("text/x-mine"), "the type comes back");
	assert_int_equal(reply.body.len, bytes);
	assert_memory_equal(reply.body.p, request.p + request.len - bytes,
	    bytes);
	reply_done(&reply);
	buf_done(&request);
}

/* In one read, in many, beyond body_memory (a file), beyond its own buffer. */
static void
test_echo(void **state)
{
	static const size_t sizes[] = {1, 1000, 65536, 300000, 1000000};
	struct loopback *lo = loopback_open(routes);

	for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
		echo_check(lo, "/echo", sizes[i]);
		echo_check(lo, "/stream", sizes[i]);
	}
	loopback_close(lo);
}

static void
test_echo_chunked(void **state)
{
	static const char *const paths[] = {"/echo", "/stream"};
	struct loopback *lo = loopback_open(routes);
	struct reply reply;
	char request[512];

	for (size_t i = 0; i < UNIT_COUNT(paths); i++) {
		snprintf(request, sizeof(request), "POST %s HTTP/1.1\r\n"
		    "Host: x\r\nConnection: close\r\nTransfer-Encoding: "
		    "chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
		    paths[i]);
		loopback_ask(lo, request, &reply);
		assert_int_equal(reply.status, 200);
		unit_check_str(reply_field(&reply, "Content-Type"),
		    STR("application/octet-stream"), "no type came");
		assert_non_null(memmem(reply.body.p, reply.body.len, "defg",
		    4));
		reply_done(&reply);
	}
	loopback_close(lo);
}

static void
file_write(const char *folder, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static const struct exchange files[] = {
	{"a file", "GET /f/a.txt HTTP/1.0", 200,
	    {"Content-Type: text/plain; charset=utf-8", "Content-Length: 5"},
	    {0}, "hello"},
	{"its head", "HEAD /f/a.txt HTTP/1.0", 200, {"Content-Length: 5"}, {0},
	    ""},
	{"an empty file", "GET /f/empty HTTP/1.0", 200,
	    {"Content-Length: 0", "Content-Type: application/octet-stream"},
	    {0}, ""},
	{"a type of the route's own", "GET /f/x.mine HTTP/1.0", 200,
	    {"Content-Type: text/x-mine"}, {0}, "mine"},
	{"an index", "GET /f/ HTTP/1.0", 200,
	    {"Content-Type: text/html; charset=utf-8"}, {0}, "<p>"},
	{"a folder without its slash", "GET /f/sub?q HTTP/1.0", 301,
	    {"Location: /f/sub/?q"}, {0}, NULL},
	{"a folder without an index", "GET /f/sub/ HTTP/1.0", 404, {0}, {0},
	    NULL},
	{"no file", "GET /f/nothing HTTP/1.0", 404, {0}, {0}, NULL},
	{"a file as a folder", "GET /f/a.txt/ HTTP/1.0", 404, {0}, {0}, NULL},
	{"a hidden file", "GET /f/.hidden HTTP/1.0", 404, {0}, {0}, NULL},
	{"in a hidden folder", "GET /f/sub/.git/x HTTP/1.0", 404, {0}, {0},
	    NULL},
	{"outside by a link", "GET /f/out HTTP/1.0", 404, {0}, {0}, NULL},
	{"outside by dots", "GET /f/%2e%2e/%2e%2e/etc/passwd HTTP/1.0", 400,
	    {0}, {0}, NULL},
	{"outside by an encoded slash", "GET /f/..%2F..%2Fetc HTTP/1.0", 404,
	    {0}, {0}, NULL},
	{"POST", "POST /f/a.txt HTTP/1.0\r\nContent-Length: 0", 405, {0}, {0},
	    NULL},
	{"without a tail the path is the file", "GET /robots.txt HTTP/1.0",
	    200, {0}, {0}, "none"},
};

static void
test_static(void **state)
{
	char folder[] = "/tmp/corelane-handlers.XXXXXX", path[256], text[1024];
	static const char *const names[] = {"a.txt", "empty", "x.mine",
	    "index.html", ".hidden", "robots.txt", "out", "sub", ""};
	static const char *const texts[] = {"hello", "", "mine", "<p>",
	    "secret", "none"};
	struct loopback *lo;

	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < UNIT_COUNT(texts); i++)
		file_write(folder, names[i], texts[i]);
	snprintf(path, sizeof(path), "%s/sub", folder);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/out", folder);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	snprintf(text, sizeof(text), "{\"routes\": [{\"path\": "
	    "\"/f/{path:.*}\", \"handler\": \"static\", \"root\": \"%s\","
	    "\"types\": {\".mine\": \"text/x-mine\"}},"
	    "{\"path\": \"/robots.txt\", \"handler\": \"static\","
	    "\"root\": \"%s\"}]}", folder, folder);
	lo = loopback_open(text);
	for (size_t i = 0; i < 2 * UNIT_COUNT(files); i++)
		exchange_run(lo, &files[i / 2]);
	loopback_close(lo);
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		assert_int_equal(remove(path), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchanges),
		cmocka_unit_test(test_not_ready),
		cmocka_unit_test(test_delay_is_cancelled),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_echo_chunked),
		cmocka_unit_test(test_static),
	};

	return UNIT_RUN(tests);
}
