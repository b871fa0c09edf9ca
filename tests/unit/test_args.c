/* SPDX-License-Identifier: MIT */
/* server/args_rule, args_spec, args_node: declared values. */
#include <cjson/cJSON.h>

#include "server/args.h"
#include "server/args_rule.h"
#include "tests/unit/config_text.h"

static const char *const colours[] = {"red", "green", NULL};
static const char *const sizes[] = {"1", "10", "-5", NULL};

/* A rule that lives in the arena. */
static const struct arg_rule *
make_rule(struct arena *a, const struct lane_field *field)
{
	struct arg_rule *rule = arena_zalloc(a, sizeof(*rule));
	struct error err;

	error_clear(&err);
	if (arg_rule_init(rule, a, field, &err) == -1)
		fail_msg("%s", err.text);
	return rule;
}

struct text_case {
	const char *name;
	struct lane_field field;
	const char *good[8];
	const char *bad[12];
	const char *wants;
};

static const struct text_case texts[] = {
	{"any string", {.name = "x"}, {"", "a", "\xc3\xa4"},
	    {"\xff", "a\xc3", "\xed\xa0\x80"}, "a string"},
	{"characters are counted, not bytes", {.name = "x", .min = 2, .max = 3},
	    {"ab", "\xc3\xa4\xc3\xb6", "\xf0\x9f\x98\x80zz"},
	    {"", "a", "\xc3\xa4", "abcd"}, "a string of 2 to 3 characters"},
	{"a least length alone", {.name = "x", .min = 1},
	    {"a", "aaaaaaaaaaaaaaaaaaaa"}, {""},
	    "a string of at least 1 character"},
	{"a largest length alone", {.name = "x", .max = 2}, {"", "ab"},
	    {"abc"}, "a string of at most 2 characters"},
	{"an exact length", {.name = "x", .min = 2, .max = 2}, {"ab"},
	    {"a", "abc"}, "a string of 2 characters"},
	{"a pattern is for the whole text", {.name = "x",
	    .pattern = "[a-z]+|[0-9]{2}"}, {"abc", "12"},
	    {"", "abc1", "1abc", "123", "abc\n"},
	    "a string that matches [a-z]+|[0-9]{2}"},
	{"a pattern knows characters", {.name = "x", .pattern = "..."},
	    {"\xc3\xa4\xc3\xb6\xe2\x82\xac"}, {"\xc3\xa4", "abcd"},
	    "a string that matches ..."},
	{"a pattern that would take for ever is given up", {.name = "x",
	    .pattern = "(a+)+b"}, {"aab"},
	    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac"},
	    "a string that matches (a+)+b"},
	{"one of some", {.name = "x", .one_of = colours}, {"red", "green"},
	    {"", "Red", "re", "redd"}, "\"red\" or \"green\""},
	{"whole numbers", {.name = "x", .type = LANE_TYPE_INT},
	    {"0", "-1", "007", "9223372036854775807", "-9223372036854775808"},
	    {"", "-", "1.0", "1e3", "+1", " 1", "1 ", "0x1",
	    "9223372036854775808", "--1",
	    "99999999999999999999999999999999999999999"}, "a whole number"},
	{"a range", {.name = "x", .type = LANE_TYPE_INT, .min = 1, .max = 10},
	    {"1", "10"}, {"0", "11", "-1"}, "a whole number from 1 to 10"},
	{"a range that ends with 0", {.name = "x", .type = LANE_TYPE_INT,
	    .min = -3}, {"-3", "0"}, {"-4", "1"},
	    "a whole number from -3 to 0"},
	{"a range that begins with 0", {.name = "x", .type = LANE_TYPE_INT,
	    .max = 3}, {"0", "3"}, {"-1", "4"}, "a whole number from 0 to 3"},
	{"a least number alone", {.name = "x", .type = LANE_TYPE_INT,
	    .min = 5}, {"5", "9000000000000000000"}, {"4"},
	    "a whole number of at least 5"},
	{"one of some numbers", {.name = "x", .type = LANE_TYPE_INT,
	    .one_of = sizes}, {"1", "10", "-5"}, {"2", "01", ""},
	    "1, 10 or -5"},
	{"numbers", {.name = "x", .type = LANE_TYPE_FLOAT},
	    {"0", "-1.5", "1e3", "2.5E-3", "1."},
	    {"", "inf", "nan", "0x1p3", ".5", "1e999", "1,5", " 1", "1e", "-",
	    "+1"}, "a number"},
	{"a range of numbers", {.name = "x", .type = LANE_TYPE_FLOAT,
	    .min = 0.5, .max = 1.5}, {"0.5", "1.5"}, {"0.49", "1.51"},
	    "a number from 0.5 to 1.5"},
	{"yes or no", {.name = "x", .type = LANE_TYPE_BOOL},
	    {"true", "false", "1", "0"}, {"", "TRUE", "yes", "2"},
	    "true or false"},
};

