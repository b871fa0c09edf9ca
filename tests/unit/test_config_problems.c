/* SPDX-License-Identifier: MIT */
/* config/read, table*: what is wrong with a file, all of it, and where. */
#include "tests/unit/config_text.h"

#define HANDLERS                                                               \
	"\"respond\", \"redirect\", \"static\", \"echo\", "                    \
	"\"health\", \"ready\", \"metrics\", \"stats\", "                      \
	"\"openapi\", \"channel\", \"system_stream\" or \"MODULE.NAME\""
#define MIDDLEWARE                                                             \
	"\"request_id\", \"access_log\", \"security_headers\", "               \
	"\"cors\", \"timeout\", \"headers\", \"response_time\", "              \
	"\"ip_filter\", \"compress\", \"jwt\", \"basic_auth\", "               \
	"\"rate_limit\" or \"MODULE.NAME\""
#define ADDRESS "must be an address like \"127.0.0.1:8080\": "

static const struct config_text kinds[] = {
	{"a number where a duration is due",
	    TEXT("{\"timeouts\": {\"head\": 10}}"),
	    "x.json:1:23: timeouts.head: must be a duration like \"10s\", not "
	    "a number\n"},
	{"a duration without a unit",
	    TEXT("{\"timeouts\": {\"head\": \"10\"}}"),
	    "x.json:1:23: timeouts.head: must be a duration like \"10s\", not "
	    "\"10\"\n"},
	{"a duration that isn't whole seconds",
	    TEXT("{\"tcp\": {\"keepalive\": \"1500ms\"}}"),
	    "x.json:1:23: tcp.keepalive: must be whole seconds, not "
	    "\"1500ms\"\n"},
	{"a size of another system",
	    TEXT("{\"limits\": {\"body_bytes\": \"1MB\"}}"),
	    "x.json:1:27: limits.body_bytes: must be a size like \"16KiB\", or "
	    "a number of bytes, not \"1MB\"\n"},
	{"a number with a fraction", TEXT("{\"workers\": 1.5}"),
	    "x.json:1:13: workers: must be \"auto\" or a whole number, not "
	    "1.5\n"},
	{"a number in quotes", TEXT("{\"workers\": \"4\"}"),
	    "x.json:1:13: workers: must be \"auto\" or a whole number, not "
	    "\"4\"\n"},
	{"a flag in quotes", TEXT("{\"cpu_affinity\": \"true\"}"),
	    "x.json:1:18: cpu_affinity: must be true or false, not \"true\"\n"},
	{"null where it means nothing", TEXT("{\"run_dir\": null}"),
	    "x.json:1:13: run_dir: must be a path, not null\n"},
	{"an empty path", TEXT("{\"run_dir\": \"\"}"),
	    "x.json:1:13: run_dir: must be a path, not \"\"\n"},
	{"a list for an object", TEXT("{\"limits\": []}"),
	    "x.json:1:12: limits: must be an object, not a list\n"},
	{"an object for a list", TEXT("{\"listen\": {}}"),
	    "x.json:1:12: listen: must be a list of objects, not an object\n"},
	{"a string in a list of objects", TEXT("{\"listen\": [\":80\"]}"),
	    "x.json:1:13: listen[0]: must be an object, not a string\n"},
	{"an empty list of listeners", TEXT("{\"listen\": []}"),
	    "x.json:1:12: listen: must have 1 to 64 entries, not 0\n"},
	{"false for no access log", TEXT("{\"access_log\": false}"),
	    "x.json:1:16: access_log: must be an object, or null, not false\n"},
	{"no address", TEXT("{\"admin\": {}}"),
	    "x.json:1:11: admin: \"address\" is missing: write an address like "
	    "\"127.0.0.1:8080\"\n"},
	{"an address with a name", TEXT("{\"admin\": {\"address\": \"a:1\"}}"),
	    "x.json:1:23: admin.address: " ADDRESS "the host must be a numeric "
	    "address, \"*\" or \"localhost\"\n"},
	{"admin speaks no TLS", TEXT("{\"admin\": {\"address\": \":0\", "
	    "\"tls\": null}}"),
	    "x.json:1:29: admin.tls: there is no such key\n"},
	{"another's name for a level", TEXT("{\"log\": {\"level\": "
	    "\"critical\"}}"),
	    "x.json:1:19: log.level: must be \"debug\", \"info\", \"warn\" or "
	    "\"error\", not \"critical\"\n"},
};

