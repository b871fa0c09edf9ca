/* SPDX-License-Identifier: MIT */
/*
 * Declared values of routes, and the errors that their clients get, over the
 * whole server.
 *
 * Context: a process of its own, the server over a socketpair.
 */
#include "tests/unit/unit.h"

#include <cjson/cJSON.h>
#include <corelane/corelane.h>

#include "server/module.h"
#include "tests/unit/loopback.h"

static const char *const sorts[] = {"name", "age", NULL};

static const struct lane_field user_fields[] = {
	{.name = "id", .where = LANE_IN_PATH, .type = LANE_TYPE_INT, .min = 1,
	    .max = 1e6},
	{.name = "page", .where = LANE_IN_QUERY, .type = LANE_TYPE_INT,
	    .min = 1, .max = 100, .fallback = "1"},
	{.name = "sort", .where = LANE_IN_QUERY, .one_of = sorts},
	{.name = "X-Tenant", .where = LANE_IN_HEADER, .pattern = "[a-z]+"},
	{.name = NULL},
};

static const struct lane_field post_fields[] = {
	{.name = "name", .where = LANE_IN_BODY, .min = 1, .max = 5,
	    .is_required = true},
	{.name = "age", .where = LANE_IN_BODY, .type = LANE_TYPE_INT,
	    .max = 150},
	{.name = "score", .where = LANE_IN_BODY, .type = LANE_TYPE_FLOAT},
	{.name = "admin", .where = LANE_IN_BODY, .type = LANE_TYPE_BOOL,
	    .fallback = "false"},
	{.name = "tags", .where = LANE_IN_BODY, .type = LANE_TYPE_JSON},
	{.name = NULL},
};

static int
tell_user(struct lane_ctx *c)
{
	struct lane_str sort = lane_arg_text(c, "sort");
	struct lane_str tenant = lane_arg_text(c, "X-Tenant");

	return lane_printf(c, 200, "text/plain", "%lld %lld %.*s/%.*s %d",
	    (long long)lane_arg_int(c, "id"),
	    (long long)lane_arg_int(c, "page"), LANE_FMT(sort),
	    LANE_FMT(tenant), lane_has_arg(c, "sort"));
}

static int
tell_post(struct lane_ctx *c)
{
	struct lane_str name = lane_arg_text(c, "name");
	const cJSON *tags = lane_arg_json(c, "tags");

	return lane_printf(c, 200, "text/plain", "%.*s %lld %g %d %d %d",
	    LANE_FMT(name), (long long)lane_arg_int(c, "age"),
	    lane_arg_float(c, "score"), lane_arg_bool(c, "admin"),
	    lane_has_arg(c, "age"), cJSON_GetArraySize(tags));
}

static int
fail_plain(struct lane_ctx *c)
{
	return lane_fail(c, 409, "\"%s\" is taken", "a<b");
}

static int
fail_invalid(struct lane_ctx *c)
{
	return lane_invalid(c, "q", "is missing");
}

static int
fail_with(struct lane_ctx *c)
{
	return lane_fail_with(c, &(struct lane_problem){.status = 503,
	    .code = "BUSY", .retry_after_s = 7});
}

static int
fail_errno(struct lane_ctx *c)
{
	return -5;
}

static int
fail_status(struct lane_ctx *c)
{
	return 403;
}

static int
fail_twice(struct lane_ctx *c)
{
	int rc = lane_fail(c, 404, "first");

	(void)rc;
	return lane_fail(c, 404, "second");
}

static const struct lane_route routes[] = {
	{.name = "user", .methods = "GET", .path = "/users/{id}",
	    .run = tell_user, .fields = user_fields},
	{.name = "post", .methods = "POST", .path = "/users",
	    .run = tell_post, .fields = post_fields},
	{.name = "strict", .methods = "POST", .path = "/strict",
	    .run = tell_post, .fields = post_fields, .invalid_status = 400},
	{.name = "plain", .path = "/plain", .run = fail_plain},
	{.name = "invalid", .path = "/invalid", .run = fail_invalid},
	{.name = "with", .path = "/with", .run = fail_with},
	{.name = "errno", .path = "/errno", .run = fail_errno},
	{.name = "status", .path = "/status", .run = fail_status},
	{.name = "twice", .path = "/twice", .run = fail_twice},
	{.name = NULL},
};

static const struct lane_module probe = {
	.abi = LANE_ABI, .name = "probe", .routes = routes,
};

static const struct module_given given[] = {{"probe", &probe}, {NULL, NULL}};

#define CONFIG "{\"modules\": [{\"name\": \"probe\", \"file\": \"x\"}]}"