static void
a_text_follows_its_declaration(void **state)
{
	const struct arg_rule *rule;
	struct lane_value v;
	struct arena a;
	size_t i, j;

	(void)state;
	arena_init(&a, NULL);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		rule = make_rule(&a, &texts[i].field);
		unit_check_str(rule->wants, str_of(texts[i].wants),
		    texts[i].name);
		for (j = 0; j < 8 && texts[i].good[j] != NULL; j++)
			if (!arg_from_text(rule, str_of(texts[i].good[j]), &v))
				fail_msg("%s: '%s' is refused", texts[i].name,
				    texts[i].good[j]);
		for (j = 0; j < 12 && texts[i].bad[j] != NULL; j++)
			if (arg_from_text(rule, str_of(texts[i].bad[j]), &v))
				fail_msg("%s: '%s' is taken", texts[i].name,
				    texts[i].bad[j]);
	}
	arena_done(&a);
}

static void
values_come_converted(void **state)
{
	static const struct lane_field fields[] = {
		{.name = "i", .type = LANE_TYPE_INT},
		{.name = "f", .type = LANE_TYPE_FLOAT},
		{.name = "b", .type = LANE_TYPE_BOOL},
		{.name = "t"},
	};
	struct lane_value v;
	struct arena a;

	(void)state;
	arena_init(&a, NULL);
	assert_true(arg_from_text(make_rule(&a, &fields[0]),
	    STR("-9223372036854775808"), &v));
	assert_int_equal(v.kind, LANE_INT);
	assert_true(v.u.i == INT64_MIN);
	assert_true(arg_from_text(make_rule(&a, &fields[1]), STR("-1.5e1"),
	    &v));
	assert_int_equal(v.kind, LANE_FLOAT);
	assert_true(v.u.f == -15.0);
	assert_true(arg_from_text(make_rule(&a, &fields[2]), STR("1"), &v));
	assert_int_equal(v.kind, LANE_BOOL);
	assert_true(v.u.b);
	assert_true(arg_from_text(make_rule(&a, &fields[3]), STR("x"), &v));
	assert_int_equal(v.kind, LANE_TEXT);
	assert_int_equal(v.u.s.len, 1);
	arena_done(&a);
}

static const struct {
	const char *name;
	struct lane_field field;
	const char *good[6];
	const char *bad[10];
} jsons[] = {
	{"strings", {.name = "x", .max = 3}, {"\"\"", "\"abc\""},
	    {"\"abcd\"", "1", "null", "true", "{}", "[\"a\"]"}},
	{"whole numbers, as far as JSON knows them",
	    {.name = "x", .type = LANE_TYPE_INT},
	    {"1", "-1", "1.0", "1e3", "9007199254740991"},
	    {"1.5", "9007199254740993", "1e300", "\"1\"", "null", "true"}},
	{"a range", {.name = "x", .type = LANE_TYPE_INT, .min = 1, .max = 2},
	    {"1", "2"}, {"0", "3"}},
	{"a list of numbers", {.name = "x", .type = LANE_TYPE_INT,
	    .one_of = sizes}, {"1", "10.0"}, {"2"}},
	{"numbers", {.name = "x", .type = LANE_TYPE_FLOAT},
	    {"1", "-1.5e3"}, {"\"1\"", "false"}},
	{"yes or no", {.name = "x", .type = LANE_TYPE_BOOL},
	    {"true", "false"}, {"1", "0", "\"true\"", "null"}},
	{"anything", {.name = "x", .type = LANE_TYPE_JSON},
	    {"null", "1", "{\"a\":[1,2]}"}, {NULL}},
};

static bool
takes_json(const struct arg_rule *rule, const char *text)
{
	cJSON *item = cJSON_Parse(text);
	struct lane_value v;
	bool is_good;

	assert_non_null(item);
	is_good = arg_from_json(rule, item, &v);
	cJSON_Delete(item);
	return is_good;
}

static void
json_follows_its_declaration(void **state)
{
	const struct arg_rule *rule;
	struct arena a;
	size_t i, j;

	(void)state;
	arena_init(&a, NULL);
	for (i = 0; i < sizeof(jsons) / sizeof(jsons[0]); i++) {
		rule = make_rule(&a, &jsons[i].field);
		for (j = 0; j < 6 && jsons[i].good[j] != NULL; j++)
			if (!takes_json(rule, jsons[i].good[j]))
				fail_msg("%s: %s is refused", jsons[i].name,
				    jsons[i].good[j]);
		for (j = 0; j < 10 && jsons[i].bad[j] != NULL; j++)
			if (takes_json(rule, jsons[i].bad[j]))
				fail_msg("%s: %s is taken", jsons[i].name,
				    jsons[i].bad[j]);
	}
	arena_done(&a);
}

