/* SPDX-License-Identifier: MIT */
/* config/config, print, cpus: a config's life; printed, it reads the same. */
#include <sched.h>

#include "common/arena.h"
#include "config/field.h"
#include "tests/unit/config_text.h"

/* Printed, read again and printed again: the same text, the same hash. */
static void
check_round_trip(struct str text)
{
	struct config *first = config_text_read(text, "x.json"), *second;
	struct buf once, twice;

	buf_init(&once, 0);
	buf_init(&twice, 0);
	config_print(first, &once);
	second = config_text_read(buf_str(&once), "y.json");
	config_print(second, &twice);
	unit_check_str(buf_str(&twice), buf_str(&once), "printed again");
	unit_check_str(second->text_hash, first->text_hash, "hash");
	assert_int_equal(first->text_hash.len, 16);
	buf_done(&twice);
	buf_done(&once);
	config_unref(second);
	config_unref(first);
}

static const char *const handlers[] = {
	"\"handler\": \"respond\", \"status\": 404, \"headers\": {\"A\": "
	    "\"$${b}\", \"C\": \"\"}, \"body\": \"\\\"\\\\\\n\\u0001$${x}"
	    "\xc3\xa4\", \"delay\": \"1500ms\"",
	"\"handler\": \"respond\", \"json\": {\"$${a}\": [1e3, -0, \"$$${\", "
	    "\"\\u20ac\"], \"\": null}",
	"\"handler\": \"respond\", \"json\": null",
	"\"handler\": \"redirect\", \"to\": \"/{id}\", \"status\": 308, "
	    "\"keep_query\": false",
	"\"handler\": \"static\", \"root\": \"w$${w}w\", \"index\": [], "
	    "\"types\": {\".x\": \"text/x; charset=utf-8\"}",
	"\"handler\": \"echo\", \"stream\": true, \"host\": \"a.b\"",
	"\"handler\": \"health\", \"methods\": [\"GET\", \"OPTIONS\"]",
	"\"handler\": \"ready\"",
	"\"handler\": \"metrics\"",
	"\"handler\": \"stats\"",
};

static const char *const middleware[] = {
	"\"request_id\", \"header\": \"X-Id\", \"trust\": false",
	"\"access_log\", \"when\": \"errors\", \"slow\": \"1h\"",
	"\"security_headers\", \"frame_options\": \"\"",
	"\"cors\", \"origins\": [\"https://a.b\"], \"credentials\": true",
	"\"timeout\", \"after\": \"1ms\", \"status\": 504",
	"\"timeout\"",
	"\"headers\", \"set\": {\"A\": \"b\"}, \"remove\": [\"Server\"]",
	"\"response_time\"",
	"\"ip_filter\", \"allow\": [\"10.0.0.0/8\"], \"deny\": [\"::1\"]",
	"\"compress\", \"min_bytes\": \"3KiB\", \"types\": [\"text/*\"]",
};

static void
what_is_printed_reads_the_same(void **state)
{
	struct buf b;

	(void)state;
	check_round_trip(STR("{}"));
	buf_init(&b, 0);
	buf_add(&b, STR("{\"$schema\": \"s\", \"workers\": 3, \"user\": "
	    "\"$${x}\", \"admin\": {\"address\": \"[::1]:0\"}, \"access_log\": "
	    "{\"format\": \"combined\", \"file\": \"l\"}, \"limits\": "
	    "{\"body_bytes\": \"1024GiB\", \"target_bytes\": 1000, "
	    "\"connections\": 5}, \"tcp\": {\"linger\": \"1m\", \"nodelay\": "
	    "false}, \"buffers\": {\"body_memory\": 0}, \"listen\": ["
	    "{\"address\": \"unix:s\"}, {\"address\": \"*:0\", \"protocol\": "
	    "\"tcp\", \"handler\": \"echo\"}], \"middleware\": ["));
	for (size_t i = 0; i < UNIT_COUNT(middleware); i++)
		buf_printf(&b, "{\"use\": %s},", middleware[i]);
	buf_add(&b, STR("], \"routes\": ["));
	for (size_t i = 0; i < UNIT_COUNT(handlers); i++)
		buf_printf(&b, "{\"path\": \"/%zu\", %s, \"middleware\": "
		    "[{\"use\": %s}]},", i, handlers[i],
		    middleware[i % UNIT_COUNT(middleware)]);
	buf_add(&b, STR("]}"));
	check_round_trip(buf_str(&b));
	buf_done(&b);
}

static bool
is_same_hash(struct str x, struct str y)
{
	struct config *a = config_text_read(x, "x.json");
	struct config *b = config_text_read(y, "x.json");
	bool same = str_eq(a->text_hash, b->text_hash);

	config_unref(a);
	config_unref(b);
	return same;
}

static void
the_hash_is_that_of_the_values(void **state)
{
	(void)state;
	assert_true(is_same_hash(STR("{}"), STR("// x\n{ }")));
	assert_true(is_same_hash(STR("{}"), STR("{\"max_workers\": \"auto\", "
	    "\"timeouts\": {\"head\": \"10000ms\"}, \"limits\": "
	    "{\"body_bytes\": 1048576}, \"modules\": []}")));
	assert_false(is_same_hash(STR("{}"), STR("{\"workers\": 1}")));
	assert_false(is_same_hash(STR("{}"), STR("{\"access_log\": {}}")));
	assert_false(is_same_hash(STR("{\"access_log\": {}}"),
	    STR("{\"access_log\": {\"format\": \"combined\"}}")));
}