/* Asks and gives the content; the caller frees the reply. */
static void
ask(struct loopback *lo, const char *line, const char *fields,
    const char *content, struct reply *reply)
{
	char request[1024], length[48] = "";

	if (content != NULL)
		snprintf(length, sizeof(length), "Content-Length: %zu\r\n",
		    strlen(content));
	snprintf(request, sizeof(request), "%s HTTP/1.1\r\nHost: x\r\n"
	    "Connection: close\r\n%s%s\r\n%s", line, length, fields,
	    content != NULL ? content : "");
	loopback_ask(lo, request, reply);
}

/* Whether the reply is an error of this kind. */
static void
check_error(const struct reply *reply, const char *field, const char *message,
    const char *name)
{
	cJSON *tree = cJSON_ParseWithLength(reply->body.p, reply->body.len);
	const cJSON *error = cJSON_GetObjectItem(tree, "error"), *item;

	if (error == NULL)
		fail_msg("%s: %.*s", name, STR_FMT(reply->body));
	item = cJSON_GetObjectItem(error, "field");
	unit_check((item == NULL) == (field == NULL), name);
	if (item != NULL)
		assert_string_equal(item->valuestring, field);
	item = cJSON_GetObjectItem(error, "message");
	if (message != NULL)
		unit_check_str(str_of(item->valuestring), str_of(message),
		    name);
	assert_non_null(cJSON_GetObjectItem(error, "request_id"));
	cJSON_Delete(tree);
}

struct request_case {
	const char *name, *line, *fields, *content;
	int status;
	const char *field;	/* of an error */
	const char *text;	/* the content, or the error's message */
};

#define JSON_TYPE "Content-Type: application/json\r\n"
#define FORM_TYPE "Content-Type: application/x-www-form-urlencoded\r\n"
#define PART_TYPE "Content-Type: multipart/form-data; boundary=b\r\n"

static const struct request_case cases[] = {
	{"values come converted", "GET /users/7?page=2&sort=age",
	    "X-Tenant: abc\r\n", NULL, 200, NULL, "7 2 age/abc 1"},
	{"what is absent has its fallback, or nothing", "GET /users/7", "",
	    NULL, 200, NULL, "7 1 / 0"},
	{"what isn't declared doesn't matter", "GET /users/7?x=1&x=2", "",
	    NULL, 200, NULL, "7 1 / 0"},
	{"a path that is no number", "GET /users/x7", "", NULL, 400, "id",
	    "must be a whole number from 1 to 1000000"},
	{"a path out of range", "GET /users/0", "", NULL, 400, "id", NULL},
	{"an empty number", "GET /users/7?page=", "", NULL, 400, "page",
	    "must be a whole number from 1 to 100"},
	{"given twice", "GET /users/7?page=1&page=1", "", NULL, 400, "page",
	    "is there twice"},
	{"none of the choices", "GET /users/7?sort=size", "", NULL, 400,
	    "sort", "must be \"name\" or \"age\""},
	{"a header that doesn't match", "GET /users/7", "x-tenant: A\r\n",
	    NULL, 400, "X-Tenant", "must be a string that matches [a-z]+"},
	{"a header twice", "GET /users/7",
	    "X-Tenant: a\r\nX-Tenant: b\r\n", NULL, 400, "X-Tenant",
	    "is there twice"},

	{"a JSON object", "POST /users", JSON_TYPE,
	    "{\"name\":\"Ada\",\"age\":36,\"score\":1.5,\"admin\":true,"
	    "\"tags\":[1,2],\"x\":{}}", 200, NULL, "Ada 36 1.5 1 1 2"},
	{"null is absent", "POST /users", JSON_TYPE,
	    "{\"name\":\"Ada\",\"age\":null}", 200, NULL, "Ada 0 0 0 0 0"},
	{"required and absent", "POST /users", JSON_TYPE, "{}", 422, "name",
	    "is missing"},
	{"required and null", "POST /users", JSON_TYPE, "{\"name\":null}",
	    422, "name", "must be a string of 1 to 5 characters"},
	{"of another type", "POST /users", JSON_TYPE,
	    "{\"name\":\"Ada\",\"age\":\"36\"}", 422, "age",
	    "must be a whole number from 0 to 150"},
	{"not whole", "POST /users", JSON_TYPE,
	    "{\"name\":\"Ada\",\"age\":1.5}", 422, "age", NULL},
	{"too long", "POST /users", JSON_TYPE,
	    "{\"name\":\"Ada L.\"}", 422, "name", NULL},
	{"a status of the route's own", "POST /strict", JSON_TYPE, "{}", 400,
	    "name", "is missing"},
	{"no JSON", "POST /users", JSON_TYPE, "{\"name\":", 400, NULL, NULL},
	{"JSON, and no object", "POST /users", JSON_TYPE, "[1]", 400, NULL,
	    "content must be a JSON object"},
	{"a key twice", "POST /users", JSON_TYPE,
	    "{\"name\":\"a\",\"name\":\"b\"}", 400, NULL, NULL},
	{"another type of content", "POST /users",
	    "Content-Type: text/plain\r\n", "name=a", 415, NULL, NULL},
	{"content without a type", "POST /users", "", "{}", 415, NULL, NULL},
	{"no content at all", "POST /users", "", NULL, 422, "name",
	    "is missing"},

	{"a form", "POST /users", FORM_TYPE,
	    "name=A%20b&age=36&score=1.5&admin=true&tags=%5B1%5D", 200, NULL,
	    "A b 36 1.5 1 1 1"},
	{"a form's wrong number", "POST /users", FORM_TYPE,
	    "name=a&age=x", 422, "age", NULL},
	{"a form's wrong JSON", "POST /users", FORM_TYPE,
	    "name=a&tags=%5B", 422, "tags", "must be a JSON value"},
	{"a form's JSON with more behind it", "POST /users", FORM_TYPE,
	    "name=a&tags=%5B1%5Dx", 422, "tags", NULL},
	{"a form's field twice", "POST /users", FORM_TYPE,
	    "name=a&name=b", 422, "name", "is there twice"},
	{"bytes that are no text", "POST /users", FORM_TYPE,
	    "name=%ff", 422, "name", NULL},
	{"an empty form", "POST /users", FORM_TYPE, "", 422, "name",
	    "is missing"},
	{"parts of a form", "POST /users", PART_TYPE,
	    "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n"
	    "Ada\r\n--b--\r\n", 200, NULL, "Ada 0 0 0 0 0"},
};