static const char *const nothing[] = {NULL};

static const struct {
	const char *name;
	struct lane_field fields[3];
	const char *problem;
} mistakes[] = {
	{"a pattern that is none", {{.name = "x", .pattern = "a("}},
	    "'x': pattern 'a(', at 3: missing closing parenthesis"},
	{"a pattern for a number", {{.name = "x", .type = LANE_TYPE_INT,
	    .pattern = "1"}}, "'x': has a pattern, which is for texts"},
	{"choices of truth", {{.name = "x", .type = LANE_TYPE_BOOL,
	    .one_of = colours}},
	    "'x': has one_of, which is for texts and whole numbers"},
	{"no choice", {{.name = "x", .one_of = nothing}},
	    "'x': has an empty one_of"},
	{"a range of truth", {{.name = "x", .type = LANE_TYPE_BOOL,
	    .max = 1}}, "'x': has a range, which is for texts and numbers"},
	{"a range turned round", {{.name = "x", .type = LANE_TYPE_INT,
	    .min = 3, .max = 2}}, "'x': has a min above its max"},
	{"required with a fallback", {{.name = "x", .is_required = true,
	    .fallback = "a"}},
	    "'x': is required, so its fallback would never be used"},
	{"a fallback that isn't good enough", {{.name = "x",
	    .type = LANE_TYPE_INT, .max = 5, .fallback = "6"}},
	    "'x': fallback '6' must be a whole number from 0 to 5"},
	{"a fallback that is no JSON", {{.name = "x", .where = LANE_IN_BODY,
	    .type = LANE_TYPE_JSON, .fallback = "{"}},
	    "'x': fallback '{' must be a JSON value"},
	{"two of a name", {{.name = "x"}, {.name = "x",
	    .where = LANE_IN_QUERY}}, "'x' is declared twice"},
	{"no name", {{.name = ""}}, "'': has no name"},
};

static void
a_declaration_that_makes_no_sense_is_refused(void **state)
{
	struct args_spec *spec;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		error_clear(&err);
		spec = args_spec_make(mistakes[i].fields, true, &err);
		if (spec != NULL)
			fail_msg("%s is taken", mistakes[i].name);
		unit_check_str(str_of(err.text), str_of(mistakes[i].problem),
		    mistakes[i].name);
	}
}

/* Keys of a configuration. */

static const struct lane_field keys[] = {
	{.name = "greeting", .where = LANE_IN_CONFIG, .min = 1, .max = 20,
	    .fallback = "Hello"},
	{.name = "limit", .type = LANE_TYPE_INT, .min = 1, .max = 100,
	    .is_required = true},
	{.name = "ratio", .type = LANE_TYPE_FLOAT},
	{.name = "strict", .type = LANE_TYPE_BOOL, .fallback = "true"},
	{.name = "rules", .type = LANE_TYPE_JSON, .fallback = "[1]"},
	{.name = NULL},
};

/* Reads a module's "config" by `keys`. */
static struct args *
read_config(const struct config *cfg, struct arena *a,
    struct config_problems *problems)
{
	return args_from_node(a, &(struct args_source){.fields = keys,
	    .node = cfg->modules.item[0].config, .config = cfg,
	    .pos = cfg->modules.item[0].pos, .path = "modules[0].config",
	    .problems = problems});
}

#define MODULE(config)                                                         \
	"{\"modules\": [{\"name\": \"m\", \"file\": \"m\"" config "}]}"
#define WITH(config) MODULE(", \"config\":\n" config)

static void
a_module_s_keys_are_read(void **state)
{
	struct config_problems problems = {0};
	struct config *cfg = config_text_read(STR(WITH("{\"limit\": 100, "
	    "\"ratio\": 0.25, \"strict\": false, \"rules\": {\"a\": 1}}")),
	    "x.json");
	struct arena a;
	struct args *args;

	(void)state;
	arena_init(&a, NULL);
	args = read_config(cfg, &a, &problems);
	assert_non_null(args);
	assert_int_equal(args_get(args, "limit").u.i, 100);
	assert_true(args_get(args, "ratio").u.f == 0.25);
	assert_int_equal(args_get(args, "strict").kind, LANE_BOOL);
	assert_false(args_get(args, "strict").u.b);
	unit_check_str(str_from(args_get(args, "greeting").u.s.p,
	    args_get(args, "greeting").u.s.len), STR("Hello"), "fallback");
	assert_non_null(cJSON_GetObjectItem(args_get_json(args, "rules"),
	    "a"));
	assert_null(args_get_json(args, "limit"));
	assert_int_equal(args_get(args, "other").kind, LANE_NULL);
	assert_int_equal(args_get(NULL, "limit").kind, LANE_NULL);
	arena_done(&a);
	config_unref(cfg);
}

