/* SPDX-License-Identifier: MIT */
/* config/table_modules: "modules", "databases", and what names a module. */
#include "config/field.h"
#include "tests/unit/config_text.h"

#define MODULES "\"modules\": [{\"name\": \"api\", \"file\": \"api.so\"}]"

static void
modules_are_read_as_they_are_written(void **state)
{
	struct config *c = config_text_read(STR("{\"modules\": [\n"
	    "  {\"name\": \"api\", \"file\": \"api.so\"},\n"
	    "  {\"name\": \"my-shop_2\", \"file\": \"./shop.so\", "
	    "\"prefix\": \"/shop\", \"routes\": false,\n"
	    "   \"middleware\": [{\"use\": \"cors\"}, "
	    "{\"use\": \"api.seen\"}],\n"
	    "   \"config\": {\"currency\": \"EUR\", "
	    "\"rates\": [1.50, null]}}]}"), "config/x.json");
	const struct config_module *m = c->modules.item;

	(void)state;
	assert_int_equal(c->modules.count, 2);
	assert_int_equal(m[1].pos.line, 3);
	unit_check_str(m[0].name, STR("api"), "name");
	unit_check_str(m[0].file.path, STR("api.so"), "a bare name stays");
	unit_check_str(m[0].prefix, STR(""), "no prefix");
	assert_true(m[0].routes);
	assert_null(m[0].config);
	assert_int_equal(m[0].middleware.count, 0);
	unit_check_str(m[1].prefix, STR("/shop"), "prefix");
	assert_int_equal(m[1].file.path.p[0], '/');
	assert_true(str_has_suffix(m[1].file.path, STR("/shop.so")));
	assert_false(m[1].routes);
	assert_int_equal(m[1].middleware.count, 2);
	assert_int_equal(m[1].middleware.item[1].kind, MIDDLEWARE_MODULE);
	assert_non_null(m[1].config);
	assert_int_equal(m[1].config->pos.line, 5);
	assert_int_equal(node_find(m[1].config, "rates")->key_pos.column, 34);
	config_unref(c);
}

static void
a_module_s_handler_and_middleware_are_named_with_a_dot(void **state)
{
	struct config *c = config_text_read(STR("{" MODULES ", "
	    "\"routes\": [\n"
	    "{\"path\": \"/\", \"handler\": \"api.users\", "
	    "\"middleware\": [{\"use\": \"api.audit\", "
	    "\"log\": {\"all\": true}, \"name\": \"x\"}]}]}"), "x.json");
	const struct config_route *r = c->routes.item;
	const struct config_middleware *m = r->middleware.item;

	(void)state;
	assert_int_equal(r->handler, HANDLER_MODULE);
	unit_check_str(r->module_handler, STR("api.users"), "handler");
	assert_int_equal(m->kind, MIDDLEWARE_MODULE);
	unit_check_str(m->module_middleware, STR("api.audit"), "middleware");
	assert_non_null(node_find(m->config, "log"));
	assert_non_null(node_find(m->config, "name"));
	assert_null(node_find(m->config, "use"));
	assert_null(m->config->child->next->next);
	assert_int_equal(m->config->pos.line, 2);
	config_unref(c);
}

