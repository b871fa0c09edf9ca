/* SPDX-License-Identifier: MIT */
/*
 * server/openapi: what the document says of routes, over the whole server.
 *
 * Context: a process of its own, the server over a socketpair.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include <cjson/cJSON.h>
#include <corelane/corelane.h>

#include "server/module.h"
#include "tests/unit/loopback.h"

static const char *const sorts[] = {"name", "age", NULL};
static const char *const sizes[] = {"1", "10", NULL};

static const struct lane_field get_fields[] = {
	{.name = "id", .where = LANE_IN_PATH, .type = LANE_TYPE_INT, .min = 1,
	    .help = "whose"},
	{.name = "sort", .where = LANE_IN_QUERY, .one_of = sorts,
	    .fallback = "name"},
	{.name = "X-Tenant", .where = LANE_IN_HEADER, .pattern = "a|b",
	    .is_required = true},
	{.name = NULL},
};

static const struct lane_field put_fields[] = {
	{.name = "name", .where = LANE_IN_BODY, .min = 1, .max = 5,
	    .is_required = true},
	{.name = "share", .where = LANE_IN_BODY, .type = LANE_TYPE_FLOAT,
	    .max = 0.5, .fallback = "0.25"},
	{.name = "admin", .where = LANE_IN_BODY, .type = LANE_TYPE_BOOL,
	    .fallback = "1"},
	{.name = "tags", .where = LANE_IN_BODY, .type = LANE_TYPE_JSON,
	    .fallback = "[1, 2]"},
	{.name = NULL},
};

static int
run(struct lane_ctx *c)
{
	return lane_empty(c, 204);
}

static const struct lane_field size_fields[] = {
	{.name = "size", .where = LANE_IN_QUERY, .type = LANE_TYPE_INT,
	    .one_of = sizes, .fallback = "10"},
	{.name = NULL},
};

static const struct lane_route routes[] = {
	{.name = "get", .methods = "GET", .path = "/users/{id}", .run = run,
	    .fields = get_fields, .summary = "One \"user\""},
	{.name = "put", .methods = "PUT", .path = "/users/{id:[0-9]+}",
	    .run = run, .fields = put_fields, .invalid_status = 409},
	{.name = "any", .path = "/any", .run = run, .fields = size_fields},
	{.name = NULL},
};

static const struct lane_module probe = {
	.abi = LANE_ABI, .name = "probe", .routes = routes,
};

static const struct module_given given[] = {{"probe", &probe}, {NULL, NULL}};

/* The tree of the document; the caller's. */
static cJSON *
read_document(const char *config)
{
	struct loopback *lo = loopback_open_with(config, given);
	struct reply reply;
	cJSON *tree;

	lo->service = SERVICE_ADMIN;
	loopback_ask(lo, "GET /openapi.json HTTP/1.0\r\n\r\n", &reply);
	assert_int_equal(reply.status, 200);
	unit_check_str(reply_field(&reply, "Content-Type"),
	    STR("application/json"), "type");
	tree = cJSON_ParseWithLength(reply.body.p, reply.body.len);
	if (tree == NULL)
		fail_msg("no JSON: %.*s", STR_FMT(reply.body));
	reply_done(&reply);
	loopback_close(lo);
	return tree;
}

/* The value at a way of keys and indexes that ends with NULL, as JSON. */
static void
check_at(const cJSON *n, const char *const *way, const char *want)
{
	const char *last = "";
	char *text;

	for (; *way != NULL; way++) {
		last = *way;
		n = cJSON_IsArray(n) ? cJSON_GetArrayItem(n, atoi(*way))
		    : cJSON_GetObjectItemCaseSensitive(n, *way);
	}
	if (n == NULL) {
		if (want != NULL)
			fail_msg("there is no '%s'", last);
		return;
	}
	text = cJSON_PrintUnformatted(n);
	if (want == NULL || strcmp(text, want) != 0)
		fail_msg("'%s' is %s, not %s", last, text,
		    want != NULL ? want : "absent");
	cJSON_free(text);
}

#define AT(...) (const char *const[]){__VA_ARGS__, NULL}
#define GET "paths", "/p/users/{id}", "get"
#define PUT "paths", "/p/users/{id}", "put"
#define BODY PUT, "requestBody", "content", "application/json", "schema"

