/* SPDX-License-Identifier: MIT */
/*
 * Making a response, as a module does it.
 *
 * Context: a process of its own, the server over a socketpair.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "server/module.h"
#include "tests/unit/loopback.h"

#define MODULE                                                                 \
	"{\"modules\": [{\"name\": \"probe\", \"file\": \"x.so\"}]}"

static int
run_copied(struct lane_ctx *c)
{
	char text[] = "copied", type[] = "text/x";
	int rc = lane_send(c, 201, type, lane_str_of(text));

	memset(text, '!', sizeof(text));
	memset(type, '!', sizeof(type));
	return rc;
}

static int
run_lent(struct lane_ctx *c)
{
	return lane_send_lent(c, 200, NULL, LANE_STR("lent"));
}

static int
run_printf(struct lane_ctx *c)
{
	return lane_printf(c, 200, "text/plain", "%d%%", 100);
}

static int
run_fields(struct lane_ctx *c)
{
	char name[] = "X-Copied", value[] = "v";
	int right = 0;

	right += lane_set(c, name, lane_str_of(value)) == 0;
	memset(name, '!', sizeof(name));
	memset(value, '!', sizeof(value));
	right += lane_add(c, "X-Many", LANE_STR("1")) == 0;
	right += lane_add(c, "x-many", LANE_STR("2")) == 0;
	right += lane_set(c, "X-Once", LANE_STR("1")) == 0;
	right += lane_set(c, "X-Once", LANE_STR("2")) == 0;
	right += lane_set(c, "X-Gone", LANE_STR("1")) == 0;
	lane_remove(c, "x-gone");
	right += lane_response_header(c, "X-Gone").p == NULL;
	right += lane_str_eq(lane_response_header(c, "x-once"), LANE_STR("2"));
	/* What would end the field or the head, and what is the server's. */
	right += lane_set(c, "X-Bad", LANE_STR("a\r\nX-B: c")) == -EINVAL;
	right += lane_set(c, "X-Bad", LANE_STR("a\0b")) == -EINVAL;
	right += lane_set(c, "X Bad", LANE_STR("a")) == -EINVAL;
	right += lane_add(c, "", LANE_STR("a")) == -EINVAL;
	right += lane_set(c, "Content-Length", LANE_STR("1")) == -EINVAL;
	right += lane_add(c, "connection", LANE_STR("close")) == -EINVAL;
	right += lane_set(c, "X-Once", LANE_STR("\n")) == -EINVAL;
	right += lane_response_status(c) == 0;
	right += lane_set(c, "Content-Type", LANE_STR("a/b")) == 0;
	return lane_printf(c, 200, "c/d", "%d", right);
}

static int
run_cookie(struct lane_ctx *c)
{
	if (lane_set_cookie(c, &(struct lane_cookie){.name = "a",
	    .value = LANE_STR("1")}) != 0 ||
	    lane_set_cookie(c, &(struct lane_cookie){.name = "b",
	    .value = LANE_STR("2"), .path = "/"}) != 0 ||
	    lane_set_cookie(c, &(struct lane_cookie){.name = "c",
	    .value = LANE_STR("2 3")}) != -EINVAL)
		return -EIO;
	return lane_empty(c, 204);
}

static int
run_empty(struct lane_ctx *c)
{
	return lane_empty(c, 200);
}

static int
run_redirect(struct lane_ctx *c)
{
	return lane_redirect(c, 303, LANE_STR("/there"));
}

static int
run_bad_redirect(struct lane_ctx *c)
{
	return lane_redirect(c, 302, LANE_STR("/a\r\nX-B: c"));
}

static int
run_no_redirect(struct lane_ctx *c)
{
	return lane_redirect(c, 304, LANE_STR("/a"));
}

static int
run_twice(struct lane_ctx *c)
{
	int rc = lane_send(c, 200, NULL, LANE_STR("one"));

	if (lane_send(c, 200, NULL, LANE_STR("two")) != -EALREADY)
		return -EIO;
	return rc;
}

static int
run_bad_status(struct lane_ctx *c)
{
	return lane_send(c, 99, NULL, LANE_STR("x"));
}

static int
run_bad_type(struct lane_ctx *c)
{
	return lane_send(c, 200, "a/b\r\nX-B: c", LANE_STR("x"));
}

/* A file of "0123456789", which has no name any more. */
static int
file_open(void)
{
	char path[] = "/tmp/test_api-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	unlink(path);
	if (write(fd, "0123456789", 10) != 10)
		return -1;
	return fd;
}

static int
run_file(struct lane_ctx *c)
{
	return lane_send_file(c, 200, "text/plain", file_open(), 4, UINT64_MAX);
}

static int
run_file_part(struct lane_ctx *c)
{
	return lane_send_file(c, 206, NULL, file_open(), 2, 3);
}

static int
run_file_past(struct lane_ctx *c)
{
	return lane_send_file(c, 200, NULL, file_open(), 2, 9);
}

static int
run_file_none(struct lane_ctx *c)
{
	return lane_send_file(c, 200, NULL, -1, 0, UINT64_MAX);
}

static int
run_json(struct lane_ctx *c)
{
	cJSON *tree = cJSON_CreateObject();

	cJSON_AddNumberToObject(tree, "n", 9007199254740991);
	return lane_json(c, 200, tree);
}

static int
run_no_json(struct lane_ctx *c)
{
	return lane_json(c, 200, NULL);
}

static int
run_writer(struct lane_ctx *c)
{
	struct lane_json_writer *w = lane_json_new(c);

	lane_set(c, "Content-Type", LANE_STR("text/html"));
	lane_json_object(w);
	lane_json_add_str(w, "message", LANE_STR("Hello, World!"));
	lane_json_end(w);
	return lane_json_send(w, 200);
}

