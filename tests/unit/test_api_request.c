/* SPDX-License-Identifier: MIT */
/*
 * Reading a request, as a module does it.
 *
 * Context: a process of its own, the server over a socketpair.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "server/module.h"
#include "tests/unit/loopback.h"

#define MODULE                                                                 \
	"{\"modules\": [{\"name\": \"probe\", \"file\": \"x.so\"}], "          \
	"\"buffers\": {\"body_memory\": \"1KiB\"}}"

/* "(none)" tells an absent text from an empty one. */
static struct lane_str
show(struct lane_str s)
{
	return s.p != NULL ? s : LANE_STR("(none)");
}

static int
run_line(struct lane_ctx *c)
{
	return lane_printf(c, 200, "text/plain",
	    "%.*s %.*s %.*s %.*s %.*s %d %.*s %.*s %.*s %u %d",
	    LANE_FMT(lane_method(c)), LANE_FMT(lane_path(c)),
	    LANE_FMT(lane_target(c)), LANE_FMT(show(lane_query_string(c))),
	    LANE_FMT(lane_host(c)), lane_http_version(c),
	    LANE_FMT(lane_route_pattern(c)), LANE_FMT(lane_handler_name(c)),
	    LANE_FMT(lane_peer(c)), lane_peer_port(c), lane_is_tls(c));
}

static int
run_id(struct lane_ctx *c)
{
	struct lane_str id = lane_request_id(c);

	if (id.len != 32 || !lane_str_eq(id, lane_request_id(c)))
		return -EIO;
	return 204;
}

static int
run_param(struct lane_ctx *c)
{
	int64_t id;
	int rc = lane_param_int(c, "id", &id);

	if (rc != 0)
		return rc;
	return lane_printf(c, 200, "text/plain", "%lld %.*s", (long long)id,
	    LANE_FMT(show(lane_param(c, "other"))));
}

static int
run_query(struct lane_ctx *c)
{
	struct lane_str name, value;
	int64_t n;
	unsigned count = 0;
	int rc = lane_query_int(c, "n", 7, &n);

	if (rc != 0)
		return rc;
	while (lane_query_item(c, count, &name, &value))
		count++;
	return lane_printf(c, 200, NULL, "%.*s %.*s %.*s %lld %u",
	    LANE_FMT(show(lane_query(c, "a"))),
	    LANE_FMT(show(lane_query_nth(c, "a", 1))),
	    LANE_FMT(show(lane_query_nth(c, "a", 2))), (long long)n, count);
}

static int
run_fields(struct lane_ctx *c)
{
	struct lane_str name, value, last = LANE_STR("");
	unsigned count = 0;

	while (lane_header_item(c, count, &name, &value)) {
		last = name;
		count++;
	}
	return lane_printf(c, 200, NULL, "%.*s|%.*s|%.*s|%.*s|%u|%.*s|%.*s",
	    LANE_FMT(show(lane_header(c, "x-a"))),
	    LANE_FMT(show(lane_header_nth(c, "X-A", 1))),
	    LANE_FMT(show(lane_header_nth(c, "X-A", 2))),
	    LANE_FMT(show(lane_header(c, "X-B"))), count, LANE_FMT(last),
	    LANE_FMT(show(lane_cookie(c, "sid"))));
}

static int
run_accepts(struct lane_ctx *c)
{
	static const char *const types[] = {"application/json", "text/html"};

	return lane_printf(c, 200, NULL, "%d %d", lane_accepts(c, types, 2),
	    lane_has_type(c, "text/plain"));
}

static int
run_attr(struct lane_ctx *c)
{
	static const char type, other;
	int target, found = 0;
	int64_t n = 0;

	if (lane_attr_set(c, "n", lane_int(5)) != 0 ||
	    lane_attr_set(c, "t", lane_text(LANE_STR("x"))) != 0 ||
	    lane_attr_set_pointer(c, "p", &type, &target) != 0)
		return -ENOMEM;
	found += lane_attr_int(c, "n", &n) && n == 5;
	found += !lane_attr_int(c, "t", &n) && !lane_attr_int(c, "x", &n);
	found += lane_str_eq(lane_attr_text(c, "t"), LANE_STR("x"));
	found += lane_attr_text(c, "n").p == NULL;
	found += lane_attr_pointer(c, "p", &type) == &target;
	found += lane_attr_pointer(c, "p", &other) == NULL;
	found += lane_attr(c, "none").kind == LANE_NULL;
	/* A pointer says its type. */
	found += lane_attr_set(c, "q", lane_attr(c, "p")) == -EINVAL;
	return lane_printf(c, 200, NULL, "%d", found);
}