static void
a_module_s_declaration_is_told(void **state)
{
	cJSON *t = read_document("{\"modules\": [{\"name\": \"probe\", "
	    "\"file\": \"x\", \"prefix\": \"/p\"}]}");

	(void)state;
	check_at(t, AT("openapi"), "\"3.1.0\"");
	check_at(t, AT(GET, "summary"), "\"One \\\"user\\\"\"");
	check_at(t, AT(GET, "tags"), "[\"probe\"]");
	check_at(t, AT(GET, "parameters", "0"), "{\"name\":\"id\","
	    "\"in\":\"path\",\"required\":true,\"description\":\"whose\","
	    "\"schema\":{\"type\":\"integer\",\"format\":\"int64\","
	    "\"minimum\":1}}");
	check_at(t, AT(GET, "parameters", "1", "schema"),
	    "{\"type\":\"string\",\"enum\":[\"name\",\"age\"],"
	    "\"default\":\"name\"}");
	check_at(t, AT(GET, "parameters", "2", "in"), "\"header\"");
	check_at(t, AT(GET, "parameters", "2", "required"), "true");
	check_at(t, AT(GET, "parameters", "2", "schema", "pattern"),
	    "\"^(?:a|b)$\"");
	check_at(t, AT(GET, "requestBody"), NULL);
	check_at(t, AT(GET, "responses", "400", "$ref"),
	    "\"#/components/responses/Error\"");
	check_at(t, AT(GET, "responses", "422"), NULL);
	check_at(t, AT(GET, "security"), NULL);

	check_at(t, AT(PUT, "parameters", "0", "schema"),
	    "{\"type\":\"string\",\"pattern\":\"^(?:[0-9]+)$\"}");
	check_at(t, AT(PUT, "requestBody", "required"), "true");
	check_at(t, AT(BODY, "required"), "[\"name\"]");
	check_at(t, AT(BODY, "properties", "name"), "{\"type\":\"string\","
	    "\"minLength\":1,\"maxLength\":5}");
	check_at(t, AT(BODY, "properties", "share"), "{\"type\":\"number\","
	    "\"minimum\":0,\"maximum\":0.5,\"default\":0.25}");
	check_at(t, AT(BODY, "properties", "admin"),
	    "{\"type\":\"boolean\",\"default\":true}");
	check_at(t, AT(BODY, "properties", "tags"), "{\"default\":[1,2]}");
	check_at(t, AT(PUT, "requestBody", "content", "multipart/form-data",
	    "schema", "type"), "\"object\"");
	check_at(t, AT(PUT, "responses", "409", "$ref"),
	    "\"#/components/responses/Error\"");
	check_at(t, AT(PUT, "responses", "415", "$ref"),
	    "\"#/components/responses/Error\"");
	check_at(t, AT(PUT, "responses", "422"), NULL);

	check_at(t, AT("paths", "/p/any", "patch", "tags"), "[\"probe\"]");
	check_at(t, AT("paths", "/p/any", "head"), NULL);
	check_at(t, AT("paths", "/p/any", "options"), NULL);
	check_at(t, AT("paths", "/p/any", "get", "parameters", "0", "schema"),
	    "{\"type\":\"integer\",\"format\":\"int64\",\"enum\":[1,10],"
	    "\"default\":10}");
	cJSON_Delete(t);
}

static void
the_server_s_own_routes_are_told(void **state)
{
	cJSON *t = read_document("{\"routes\": [\n"
	    "{\"path\": \"/a/{name}\", \"methods\": [\"POST\"], "
	    "\"handler\": \"respond\", \"status\": 201},\n"
	    "{\"path\": \"/a/{name}\", \"methods\": [\"GET\", \"POST\"], "
	    "\"host\": \"b.example\", \"handler\": \"respond\"},\n"
	    "{\"path\": \"/old\", \"handler\": \"redirect\", "
	    "\"to\": \"/\", \"methods\": [\"GET\"]},\n"
	    "{\"path\": \"/f/{path:.*}\", \"handler\": \"static\", "
	    "\"root\": \"/tmp\"}]}");

	(void)state;
	check_at(t, AT("paths", "/a/{name}", "post", "responses", "201"),
	    "{\"description\":\"Created\"}");
	check_at(t, AT("paths", "/a/{name}", "get", "servers"),
	    "[{\"url\":\"//b.example\"}]");
	check_at(t, AT("paths", "/a/{name}", "get", "tags"),
	    "[\"respond\"]");
	check_at(t, AT("paths", "/a/{name}", "get", "parameters"),
	    "[{\"name\":\"name\",\"in\":\"path\",\"required\":true,"
	    "\"schema\":{\"type\":\"string\"}}]");
	check_at(t, AT("paths", "/old", "get", "responses", "302"),
	    "{\"description\":\"Found\"}");
	check_at(t, AT("paths", "/old", "get", "parameters"), NULL);
	check_at(t, AT("paths", "/f/{path}", "get", "responses", "404",
	    "$ref"), "\"#/components/responses/Error\"");
	check_at(t, AT("paths", "/openapi.json"), NULL);
	cJSON_Delete(t);
}

static void
a_server_without_routes_has_a_document(void **state)
{
	cJSON *t = read_document("{}");

	(void)state;
	check_at(t, AT("paths"), "{}");
	check_at(t, AT("components", "schemas", "Error", "required"),
	    "[\"error\"]");
	cJSON_Delete(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_module_s_declaration_is_told),
		cmocka_unit_test(the_server_s_own_routes_are_told),
		cmocka_unit_test(a_server_without_routes_has_a_document),
	};

	return UNIT_RUN(tests);
}