static void
what_is_not_there_has_its_fallback(void **state)
{
	struct config_problems problems = {0};
	struct config *cfg = config_text_read(
	    STR(WITH("{\"limit\": \"${NO_SUCH:-7}\"}")), "x.json");
	struct arena a;
	struct args *args;

	(void)state;
	arena_init(&a, NULL);
	args = read_config(cfg, &a, &problems);
	assert_non_null(args);
	assert_int_equal(args_get(args, "limit").u.i, 7);
	assert_int_equal(args_get(args, "ratio").kind, LANE_NULL);
	assert_true(args_get(args, "strict").u.b);
	assert_int_equal(cJSON_GetArraySize(args_get_json(args, "rules")), 1);
	arena_done(&a);
	config_unref(cfg);
}

static const struct {
	const char *name;
	const char *text;
	const char *problems;
} wrong[] = {
	{"no config", MODULE(""), "x.json:1:14: modules[0].config: \"limit\" "
	    "is missing: write a whole number from 1 to 100\n"},
	{"an empty one", WITH("{}"), "x.json:2:1: modules[0].config: \"limit\" "
	    "is missing: write a whole number from 1 to 100\n"},
	{"all that is wrong, in its order", WITH(
	    "{\"limits\": 1,\n\"greeting\": \"\",\n\"ratio\": \"1\", "
	    "\"strict\": 1,\n\"unheard of\": 1, \"limit\": 101}"),
	    "x.json:2:2: modules[0].config.limits: there is no such key; did "
	    "you mean \"limit\"?\n"
	    "x.json:3:13: modules[0].config.greeting: must be a string of 1 to "
	    "20 characters, not \"\"\n"
	    "x.json:4:10: modules[0].config.ratio: must be a number, not "
	    "\"1\"\n"
	    "x.json:4:25: modules[0].config.strict: must be true or false, not "
	    "1\n"
	    "x.json:5:1: modules[0].config.unheard of: there is no such key\n"
	    "x.json:5:27: modules[0].config.limit: must be a whole number from "
	    "1 to 100, not 101\n"},
	{"kinds", WITH("{\"limit\": null, \"greeting\": [1], \"ratio\": {}}"),
	    "x.json:2:11: modules[0].config.limit: must be a whole number from "
	    "1 to 100, not null\n"
	    "x.json:2:29: modules[0].config.greeting: must be a string of 1 to "
	    "20 characters, not a list\n"
	    "x.json:2:43: modules[0].config.ratio: must be a number, not an "
	    "object\n"},
	{"what the environment says isn't shown",
	    WITH("{\"limit\": \"${NO_SUCH:-secret}\"}"),
	    "x.json:2:11: modules[0].config.limit: must be a whole number from "
	    "1 to 100, not a string\n"},
};

static void
a_wrong_key_is_told_with_its_place(void **state)
{
	struct config_problems problems;
	struct config *cfg;
	struct arena a;
	struct buf lines;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		problems = (struct config_problems){0};
		cfg = config_text_read(str_of(wrong[i].text), "x.json");
		arena_init(&a, NULL);
		assert_null(read_config(cfg, &a, &problems));
		buf_init(&lines, 0);
		config_text_drain(&problems, &lines);
		unit_check_str(buf_str(&lines), str_of(wrong[i].problems),
		    wrong[i].name);
		buf_done(&lines);
		arena_done(&a);
		config_unref(cfg);
	}
}

/* A list of nothing knows no key. */
static void
nothing_declared_takes_no_key(void **state)
{
	struct config_problems problems = {0};
	struct config *cfg = config_text_read(STR(WITH("{\"limit\": 1}")),
	    "x.json");
	struct args_source source = {.config = cfg, .problems = &problems,
	    .node = cfg->modules.item[0].config};
	struct arena a;

	(void)state;
	arena_init(&a, NULL);
	assert_null(args_from_node(&a, &source));
	assert_int_equal(problems.count, 1);
	assert_string_equal(problems.item[0],
	    "x.json:2:2: limit: there is no such key");
	source.node = NULL;
	assert_non_null(args_from_node(&a, &source));
	config_problems_done(&problems);
	arena_done(&a);
	config_unref(cfg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_follows_its_declaration),
		cmocka_unit_test(values_come_converted),
		cmocka_unit_test(json_follows_its_declaration),
		cmocka_unit_test(a_declaration_that_makes_no_sense_is_refused),
		cmocka_unit_test(a_module_s_keys_are_read),
		cmocka_unit_test(what_is_not_there_has_its_fallback),
		cmocka_unit_test(a_wrong_key_is_told_with_its_place),
		cmocka_unit_test(nothing_declared_takes_no_key),
	};

	return UNIT_RUN(tests);
}