static int
run_body(struct lane_ctx *c)
{
	struct lane_str body = lane_body(c);

	return lane_send(c, 200, NULL, show(body));
}

static int
run_json(struct lane_ctx *c)
{
	const cJSON *tree;
	int rc = lane_body_json(c, 3, &tree);

	if (rc != 0)
		return rc;
	return lane_printf(c, 200, NULL, "%d items",
	    cJSON_GetArraySize(tree));
}

static int
run_form(struct lane_ctx *c)
{
	struct lane_upload u = {0};
	struct lane_str name, value;
	unsigned fields = 0, files = 0;
	int rc = lane_form_read(c);

	if (rc != 0)
		return rc;
	while (lane_form_item(c, fields, &name, &value))
		fields++;
	while (lane_upload_item(c, files, &u))
		files++;
	return lane_printf(c, 200, NULL, "%u %.*s %.*s %u %.*s %zu", fields,
	    LANE_FMT(show(lane_form(c, "a"))),
	    LANE_FMT(show(lane_form_nth(c, "a", 1))), files,
	    LANE_FMT(show(u.filename)), u.content.len);
}

static const struct lane_route routes[] = {
    {.name = "line", .path = "/line/{x}", .run = run_line},
    {.name = "id", .path = "/id", .run = run_id},
    {.name = "param", .path = "/param/{id}", .run = run_param},
    {.name = "query", .path = "/query", .run = run_query},
    {.name = "fields", .path = "/fields", .run = run_fields},
    {.name = "accepts", .path = "/accepts", .run = run_accepts},
    {.name = "attr", .path = "/attr", .run = run_attr},
    {.name = "body", .path = "/body", .run = run_body},
    {.name = "json", .path = "/json", .run = run_json},
    {.name = "form", .path = "/form", .run = run_form},
    {.name = NULL},
};
static const struct lane_module probe = {
	.abi = LANE_ABI, .name = "probe", .routes = routes,
};
static const struct module_given given[] = {{"probe", &probe}, {NULL, NULL}};

static void
heads_are_read(void **state)
{
	static const struct exchange cases[] = {
	    {"the request line", "GET /line/%41/../b?q=%20 HTTP/1.0", 200, {0},
		{0}, "GET /line/b /line/%41/../b?q=%20 q=%20 x 10 /line/{x} "
		"probe.line ::1 0 0"},
	    {"no query", "GET /line/b HTTP/1.0", 200, {0}, {0},
		"GET /line/b /line/b (none) x 10 /line/{x} probe.line ::1 0 "
		"0"},
	    {"an id is made, once", "GET /id HTTP/1.0", 204, {0}, {0}, NULL},
	    {"a number in the path", "GET /param/-12 HTTP/1.0", 200, {0}, {0},
		"-12 (none)"},
	    {"the smallest", "GET /param/-9223372036854775808 HTTP/1.0", 200,
		{0}, {0}, "-9223372036854775808 (none)"},
	    {"one past the largest", "GET /param/9223372036854775808 HTTP/1.0",
		400, {0}, {0}, NULL},
	    {"no number", "GET /param/12x HTTP/1.0", 400, {0}, {0}, NULL},
	    {"a minus alone", "GET /param/- HTTP/1.0", 400, {0}, {0}, NULL},
	    {"a query", "GET /query?a=1&b&a=%20+&n=-3 HTTP/1.0", 200, {0}, {0},
		"1    (none) -3 4"},
	    {"a query that isn't there", "GET /query HTTP/1.0", 200, {0}, {0},
		"(none) (none) (none) 7 0"},
	    {"a query's number that is none", "GET /query?n= HTTP/1.0", 400,
		{0}, {0}, NULL},
	    {"fields", "GET /fields HTTP/1.0\r\nX-A: 1\r\nx-a: 2\r\n"
		"Cookie: a=b; sid=\"s\"", 200, {0}, {0},
		"1|2|(none)|(none)|4|Host|s"},
	    {"a cookie in a second field", "GET /fields HTTP/1.0\r\n"
		"Cookie: a=b\r\nCookie: sid=t", 200, {0}, {0},
		"(none)|(none)|(none)|(none)|3|Host|t"},
	    {"no Accept takes the first", "GET /accepts HTTP/1.0", 200, {0},
		{0}, "0 0"},
	    {"the likelier", "GET /accepts HTTP/1.0\r\nAccept: text/html, "
		"application/json;q=0.9\r\nContent-Type: Text/Plain; x=y", 200,
		{0}, {0}, "1 1"},
	    {"a range", "GET /accepts HTTP/1.0\r\nAccept: text/*", 200, {0},
		{0}, "1 0"},
	    {"everything", "GET /accepts HTTP/1.0\r\nAccept: */*;q=0.1", 200,
		{0}, {0}, "0 0"},
	    {"a refusal is more specific than a range",
		"GET /accepts HTTP/1.0\r\nAccept: */*, application/json;q=0",
		200, {0}, {0}, "1 0"},
	    {"none of them", "GET /accepts HTTP/1.0\r\nAccept: image/png", 200,
		{0}, {0}, "-1 0"},
	    {"attributes", "GET /attr HTTP/1.0", 200, {0}, {0}, "8"},
	    {"no content", "GET /body HTTP/1.0", 200, {0}, {0}, "(none)"},
	};
	struct loopback *lo = loopback_open_with(MODULE, given);

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		exchange_run(lo, &cases[i]);
	loopback_close(lo);
}