static const struct config_text ranges[] = {
	{"no worker at all", TEXT("{\"workers\": 0}"),
	    "x.json:1:13: workers: must be from 1 to 120, not 0\n"},
	{"a negative number", TEXT("{\"workers\": -1}"),
	    "x.json:1:13: workers: must be from 1 to 120, not -1\n"},
	{"more digits than 64 bits", TEXT("{\"workers\": "
	    "99999999999999999999}"),
	    "x.json:1:13: workers: must be from 1 to 120, not "
	    "99999999999999999999\n"},
	{"too short a time", TEXT("{\"timeouts\": {\"head\": \"0s\"}}"),
	    "x.json:1:23: timeouts.head: must be from \"1ms\" to \"1d\", not "
	    "\"0s\"\n"},
	{"too long a time", TEXT("{\"timeouts\": {\"head\": \"25h\"}}"),
	    "x.json:1:23: timeouts.head: must be from \"1ms\" to \"1d\", not "
	    "\"25h\"\n"},
	{"too small a buffer", TEXT("{\"buffers\": {\"read\": 4095}}"),
	    "x.json:1:22: buffers.read: must be from \"4KiB\" to \"16MiB\", "
	    "not 4095\n"},
	{"the ends of a range", TEXT("{\"workers\": 1, \"max_workers\": 120, "
	    "\"buffers\": {\"read\": \"4KiB\"}, \"timeouts\": {\"head\": "
	    "\"1ms\", \"body\": \"24h\", \"drain\": \"0s\"}}"), ""},
	{"one of a few numbers", TEXT("{\"routes\": [{\"path\": \"/\", "
	    "\"handler\": \"redirect\", \"to\": \"/a\", \"status\": 304}]}"),
	    "x.json:1:72: routes[0].status: must be 301, 302, 303, 307 or 308, "
	    "not 304\n"},
};