static void
secrets_are_hidden_but_count(void **state)
{
	struct secret {
		struct config_pos pos;
		struct str key;
	} a = {{0, 0}, STR_INIT("first")}, b = {{0, 0}, STR_INIT("second")};
	const struct field fields[] = {
		{.key = "key", .kind = FIELD_STRING, .flags = FIELD_SECRET,
		    AT(struct secret, key)},
		{.key = NULL},
	};
	const struct section section = {.name = "s", .fields = fields};
	struct buf shown, hashed_a, hashed_b;

	(void)state;
	buf_init(&shown, 0);
	buf_init(&hashed_a, 0);
	buf_init(&hashed_b, 0);
	print_section(&shown, &section, &a, false);
	print_section(&hashed_a, &section, &a, true);
	print_section(&hashed_b, &section, &b, true);
	assert_string_equal(shown.p, "{\n  \"key\": \"***\"\n}\n");
	assert_string_not_equal(hashed_a.p, hashed_b.p);
	buf_done(&shown);
	buf_done(&hashed_a);
	buf_done(&hashed_b);
}

static void
a_config_lives_as_long_as_a_reference(void **state)
{
	struct config *cfg = config_text_read(STR("{\"user\": \"me\"}"),
	    "dir/x.json");

	(void)state;
	assert_ptr_equal(config_ref(cfg), cfg);
	config_unref(cfg);
	unit_check_str(cfg->user, STR("me"), "still there");
	unit_check_str(cfg->name, STR("dir/x.json"), "as it was given");
	assert_int_equal(cfg->user.p[cfg->user.len], '\0');
	config_unref(cfg);
	config_unref(NULL);
}

static void
names_are_those_of_the_file(void **state)
{
	(void)state;
	assert_string_equal(config_handler_name(HANDLER_STATIC), "static");
	assert_string_equal(config_handler_name(HANDLER_STATS), "stats");
	assert_string_equal(config_middleware_name(MIDDLEWARE_COMPRESS),
	    "compress");
	assert_string_equal(config_method_name(METHOD_DELETE), "DELETE");
}

/* What the handler "MODULE.NAME" and its middleware stand for. */
#define MODULE "\"modules\": [{\"name\": \"MODULE\", \"file\": \"m.so\"}], "

/* Every default is read by a file that names only what chooses it. */
static void
every_default_is_good(void **state)
{
	char text[256];

	(void)state;
	for (size_t i = 0; i < HANDLER_KIND_COUNT; i++) {
		snprintf(text, sizeof(text), "{" MODULE "\"routes\": "
		    "[{\"path\": \"/\", \"handler\": \"%s\"%s}]}",
		    config_handler_name(i),
		    i == HANDLER_REDIRECT ? ", \"to\": \"/\"" :
		    i == HANDLER_STATIC ? ", \"root\": \".\"" : "");
		check_round_trip(str_of(text));
	}
	for (size_t i = 0; i < MIDDLEWARE_KIND_COUNT; i++) {
		snprintf(text, sizeof(text), "{" MODULE "\"middleware\": "
		    "[{\"use\": \"%s\"%s}]}", config_middleware_name(i),
		    i == MIDDLEWARE_JWT ? ", \"algorithms\": [\"HS256\"], "
		    "\"key\": \"k.pem\"" :
		    i == MIDDLEWARE_BASIC_AUTH ? ", \"file\": \"users\"" :
		    i == MIDDLEWARE_RATE_LIMIT ? ", \"requests\": 1" : "");
		check_round_trip(str_of(text));
	}
}

static void
as_many_cpus_as_may_be_used(void **state)
{
	cpu_set_t all, one;
	int cpu = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	assert_in_range(config_usable_cpus(), 1, CPU_COUNT(&all));
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(config_usable_cpus(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

/* 10 000 keys in one object, 10 000 routes. */
static void
a_large_file_is_read(void **state)
{
	struct config *cfg;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	buf_add(&b, STR("{\"routes\": [{\"path\": \"/\", \"handler\": "
	    "\"respond\", \"json\": {"));
	for (int i = 0; i < 10000; i++)
		buf_printf(&b, "\"%d\": %d,", i, i);
	buf_add(&b, STR("}},"));
	for (int i = 1; i < 10000; i++)
		buf_printf(&b, "{\"path\": \"/%d\", \"handler\": \"echo\"},",
		    i);
	buf_add(&b, STR("]}"));
	cfg = config_text_read(buf_str(&b), "x.json");
	assert_int_equal(cfg->routes.count, 10000);
	unit_check_str(cfg->routes.item[9999].path, STR("/9999"), "the last");
	config_unref(cfg);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_printed_reads_the_same),
		cmocka_unit_test(the_hash_is_that_of_the_values),
		cmocka_unit_test(secrets_are_hidden_but_count),
		cmocka_unit_test(a_config_lives_as_long_as_a_reference),
		cmocka_unit_test(names_are_those_of_the_file),
		cmocka_unit_test(every_default_is_good),
		cmocka_unit_test(as_many_cpus_as_may_be_used),
		cmocka_unit_test(a_large_file_is_read),
	};

	return UNIT_RUN(tests);
}