static const struct config_text wrong_modules[] = {
    {"a module that isn't there",
	TEXT("{" MODULES ", \"routes\": "
	    "[{\"path\": \"/\", \"handler\": \"apl.users\"}]}"),
	"x.json:1:86: routes[0].handler: there is no module \"apl\"; did "
	"you mean \"api.users\"?\n"},
    {"no module at all", TEXT("{\"middleware\": [{\"use\": \"api.a.b\"}]}"),
	"x.json:1:25: middleware[0].use: there is no module \"api\": add "
	"it to \"modules\"\n"},
    {"in a route's middleware, and in a module's",
	TEXT("{\"modules\": "
	    "[{\"name\": \"api\", \"file\": \"a\", \"middleware\": "
	    "[{\"use\": \"x.y\"}]}],\n\"routes\": [{\"path\": \"/\", "
	    "\"handler\": \"echo\", \"middleware\": [{\"use\": \"z.y\"}]}]}"),
	"x.json:1:66: modules[0].middleware[0].use: there is no module "
	"\"x\": add it to \"modules\"\n"
	"x.json:2:68: routes[0].middleware[0].use: there is no module "
	"\"z\": add it to \"modules\"\n"},
    {"a module that is wrong in itself is told once",
	TEXT("{\"modules\": "
	    "[{\"name\": \"a.b\"}], \"routes\": "
	    "[{\"path\": \"/\", \"handler\": \"api.x\"}]}"),
	"x.json:1:14: modules[0]: \"file\" is missing: write a name like "
	"\"api.so\", or a path\n"
	"x.json:1:23: modules[0].name: must be a name of letters, digits, "
	"\"_\" and \"-\", like \"api\", not \"a.b\"\n"
	"x.json:1:68: routes[0].handler: there is no module \"api\": add "
	"it to \"modules\"\n"},
    {"two of one name",
	TEXT("{\"modules\": "
	    "[{\"name\": \"a\", \"file\": \"a\"}, "
	    "{\"name\": \"b\", \"file\": \"a\"}, "
	    "{\"name\": \"a\", \"file\": \"b\"}]}"),
	"x.json:1:79: modules[2].name: is the name of modules[0] too\n"},
    {"prefixes",
	TEXT("{\"modules\": "
	    "[{\"name\": \"a\", \"file\": \"a\", \"prefix\": \"/\"},\n"
	    "{\"name\": \"b\", \"file\": \"a\", \"prefix\": \"/b/\"},\n"
	    "{\"name\": \"c\", \"file\": \"a\", \"prefix\": \"c\"},\n"
	    "{\"name\": \"d\", \"file\": \"a\", \"prefix\": \"/{d}\"}]}"),
#define PREFIX                                                                 \
	"must be \"\", or a path without parameters that starts with "         \
	"\"/\" and doesn't end with one, like \"/api\", not "
	"x.json:1:51: modules[0].prefix: " PREFIX "\"/\"\n"
	"x.json:2:38: modules[1].prefix: " PREFIX "\"/b/\"\n"
	"x.json:3:38: modules[2].prefix: " PREFIX "\"c\"\n"
	"x.json:4:38: modules[3].prefix: " PREFIX "\"/{d}\"\n"},
    {"a config that is no object",
	TEXT("{\"modules\": "
	    "[{\"name\": \"a\", \"file\": \"a\", \"config\": [1]}]}"),
	"x.json:1:51: modules[0].config: must be an object, or null, not "
	"a list\n"},
    {"a module's handler has no keys of its own",
	TEXT("{" MODULES ", "
	    "\"routes\": [{\"path\": \"/\", \"handler\": \"api.users\", "
	    "\"root\": 1, \"body_byte\": 1}]}"),
	"x.json:1:99: routes[0].root: there is no such key for "
	"\"MODULE.NAME\"\n"
	"x.json:1:110: routes[0].body_byte: there is no such key; did you "
	"mean \"body_bytes\"?\n"},
    {"a dot alone",
	TEXT("{" MODULES ", \"middleware\": "
	    "[{\"use\": \"api.\"}]}"),
	"x.json:1:73: middleware[0].use: must be \"request_id\", "
	"\"access_log\", \"security_headers\", \"cors\", \"timeout\", "
	"\"headers\", \"response_time\", \"ip_filter\", \"compress\", "
	"\"jwt\", \"basic_auth\", \"rate_limit\" or "
	"\"MODULE.NAME\"\n"},
};

static void
what_names_a_module_names_one_that_is_there(void **state)
{
	(void)state;
	config_text_check_all(
	    wrong_modules, sizeof(wrong_modules) / sizeof(wrong_modules[0]));
}