static const struct config_text slips[] = {
	{"letters swapped", TEXT("{\"timeouts\": {\"haed\": \"10s\"}}"),
	    "x.json:1:15: timeouts.haed: there is no such key; did you mean "
	    "\"head\"?\n"},
	{"the wrong case", TEXT("{\"Workers\": 1}"),
	    "x.json:1:2: Workers: there is no such key; did you mean "
	    "\"workers\"?\n"},
	{"nothing near", TEXT("{\"colour\": \"red\"}"),
	    "x.json:1:2: colour: there is no such key\n"},
	{"a word", TEXT("{\"log\": {\"level\": \"wran\"}}"),
	    "x.json:1:19: log.level: must be \"debug\", \"info\", \"warn\" or "
	    "\"error\"; did you mean \"warn\"?\n"},
	{"a method", TEXT("{\"routes\": [{\"path\": \"/\", \"handler\": "
	    "\"echo\", \"methods\": [\"get\", \"TRACE\"]}]}"),
	    "x.json:1:58: routes[0].methods[0]: there is no such method; did "
	    "you mean \"GET\"?\n"
	    "x.json:1:65: routes[0].methods[1]: must be one of GET, HEAD, "
	    "POST, PUT, DELETE, PATCH and OPTIONS\n"},
	{"a handler", TEXT("{\"routes\": [{\"path\": \"/\", \"handler\": "
	    "\"respnd\", \"body\": \"x\", \"foo\": 1}]}"),
	    "x.json:1:38: routes[0].handler: must be " HANDLERS "; did you "
	    "mean \"respond\"?\n"},
	{"a middleware", TEXT("{\"middleware\": [{\"use\": \"corse\"}]}"),
	    "x.json:1:25: middleware[0].use: must be " MIDDLEWARE "; did you "
	    "mean \"cors\"?\n"},
	{"the key that names the handler", TEXT("{\"routes\": [{\"path\": "
	    "\"/\", \"handlr\": \"redirect\", \"to\": \"/\", \"foo\": 1}]}"),
	    "x.json:1:13: routes[0]: \"handler\" is missing: write " HANDLERS
	    "\n"
	    "x.json:1:27: routes[0].handlr: there is no such key; did you mean "
	    "\"handler\"?\n"},
	{"another key beside it", TEXT("{\"middleware\": [{\"ues\": \"cors\"}, "
	    "{\"use\": 1}]}"),
	    "x.json:1:17: middleware[0]: \"use\" is missing: write " MIDDLEWARE
	    "\n"
	    "x.json:1:18: middleware[0].ues: there is no such key; did you "
	    "mean \"use\"?\n"
	    "x.json:1:42: middleware[1].use: must be a name in quotes, not a "
	    "number\n"},
	{"a key of another handler", TEXT("{\"routes\": [{\"path\": \"/\", "
	    "\"handler\": \"echo\", \"body\": \"x\"}]}"),
	    "x.json:1:46: routes[0].body: there is no such key for \"echo\"\n"},
};

static const struct config_text together[] = {
	{"the target is part of the head", TEXT("{\"limits\": "
	    "{\"target_bytes\": \"32KiB\"}}"),
	    "x.json:1:12: limits: \"header_bytes\" must be at least "
	    "\"target_bytes\" (32768 bytes): the target is a part of the "
	    "head\n"},
	{"more workers than the most", TEXT("{\"workers\": 9, "
	    "\"max_workers\": 8}"),
	    "x.json:1:13: workers: must be at most \"max_workers\" (8)\n"},
	{"nothing is said of what is wrong already", TEXT("{\"workers\": 9, "
	    "\"max_workers\": 0}"),
	    "x.json:1:31: max_workers: must be from 1 to 120, not 0\n"},
	{"TCP needs a handler", TEXT("{\"listen\": [{\"address\": \":0\", "
	    "\"protocol\": \"tcp\"}]}"),
	    "x.json:1:13: listen[0]: \"handler\" is missing: with "
	    "\"protocol\": \"tcp\" write \"handler\": \"echo\"\n"},
	{"HTTP has routes", TEXT("{\"listen\": [{\"address\": \":0\", "
	    "\"handler\": \"echo\"}]}"),
	    "x.json:1:42: listen[0].handler: is for \"protocol\": \"tcp\"; "
	    "what HTTP serves stands in \"routes\"\n"},
	{"TCP echoes", TEXT("{\"listen\": [{\"address\": \":0\", \"protocol\": "
	    "\"tcp\", \"handler\": \"chat\"}]}"),
	    "x.json:1:61: listen[0].handler: must be \"echo\", the one "
	    "handler for tcp in this build\n"},
	{"an address twice", TEXT("{\"listen\": [{\"address\": \":80\"},\n"
	    "{\"address\": \"*:80\"}, {\"address\": \":0\"}, {\"address\": "
	    "\":0\"}],\n\"admin\": {\"address\": \"0.0.0.0:80\"}}"),
	    "x.json:2:13: listen[1].address: the same address as listen[0]\n"
	    "x.json:3:22: admin.address: the same address as listen[0]\n"},
	{"the address that listen has by default", TEXT("{\"admin\": "
	    "{\"address\": \"127.0.0.1:8080\"}}"),
	    "x.json:1:23: admin.address: the same address as listen[0]\n"},
	{"two bodies", TEXT("{\"routes\": [{\"path\": \"/\", \"handler\": "
	    "\"respond\", \"body\": \"\", \"json\": null}]}"),
	    "x.json:1:69: routes[0].json: can't stand beside \"body\": write "
	    "one of the two\n"},
	{"any origin with credentials", TEXT("{\"middleware\": [{\"use\": "
	    "\"cors\", \"credentials\": true}]}"),
	    "x.json:1:48: middleware[0].credentials: can't be true while "
	    "\"origins\" has \"*\": list the origins that may send "
	    "credentials\n"},
};