static void
a_request_follows_its_declaration(void **state)
{
	struct loopback *lo = loopback_open_with(CONFIG, given);
	struct reply reply;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		ask(lo, cases[i].line, cases[i].fields, cases[i].content,
		    &reply);
		if (reply.status != cases[i].status)
			fail_msg("%s: %d, %.*s", cases[i].name, reply.status,
			    STR_FMT(reply.body));
		if (reply.status != 200)
			check_error(&reply, cases[i].field, cases[i].text,
			    cases[i].name);
		else
			unit_check_str(reply.body, str_of(cases[i].text),
			    cases[i].name);
		reply_done(&reply);
	}
	loopback_close(lo);
}

/* How an error looks. */

struct form_case {
	const char *name, *line, *accept;
	int status;
	const char *type;
	const char *has[5];
};

#define PROBLEM "application/problem+json"
#define BROWSER                                                                \
	"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

static const struct form_case forms[] = {
	{"JSON by default", "GET /plain", "*/*", 409, "application/json",
	    {"{\"error\":{\"code\":\"CONFLICT\",\"message\":"
	    "\"\\\"a<b\\\" is taken\",\"request_id\":\""}},
	{"a field", "GET /invalid", "application/json", 400,
	    "application/json", {"\"code\":\"VALIDATION_FAILED\"",
	    "\"message\":\"is missing\"", "\"field\":\"q\""}},
	{"a problem document", "GET /invalid?token=x", PROBLEM, 400, PROBLEM,
	    {"{\"type\":\"about:blank\",\"title\":\"Bad Request\","
	    "\"status\":400,\"detail\":\"q is missing\","
	    "\"instance\":\"/invalid\",\"code\":\"VALIDATION_FAILED\","
	    "\"field\":\"q\",\"request_id\":\""}},
	{"who knows both gets a problem document", "GET /plain",
	    "application/json, " PROBLEM, 409, PROBLEM, {"\"title\""}},
	{"unless they like JSON better", "GET /plain",
	    "application/json, " PROBLEM ";q=0.5", 409, "application/json",
	    {"\"error\""}},
	{"a page for browsers, with nothing of ours unescaped", "GET /plain",
	    BROWSER, 409, "text/html; charset=utf-8",
	    {"<h1>409 Conflict</h1>", "&quot;a&lt;b&quot; is taken."}},
	{"a page's sentence names the field", "GET /invalid", "text/html", 400,
	    "text/html; charset=utf-8", {"<p>q is missing.</p>"}},
	{"JSON named before a page", "GET /plain",
	    "application/json, text/html", 409, "application/json", {"{"}},
	{"a page named before JSON", "GET /plain",
	    "text/html, application/json", 409, "text/html; charset=utf-8",
	    {"<"}},
	{"a page that isn't wanted", "GET /plain", "text/html;q=0", 409,
	    "application/json", {"{"}},
	{"a code of the module's own", "GET /with", "*/*", 503,
	    "application/json", {"\"code\":\"BUSY\"",
	    "\"message\":\"Service Unavailable\""}},
	{"a status alone", "GET /status", "*/*", 403, "application/json",
	    {"\"code\":\"FORBIDDEN\"", "\"message\":\"Forbidden\""}},
	{"an errno says nothing", "GET /errno", PROBLEM, 500, PROBLEM,
	    {"\"detail\":\"internal error\""}},
	{"two answers", "GET /twice", "*/*", 500, "application/json",
	    {"\"code\":\"INTERNAL_ERROR\""}},
	{"no route", "GET /nowhere", PROBLEM, 404, PROBLEM,
	    {"\"instance\":\"/nowhere\""}},
};