/* More than a read takes: it is gathered, in a file. */
#define LARGE_BYTES 200000

static char large[LARGE_BYTES];

/* POSTs the content; checks status and, unless it is NULL, what comes back. */
static void
post(struct loopback *lo, const char *path, const char *type,
    const char *content, int status, const char *want)
{
	struct reply reply;
	char *text;

	assert_true(asprintf(&text, "POST %s HTTP/1.0\r\nContent-Type: %s\r\n"
	    "Content-Length: %zu\r\n\r\n%s", path, type, strlen(content),
	    content) > 0);
	loopback_ask(lo, text, &reply);
	if (reply.status != status)
		fail_msg("%s: %.*s", content, STR_FMT(buf_str(&reply.text)));
	if (want != NULL && memmem(reply.body.p, reply.body.len, want,
	    strlen(want)) == NULL)
		fail_msg("%s: '%.*s'", want, STR_FMT(reply.body));
	reply_done(&reply);
	free(text);
}

static void
content_is_read(void **state)
{
	struct loopback *lo = loopback_open_with(MODULE, given);

	post(lo, "/body", "text/plain", "hello", 200, "hello");
	memset(large, 'x', sizeof(large));
	large[sizeof(large) - 1] = '\0';
	assert_int_equal(lo->stats.bodies_spilled, 0);
	post(lo, "/body", "text/plain", large, 200, large);
	assert_int_equal(lo->stats.bodies_spilled, 1);
	loopback_close(lo);
}

static void
json_is_read(void **state)
{
	struct loopback *lo = loopback_open_with(MODULE, given);

	post(lo, "/json", "application/json", "[1, 2]", 200, "2 items");
	post(lo, "/json", "application/x+json; v=1", "[[[]]]", 200, "1 items");
	post(lo, "/json", "application/json", "[[[[]]]]", 400,
	    "it is nested too deep at line 1, column 4");
	post(lo, "/json", "application/json", "", 400,
	    "a value is missing at line 1, column 1");
	post(lo, "/json", "application/json", "{\n \"a\": 1,\n \"a\": 2}", 400,
	    "a key stands there twice at line 3, column 2");
	post(lo, "/json", "text/plain", "[1, 2]", 415,
	    "the content must be JSON");
	snprintf(large, sizeof(large), "[%*d]", 150000, 1);
	post(lo, "/json", "application/json", large, 200, "1 items");
	assert_int_equal(lo->stats.bodies_spilled, 1);
	loopback_close(lo);
}

static void
forms_are_read(void **state)
{
	struct loopback *lo = loopback_open_with(MODULE, given);

	post(lo, "/form", "application/x-www-form-urlencoded", "a=1&a=%32&b",
	    200, "3 1 2 0 (none) 0");
	post(lo, "/form", "application/x-www-form-urlencoded", "a=%", 400,
	    "the form has a bad escape");
	post(lo, "/form", "application/json", "{}", 415,
	    "the content is no form");
	post(lo, "/form", "multipart/form-data", "x", 400,
	    "the boundary is missing or malformed");
	/* In a file by then. */
	snprintf(large, sizeof(large), "--B\r\n"
	    "Content-Disposition: form-data; name=a\r\n\r\nx\r\n--B\r\n"
	    "Content-Disposition: form-data; name=f; filename=\"/y/z\"\r\n\r\n"
	    "%150000d\r\n--B--\r\n", 1);
	post(lo, "/form", "multipart/form-data; boundary=B", large, 200,
	    "1 x (none) 1 z 150000");
	loopback_close(lo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_are_read),
		cmocka_unit_test(content_is_read),
		cmocka_unit_test(json_is_read),
		cmocka_unit_test(forms_are_read),
	};

	return UNIT_RUN(tests);
}