#define NOT_YET " not part of this build: take the key out or leave it empty\n"

static const struct config_text later[] = {
	{"empty keys of later builds", TEXT("{"
	    "\"listen\": [{\"address\": \":0\", \"tls\": null}, "
	    "{\"address\": \":0\", \"tls\": []}, "
	    "{\"address\": \":0\", \"tls\": {}}]}"), ""},
	{"keys of later builds", TEXT("{"
	    "\"listen\": [{\"address\": \":0\", \"tls\": {\"a\": 1}}]}"),
	    "x.json:1:38: listen[0].tls: TLS is" NOT_YET},
	{"false isn't empty", TEXT("{"
	    "\"listen\": [{\"address\": \":0\", \"tls\": false}]}"),
	    "x.json:1:38: listen[0].tls: TLS is" NOT_YET},
	{"a handler of later builds", TEXT("{\"routes\": [{\"path\": \"/\", "
	    "\"handler\": \"proxy\"}]}"),
	    "x.json:1:38: routes[0].handler: \"proxy\" is not part of this "
	    "build\n"},
};

static const struct config_text texts[] = {
	{"a field that is the server's", TEXT("{\"middleware\": [{\"use\": "
	    "\"headers\", \"set\": {\"Content-Length\": \"1\", \"X\": "
	    "\"a\\nb\", \"a b\": 1}}]}"),
	    "x.json:1:44: middleware[0].set.Content-Length: must be a header "
	    "field that isn't the server's own, not \"Content-Length\"\n"
	    "x.json:1:72: middleware[0].set.X: must be the value of a header "
	    "field, without control characters, not \"a\\nb\"\n"
	    "x.json:1:87: middleware[0].set[\"a b\"]: must be a string, not a "
	    "number\n"},
	{"a pattern without its slash", TEXT("{\"routes\": [{\"path\": \"a\", "
	    "\"handler\": \"echo\"}]}"),
	    "x.json:1:22: routes[0].path: must be a path that starts with "
	    "\"/\", like \"/users/{id}\", not \"a\"\n"},
	{"what moves a terminal's cursor isn't shown", TEXT("{\"routes\": "
	    "[{\"path\": \"/\", \"handler\": \"respond\", "
	    "\"body\": {\"file\": "
	    "\"/no/\\u001b[2J.\\u0085\\u007f\\n\xc3\xa4\"}}]}"),
	    "x.json:1:66: routes[0].body.file: open '/no/?[2J.????\xc3\xa4': "
	    "No such file or directory\n"},
};

static const struct config_text many[] = {
	{"every problem of a file, in its order", TEXT(
	    "{ \"workers\": 0,\n"
	    "  \"timeouts\": { \"haed\": \"1s\", \"body\": 5, },\n"
	    "  \"routes\": [ { \"path\": \"x\", \"handler\": \"echo\" },\n"
	    "    7,\n"
	    "    { \"handler\": \"static\", \"index\": [ 1 ] } ],\n"
	    "  \"log\": { \"level\": 01, \"file\": \"\\x\" },\n"
	    "  \"workers\": 3 }"),
	    "x.json:1:14: workers: must be from 1 to 120, not 0\n"
	    "x.json:2:17: timeouts.haed: there is no such key; did you mean "
	    "\"head\"?\n"
	    "x.json:2:39: timeouts.body: must be a duration like \"10s\", not "
	    "a number\n"
	    "x.json:3:25: routes[0].path: must be a path that starts with "
	    "\"/\", like \"/users/{id}\", not \"x\"\n"
	    "x.json:4:5: routes[1]: must be an object, not a number\n"
	    "x.json:5:5: routes[2]: \"path\" is missing: write a string\n"
	    "x.json:5:5: routes[2]: \"root\" is missing: write a path\n"
	    "x.json:5:39: routes[2].index[0]: must be a string, not a number\n"
	    "x.json:6:21: a number doesn't start with 0\n"
	    "x.json:6:34: after \\ comes one of \" \\ / b f n r t u\n"
	    "x.json:7:3: workers: is here twice, first on line 1\n"},
};