static int
run_bad_writer(struct lane_ctx *c)
{
	struct lane_json_writer *w = lane_json_new(c);

	lane_json_object(w);
	return lane_json_send(w, 200);
}

static int
run_fail(struct lane_ctx *c)
{
	return lane_fail_with(c, &(struct lane_problem){.status = 503,
	    .message = LANE_STR("later"), .retry_after_s = 3});
}

static const struct lane_route routes[] = {
    {.name = "copied", .path = "/copied", .run = run_copied},
    {.name = "lent", .path = "/lent", .run = run_lent},
    {.name = "printf", .path = "/printf", .run = run_printf},
    {.name = "fields", .path = "/fields", .run = run_fields},
    {.name = "cookie", .path = "/cookie", .run = run_cookie},
    {.name = "empty", .path = "/empty", .run = run_empty},
    {.name = "redirect", .path = "/redirect", .run = run_redirect},
    {.name = "bad_redirect", .path = "/bad_redirect", .run = run_bad_redirect},
    {.name = "no_redirect", .path = "/no_redirect", .run = run_no_redirect},
    {.name = "twice", .path = "/twice", .run = run_twice},
    {.name = "bad_status", .path = "/bad_status", .run = run_bad_status},
    {.name = "bad_type", .path = "/bad_type", .run = run_bad_type},
    {.name = "file", .path = "/file", .run = run_file},
    {.name = "file_part", .path = "/file_part", .run = run_file_part},
    {.name = "file_past", .path = "/file_past", .run = run_file_past},
    {.name = "file_none", .path = "/file_none", .run = run_file_none},
    {.name = "json", .path = "/json", .run = run_json},
    {.name = "no_json", .path = "/no_json", .run = run_no_json},
    {.name = "writer", .path = "/writer", .run = run_writer},
    {.name = "bad_writer", .path = "/bad_writer", .run = run_bad_writer},
    {.name = "fail", .path = "/fail", .run = run_fail},
    {.name = NULL},
};
static const struct lane_module probe = {
	.abi = LANE_ABI, .name = "probe", .routes = routes,
};
static const struct module_given given[] = {{"probe", &probe}, {NULL, NULL}};

static void
responses_are_made(void **state)
{
	static const struct exchange cases[] = {
	    {"content and type are copied", "GET /copied HTTP/1.0", 201,
		{"Content-Type: text/x", "Content-Length: 6"}, {0}, "copied"},
	    {"lent content without a type", "GET /lent HTTP/1.0", 200,
		{"Content-Length: 4"}, {"Content-Type:"}, "lent"},
	    {"a format", "GET /printf HTTP/1.0", 200,
		{"Content-Type: text/plain"}, {0}, "100%"},
	    {"HEAD", "HEAD /printf HTTP/1.0", 200, {"Content-Length: 4"}, {0},
		""},
	    {"fields", "GET /fields HTTP/1.0", 200, {"X-Copied: v",
		"X-Many: 1", "x-many: 2", "X-Once: 2", "Content-Type: c/d"},
		{"X-Gone:", "X-Bad:", "X-B:", "Content-Type: a/b"}, "17"},
	    {"cookies", "GET /cookie HTTP/1.0", 204, {"Set-Cookie: a=1",
		"Set-Cookie: b=2; Path=/"}, {"Set-Cookie: c"}, ""},
	    {"nothing", "GET /empty HTTP/1.0", 200, {"Content-Length: 0"},
		{"Content-Type:"}, ""},
	    {"a redirection", "GET /redirect HTTP/1.0", 303,
		{"Location: /there"}, {0}, ""},
	    {"a redirection with a line end", "GET /bad_redirect HTTP/1.0",
		500, {0}, {"Location:", "X-B:"}, NULL},
	    {"no status of a redirection", "GET /no_redirect HTTP/1.0", 500,
		{0}, {"Location:"}, NULL},
	    {"two answers", "GET /twice HTTP/1.0", 500, {0}, {0}, NULL},
	    {"no status", "GET /bad_status HTTP/1.0", 500, {0}, {0}, NULL},
	    {"a type with a line end", "GET /bad_type HTTP/1.0", 500, {0},
		{"X-B:"}, NULL},
	    {"a file from an offset on", "GET /file HTTP/1.0", 200,
		{"Content-Length: 6"}, {0}, "456789"},
	    {"a part of a file", "GET /file_part HTTP/1.0", 206,
		{"Content-Length: 3"}, {0}, "234"},
	    {"a part past the end", "GET /file_past HTTP/1.0", 500, {0}, {0},
		NULL},
	    {"no file", "GET /file_none HTTP/1.0", 500, {0}, {0}, NULL},
	    {"a tree", "GET /json HTTP/1.0", 200,
		{"Content-Type: application/json"}, {0},
		"{\"n\":9007199254740991}"},
	    {"no tree", "GET /no_json HTTP/1.0", 503, {0}, {0}, NULL},
	    {"the writer", "GET /writer HTTP/1.0", 200,
		{"Content-Type: application/json"}, {"Content-Type: text"},
		"{\"message\":\"Hello, World!\"}"},
	    {"a mistake of writing", "GET /bad_writer HTTP/1.0", 500, {0}, {0},
		NULL},
	    {"an error that says when", "GET /fail HTTP/1.0", 503,
		{"Retry-After: 3"}, {0}, NULL},
	};
	struct loopback *lo = loopback_open_with(MODULE, given);

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		exchange_run(lo, &cases[i]);
	loopback_close(lo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(responses_are_made),
	};

	return UNIT_RUN(tests);
}