static void
databases_have_names_and_defaults(void **state)
{
	struct config *c = config_text_read(
	    STR("{\"databases\": {\n"
		"\"main\": {\"url\": \"sqlite:run/x.db\"},\n"
		"\"mem\": {\"url\": \"sqlite::memory:\", \"connections\": 2, "
		"\"queue\": 7, \"timeout\": \"1s\", \"connect\": \"10ms\"},\n"
		"\"pg\": {\"url\": \"postgresql://me:pw@host/db\"}}}"),
	    "config/x.json");
	const struct config_database *d = c->databases.item;

	(void)state;
	assert_int_equal(c->databases.count, 3);
	unit_check_str(d[0].name, STR("main"), "name");
	assert_true(str_has_prefix(d[0].url, STR("sqlite:/")));
	assert_true(str_has_suffix(d[0].url, STR("/run/x.db")));
	assert_int_equal(d[0].connections, 4);
	assert_int_equal(d[0].queue, 1024);
	assert_int_equal(d[0].timeout_ms, 5000);
	assert_int_equal(d[0].connect_ms, 2000);
	assert_int_equal(d[1].pos.line, 3);
	unit_check_str(d[1].url, STR("sqlite::memory:"), "no path");
	assert_int_equal(d[1].connections, 2);
	assert_int_equal(d[1].queue, 7);
	assert_int_equal(d[1].timeout_ms, 1000);
	assert_int_equal(d[1].connect_ms, 10);
	unit_check_str(d[2].url, STR("postgresql://me:pw@host/db"), "as it is");
	config_unref(c);
}

static const struct config_text wrong_databases[] = {
    {"no list", TEXT("{\"databases\": []}"),
	"x.json:1:15: databases: must be an object of objects, by name, "
	"not a list\n"},
    {"a name with a space",
	TEXT("{\"databases\": {\"a b\": "
	    "{\"url\": \"sqlite:a\"}}}"),
	"x.json:1:16: databases[\"a b\"]: must be a name of letters, "
	"digits, \"_\" and \"-\", like \"main\", not \"a b\"\n"},
    {"no url", TEXT("{\"databases\": {\"main\": {}}}"),
	"x.json:1:24: databases.main: \"url\" is missing: write "
	"\"sqlite:PATH\" or \"postgresql://USER@HOST/NAME\", or "
	"{\"file\": \"path\"}\n"},
    {"a wrong url may hold a password, and isn't shown",
	TEXT("{\"databases\": {\"main\": {\"url\": \"mysql://me:pw@h/d\"}}}"),
	"x.json:1:32: databases.main.url: must be a database's URL: "
	"\"sqlite:PATH\" or \"postgresql://USER@HOST/NAME\"\n"},
    {"an empty path",
	TEXT("{\"databases\": {\"main\": {\"url\": "
	    "\"sqlite:\"}}}"),
	"x.json:1:32: databases.main.url: must be a database's URL: "
	"\"sqlite:PATH\" or \"postgresql://USER@HOST/NAME\"\n"},
    {"an unknown key, a number for an object",
	TEXT("{\"databases\": "
	    "{\"main\": {\"url\": \"sqlite:a\", \"conections\": 1}, "
	    "\"b\": 1}}"),
	"x.json:1:44: databases.main.conections: there is no such key; did "
	"you mean \"connections\"?\n"
	"x.json:1:67: databases.b: must be an object, not a number\n"},
    {"twice",
	TEXT("{\"databases\": {\"a\": {\"url\": \"sqlite:a\"}, "
	    "\"a\": {\"url\": \"sqlite:a\"}}}"),
	"x.json:1:42: databases.a: is here twice, first on line 1\n"},
};

static void
a_wrong_database_is_told_with_its_place(void **state)
{
	(void)state;
	config_text_check_all(wrong_databases,
	    sizeof(wrong_databases) / sizeof(wrong_databases[0]));
}

/* What check --print shows of a text. */
static void
check_printed(
    struct str text, const char *has, const char *has_not, const char *name)
{
	struct config *c = config_text_read(text, "x.json");
	struct buf b;

	buf_init(&b, 0);
	config_print(c, &b);
	unit_check(!buf_failed(&b) && strstr(b.p, has) != NULL, name);
	unit_check(has_not == NULL || strstr(b.p, has_not) == NULL, name);
	buf_done(&b);
	config_unref(c);
}

static void
what_is_secret_is_not_printed(void **state)
{
	(void)state;
	assert_int_equal(setenv("TEST_SECRET", "s3same", 1), 0);
	check_printed(STR("{\"databases\": {\"m\": {\"url\": "
	    "\"postgres://me:${TEST_SECRET}@h/d\"}}}"),
	    "\"url\": \"postgres://me:***@h/d\"", "s3same", "a url's password");
	check_printed(
	    STR("{" MODULES ", \"middleware\": [{\"use\": "
		"\"api.m\", \"key\": \"${TEST_SECRET}\", \"b\": \"c\"}]}"),
	    "\"key\": \"***\",\n      \"b\": \"c\"", "s3same",
	    "a variable where no table says what is secret");
	check_printed(
	    STR("{\"modules\": [{\"name\": \"a\", \"file\": \"b\", "
		"\"config\": {\"k\": [true, \"x\", {}, {\"n\": 1.50}]}}]}"),
	    "\"k\": [true, \"x\", {}, {\n          \"n\": 1.50\n        }]",
	    NULL, "values are printed as they were written");
}