#define CHECK(function, cases)                                                 \
	static void                                                            \
	function(void **state)                                                 \
	{                                                                      \
		(void)state;                                                   \
		config_text_check_all(cases, UNIT_COUNT(cases));               \
	}

CHECK(a_wrong_kind_is_told_with_the_right_one, kinds)
CHECK(a_number_out_of_range_is_told_with_its_range, ranges)
CHECK(a_slip_of_the_finger_is_recognised, slips)
CHECK(keys_must_agree_with_each_other, together)
CHECK(keys_of_later_builds_may_be_empty, later)
CHECK(texts_have_their_syntax, texts)
CHECK(everything_is_told_in_one_run, many)

static void
a_flood_of_problems_is_bounded(void **state)
{
	struct config_problems problems;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	buf_add(&b, STR("{"));
	for (int i = 0; i < 150; i++)
		buf_printf(&b, "\"unknown%d\": 1,\n", i);
	buf_add(&b, STR("}"));
	assert_null(config_parse(buf_str(&b), "x.json", &problems));
	assert_int_equal(problems.count, CONFIG_PROBLEMS_MAX);
	assert_int_equal(problems.dropped, 50);
	for (unsigned i = 0; i < problems.count; i++)
		assert_int_equal(problems.pos[i].line, i + 1);
	config_problems_done(&problems);
	assert_int_equal(problems.count, 0);
	buf_done(&b);
}

static void
later_checks_add_in_the_same_form_and_order(void **state)
{
	struct config *cfg = config_text_read(STR("{\"routes\": [\n"
	    "{\"path\": \"/a\", \"handler\": \"echo\"},\n"
	    "{\"path\": \"/a\", \"handler\": \"echo\"}]}"), "x.json");
	struct config_problems problems = {NULL, NULL, 0, 0};
	struct buf lines;

	(void)state;
	config_problem_add(&problems, cfg, cfg->routes.item[1].pos,
	    "routes[1]", "the same as %s", "routes[0]");
	config_problem_add(&problems, cfg, cfg->routes.item[0].pos, NULL,
	    "first");
	config_problem_add(&problems, cfg, (struct config_pos){0, 0}, "",
	    "nowhere");
	buf_init(&lines, 0);
	config_text_drain(&problems, &lines);
	assert_string_equal(lines.p, "x.json: nowhere\n"
	    "x.json:2:1: first\n"
	    "x.json:3:1: routes[1]: the same as routes[0]\n");
	buf_done(&lines);
	config_unref(cfg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_kind_is_told_with_the_right_one),
		cmocka_unit_test(a_number_out_of_range_is_told_with_its_range),
		cmocka_unit_test(a_slip_of_the_finger_is_recognised),
		cmocka_unit_test(keys_must_agree_with_each_other),
		cmocka_unit_test(keys_of_later_builds_may_be_empty),
		cmocka_unit_test(texts_have_their_syntax),
		cmocka_unit_test(everything_is_told_in_one_run),
		cmocka_unit_test(a_flood_of_problems_is_bounded),
		cmocka_unit_test(later_checks_add_in_the_same_form_and_order),
	};

	return UNIT_RUN(tests);
}