static void
an_error_has_the_form_that_is_accepted(void **state)
{
	struct loopback *lo = loopback_open_with(CONFIG, given);
	struct reply reply;
	char accept[256];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(forms); i++) {
		snprintf(accept, sizeof(accept), "Accept: %s\r\n",
		    forms[i].accept);
		ask(lo, forms[i].line, accept, NULL, &reply);
		if (reply.status != forms[i].status)
			fail_msg("%s: %d", forms[i].name, reply.status);
		unit_check_str(reply_field(&reply, "Content-Type"),
		    str_of(forms[i].type), forms[i].name);
		for (size_t j = 0; j < 5 && forms[i].has[j] != NULL; j++)
			if (memmem(reply.body.p, reply.body.len,
			    forms[i].has[j], strlen(forms[i].has[j])) == NULL)
				fail_msg("%s: %.*s", forms[i].name,
				    STR_FMT(reply.body));
		reply_done(&reply);
	}
	ask(lo, "GET /with", "", NULL, &reply);
	unit_check_str(reply_field(&reply, "Retry-After"), STR("7"), "later");
	reply_done(&reply);
	loopback_close(lo);
}

/* on_request_error: its own shape for some, ours for others. */

static int
shape(struct lane_ctx *c, const struct lane_problem *p)
{
	if (p->status == 409)
		return LANE_NEXT;
	return lane_printf(c, p->status, "text/plain", "%d %s %.*s/%.*s",
	    p->status, p->code, LANE_FMT(p->message),
	    p->field.p != NULL ? (int)p->field.len : 0,
	    p->field.p != NULL ? p->field.p : "");
}

static const struct lane_module shaping = {
	.abi = LANE_ABI, .name = "probe", .routes = routes,
	.on_request_error = shape,
};

static void
a_module_may_shape_errors(void **state)
{
	static const struct module_given own[] = {
		{"probe", &shaping}, {NULL, NULL},
	};
	static const struct {
		const char *line, *text;
	} shaped[] = {
		{"GET /invalid", "400 VALIDATION_FAILED is missing/q"},
		{"GET /nowhere", "404 NOT_FOUND no such resource/"},
		{"GET /users/x", "400 VALIDATION_FAILED must be a whole "
		    "number from 1 to 1000000/id"},
		{"GET /%zz", "400 BAD_REQUEST "},
		{"BREW /", "501 NOT_IMPLEMENTED "},
		{"GET /with", "503 BUSY Service Unavailable/"},
		{"GET /errno", "500 INTERNAL_ERROR internal error/"},
		{"GET /plain", "{\"error\":"},
	};
	struct loopback *lo = loopback_open_with(CONFIG, own);
	struct reply reply;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(shaped); i++) {
		ask(lo, shaped[i].line, "", NULL, &reply);
		if (!str_has_prefix(reply.body, str_of(shaped[i].text)))
			fail_msg("%s: %.*s", shaped[i].line,
			    STR_FMT(reply.body));
		reply_done(&reply);
	}
	/* The operator's answers aren't the module's. */
	lo->service = SERVICE_ADMIN;
	ask(lo, "GET /nowhere", "", NULL, &reply);
	assert_true(str_has_prefix(reply.body, STR("{\"error\":")));
	reply_done(&reply);
	loopback_close(lo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_follows_its_declaration),
		cmocka_unit_test(an_error_has_the_form_that_is_accepted),
		cmocka_unit_test(a_module_may_shape_errors),
	};

	return UNIT_RUN(tests);
}