static void
a_url_is_shown_without_its_password(void **state)
{
	static const struct {
		const char *url, *shown;
	} cases[] = {
	    {"postgresql://me:a@b:c@host:1/db?x=1",
		"postgresql://me:***@host:1/db?x=1"},
	    {"postgresql://me@host/db", "postgresql://me@host/db"},
	    {"postgresql://host:5432/db", "postgresql://host:5432/db"},
	    {"postgresql:///db?user=a&password=b&sslPassword=c&z=d",
		"postgresql:///db?user=a&password=***&sslPassword=***&z=d"},
	    {"postgresql://u:@h", "postgresql://u:***@h"},
	    {"postgresql://", "postgresql://"},
	    {"sqlite:/a:b@c", "sqlite:/a:b@c"},
	    {"sqlite:/a?password=", "sqlite:/a?password="},
	};
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_init(&b, 0);
		config_add_url(&b, str_of(cases[i].url));
		unit_check_str(
		    buf_str(&b), str_of(cases[i].shown), cases[i].url);
		buf_done(&b);
	}
}

static bool
is_same_hash(struct str a, struct str b)
{
	struct config *x = config_text_read(a, "x.json");
	struct config *y = config_text_read(b, "x.json");
	bool is_same = str_eq(x->text_hash, y->text_hash);

	config_unref(x);
	config_unref(y);
	return is_same;
}

static void
modules_and_databases_count_for_the_hash(void **state)
{
	(void)state;
	assert_false(is_same_hash(STR("{}"), STR("{" MODULES "}")));
	assert_false(is_same_hash(
	    STR("{\"databases\": {\"a\": {\"url\": \"postgres://a:b@c\"}}}"),
	    STR("{\"databases\": {\"a\": {\"url\": \"postgres://a:d@c\"}}}")));
	assert_false(is_same_hash(
	    STR("{" MODULES ", \"middleware\": [{\"use\": \"api.m\"}]}"),
	    STR("{" MODULES ", \"middleware\": [{\"use\": \"api.m\", "
		"\"k\": 1}]}")));
}

static void
a_route_may_take_more_or_less_content_than_others(void **state)
{
	struct config *c = config_text_read(
	    STR("{\"routes\": ["
		"{\"path\": \"/a\", \"handler\": \"echo\"}, "
		"{\"path\": \"/b\", \"handler\": \"echo\", \"body_bytes\": 0}, "
		"{\"path\": \"/c\", \"handler\": \"echo\", \"body_bytes\": "
		"\"2GiB\"}, {\"path\": \"/d\", \"handler\": \"echo\", "
		"\"body_bytes\": null}]}"),
	    "x.json");

	(void)state;
	assert_int_equal(c->routes.item[0].body_bytes, CONFIG_AUTO);
	assert_int_equal(c->routes.item[1].body_bytes, 0);
	assert_int_equal(c->routes.item[2].body_bytes, INT64_C(2) << 30);
	assert_int_equal(c->routes.item[3].body_bytes, CONFIG_AUTO);
	assert_int_equal(c->limits.offload_queue, 1024);
	assert_int_equal(c->limits.rate_cells, 65536);
	config_unref(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(modules_are_read_as_they_are_written),
	    cmocka_unit_test(
		a_module_s_handler_and_middleware_are_named_with_a_dot),
	    cmocka_unit_test(what_names_a_module_names_one_that_is_there),
	    cmocka_unit_test(databases_have_names_and_defaults),
	    cmocka_unit_test(a_wrong_database_is_told_with_its_place),
	    cmocka_unit_test(what_is_secret_is_not_printed),
	    cmocka_unit_test(a_url_is_shown_without_its_password),
	    cmocka_unit_test(modules_and_databases_count_for_the_hash),
	    cmocka_unit_test(a_route_may_take_more_or_less_content_than_others),
	};

	return UNIT_RUN(tests);
}
