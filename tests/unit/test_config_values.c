/* SPDX-License-Identifier: MIT */
/* config/value, expand, file: what values become; variables and files. */
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "config/file.h"
#include "tests/unit/config_text.h"

static void
defaults_are_those_of_the_design(void **state)
{
	struct config *c = config_text_read(STR("{}"), "x.json");

	(void)state;
	assert_int_equal(c->workers, CONFIG_AUTO);
	assert_int_equal(c->max_workers, CONFIG_AUTO);
	assert_true(c->cpu_affinity);
	assert_int_equal(c->user.len + c->group.len + c->schema.len, 0);
	assert_true(str_has_suffix(c->run_dir, STR("/run")));
	assert_int_equal(c->run_dir.p[0], '/');
	assert_int_equal(c->offload_threads, 4);
	assert_int_equal(c->listen_count, 1);
	unit_check_str(c->listen[0].address, STR("127.0.0.1:8080"), "listen");
	assert_int_equal(c->listen[0].protocol, PROTOCOL_HTTP);
	assert_int_equal(c->listen[0].pos.line, 0);
	assert_null(c->admin);
	assert_int_equal(c->log.level, LOG_INFO);
	assert_int_equal(c->log.format, LOG_TEXT);
	unit_check_str(c->log.file, STR("stderr"), "log");
	assert_false(c->access_log.enabled);
	assert_int_equal(c->limits.connections, CONFIG_AUTO);
	assert_int_equal(c->limits.connections_per_ip, 0);
	assert_int_equal(c->limits.target_bytes, 8192);
	assert_int_equal(c->limits.header_bytes, 16384);
	assert_int_equal(c->limits.header_count, 100);
	assert_int_equal(c->limits.body_bytes, 1 << 20);
	assert_int_equal(c->limits.requests_per_connection, 0);
	assert_int_equal(c->limits.write_queue_bytes, 1 << 20);
	assert_int_equal(c->timeouts.head_ms, 10000);
	assert_int_equal(c->timeouts.body_ms, 30000);
	assert_int_equal(c->timeouts.write_ms, 30000);
	assert_int_equal(c->timeouts.idle_ms, 75000);
	assert_int_equal(c->timeouts.request_ms, 30000);
	assert_int_equal(c->timeouts.drain_ms, 30000);
	assert_int_equal(c->timeouts.watchdog_ms, 5000);
	assert_true(c->tcp.nodelay);
	assert_int_equal(c->tcp.linger_s, CONFIG_AUTO);
	assert_int_equal(c->tcp.backlog, 4096);
	assert_int_equal(c->tcp.keepalive_s, 60);
	assert_int_equal(c->buffers.read, 65536);
	assert_int_equal(c->buffers.body_memory, 262144);
	assert_int_equal(c->buffers.websocket, 65536);
	assert_int_equal(c->quarantine.crashes, 3);
	assert_int_equal(c->quarantine.window_ms, 60000);
	assert_int_equal(c->middleware.count + c->routes.count, 0);
	config_unref(c);
}

static void
null_and_auto_are_values(void **state)
{
	struct config *c = config_text_read(STR("{\"workers\": \"auto\", "
	    "\"admin\": null, \"access_log\": null, \"user\": null, "
	    "\"tcp\": {\"linger\": null}, \"limits\": {\"connections\": "
	    "\"auto\"}}"), "x.json");

	(void)state;
	assert_int_equal(c->workers, CONFIG_AUTO);
	assert_null(c->admin);
	assert_false(c->access_log.enabled);
	assert_int_equal(c->tcp.linger_s, CONFIG_AUTO);
	config_unref(c);
	c = config_text_read(STR("{\"access_log\": {}, \"admin\": {\"address\":"
	    " \"127.0.0.1:0\"}, \"tcp\": {\"linger\": \"0s\"}}"), "x.json");
	assert_true(c->access_log.enabled);
	assert_int_equal(c->access_log.format, ACCESS_JSON);
	unit_check_str(c->access_log.file, STR("stdout"), "access_log");
	unit_check_str(c->admin->address, STR("127.0.0.1:0"), "admin");
	assert_int_equal(c->admin->pos.column, 29);
	assert_int_equal(c->tcp.linger_s, 0);
	config_unref(c);
}

static void
entries_are_read_with_their_own_keys(void **state)
{
	struct config *c = config_text_read(STR("{\"routes\": [\n"
	    "{\"path\": \"/a\", \"methods\": [\"GET\", \"PUT\"], \"handler\": "
	    "\"respond\", \"json\": {\"b\": [1.50, null, \"\\u00e4\"]}},\n"
	    "{\"path\": \"/b\", \"handler\": \"redirect\", \"to\": \"/c\", "
	    "\"host\": \"x\", \"middleware\": [{\"use\": \"timeout\"}]}]}"),
	    "x.json");
	const struct config_route *r = c->routes.item;

	(void)state;
	assert_int_equal(c->routes.count, 2);
	assert_int_equal(r[0].methods,
	    METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_PUT));
	assert_int_equal(r[0].handler, HANDLER_RESPOND);
	assert_int_equal(r[0].respond.status, 200);
	assert_true(r[0].respond.is_json);
	unit_check_str(r[0].respond.body,
	    STR("{\"b\":[1.50,null,\"\xc3\xa4\"]}"), "json");
	assert_int_equal(r[1].pos.line, 3);
	assert_int_equal(r[1].methods, 0);
	unit_check_str(r[1].host, STR("x"), "host");
	assert_int_equal(r[1].redirect.status, 302);
	assert_true(r[1].redirect.keep_query);
	assert_int_equal(r[1].middleware.count, 1);
	assert_int_equal(r[1].middleware.item[0].kind, MIDDLEWARE_TIMEOUT);
	assert_int_equal(r[1].middleware.item[0].timeout.after_ms,
	    CONFIG_AUTO);
	config_unref(c);
}

static const struct {
	const char *text, *user;
} variables[] = {
	{"${LANE_TEST}", "value"},
	{"a${LANE_TEST}b${LANE_TEST}", "avaluebvalue"},
	{"${LANE_TEST:-x}", "value"},
	{"${LANE_EMPTY}", ""},
	{"${LANE_EMPTY:-x}", "x"},
	{"${LANE_UNSET:-}", ""},
	{"${LANE_UNSET:-a:-b$}", "a:-b$"},
	{"$${LANE_TEST}", "${LANE_TEST}"},
	{"$$${LANE_TEST}", "$${LANE_TEST}"},
	{"$LANE_TEST $", "$LANE_TEST $"},
	{"\\u0024{LANE_TEST}", "value"},
	{"${LANE_QUOTED}", "\"}, ${LANE_TEST}"},
};

static void
variables_are_filled_in_once(void **state)
{
	struct config *c;
	char text[256];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(variables); i++) {
		snprintf(text, sizeof(text), "{\"user\": \"%s\"}",
		    variables[i].text);
		c = config_text_read(str_of(text), "x.json");
		unit_check_str(c->user, str_of(variables[i].user), text);
		config_unref(c);
	}
	c = config_text_read(STR("{\"workers\": \"${LANE_NUMBER}\", "
	    "\"cpu_affinity\": \"${LANE_UNSET:-false}\", \"tcp\": {\"backlog\""
	    ": \"1${LANE_NUMBER}\"}, \"buffers\": {\"read\": "
	    "\"${LANE_UNSET:-8192}\"}}"), "x.json");
	assert_int_equal(c->workers, 7);
	assert_false(c->cpu_affinity);
	assert_int_equal(c->tcp.backlog, 17);
	assert_int_equal(c->buffers.read, 8192);
	config_unref(c);
}

static const struct config_text bad_variables[] = {
	{"one that isn't set", TEXT("{\"user\": \"${LANE_UNSET}\"}"),
	    "x.json:1:10: user: the environment variable LANE_UNSET isn't set; "
	    "set it, or write \"${LANE_UNSET:-default}\"\n"},
	{"no name", TEXT("{\"user\": \"${}\"}"),
	    "x.json:1:10: user: \"${}\" names no variable; write \"$${\" for "
	    "the characters \"${\"\n"},
	{"a name that is none", TEXT("{\"user\": \"${1A}\"}"),
	    "x.json:1:10: user: \"${1A}\" names no variable; write \"$${\" for "
	    "the characters \"${\"\n"},
	{"another shell's operator", TEXT("{\"user\": \"${A-b}\"}"),
	    "x.json:1:10: user: \"${A-b}\" names no variable; write \"$${\" "
	    "for the characters \"${\"\n"},
	{"no end", TEXT("{\"user\": \"${LANE_TEST\"}"),
	    "x.json:1:10: user: \"${\" has no \"}\"; write \"$${\" for the "
	    "characters \"${\"\n"},
	{"one in another's default", TEXT("{\"user\": \"${A:-${B}}\"}"),
	    "x.json:1:10: user: the default of \"${A}\" can't have a variable "
	    "in it\n"},
	{"a value that isn't UTF-8", TEXT("{\"user\": \"${LANE_LATIN1}\"}"),
	    "x.json:1:10: user: the environment variable LANE_LATIN1 isn't "
	    "UTF-8\n"},
	{"a value of the wrong kind", TEXT("{\"workers\": \"${LANE_TEST}\", "
	    "\"cpu_affinity\": \"${LANE_TEST}\"}"),
	    "x.json:1:13: workers: must be \"auto\" or a whole number, not "
	    "\"value\"\n"
	    "x.json:1:45: cpu_affinity: must be true or false, not "
	    "\"value\"\n"},
	{"a value out of range", TEXT("{\"workers\": \"${LANE_NUMBER}00\"}"),
	    "x.json:1:13: workers: must be from 1 to 120, not 700\n"},
	{"in a key", TEXT("{\"routes\": [{\"path\": \"/\", \"handler\": "
	    "\"respond\", \"headers\": {\"${LANE_TEST}\": \"a\", \"value\": "
	    "\"b\"}}]}"),
	    "x.json:1:82: routes[0].headers.value: is here twice, first on "
	    "line 1\n"},
};

static void
variables_that_cannot_be_filled_in_are_told(void **state)
{
	(void)state;
	config_text_check_all(bad_variables, UNIT_COUNT(bad_variables));
}

static char folder[] = "/tmp/corelane-test-XXXXXX";

static void
file_write(const char *name, struct str text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(text.p, 1, text.len, f), text.len);
	assert_int_equal(fclose(f), 0);
}

static int
folder_make(void **state)
{
	char sub[128];

	(void)state;
	setenv("LANE_TEST", "value", 1);
	setenv("LANE_EMPTY", "", 1);
	setenv("LANE_NUMBER", "7", 1);
	setenv("LANE_QUOTED", "\"}, ${LANE_TEST}", 1);
	setenv("LANE_LATIN1", "\xe4", 1);
	unsetenv("LANE_UNSET");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(sub, sizeof(sub), "%s/sub", folder);
	return mkdir(sub, 0700);
}

static int
folder_remove(void **state)
{
	static const char *const names[] = {
		"body", "latin1", "nul", "huge", "x.json", "sub", "",
	};
	char path[128];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		remove(path);
	}
	return 0;
}

/* A file that is larger than any that is read. */
static void
file_write_huge(void)
{
	char path[128];

	file_write("huge", STR("{"));
	snprintf(path, sizeof(path), "%s/huge", folder);
	assert_int_equal(truncate(path, (off_t)FILE_BYTES_MAX + 1), 0);
}

/* A route whose body is `body`, in a file of the folder. */
static struct config *
load_body(const char *body, struct config_problems *problems)
{
	char text[512], path[128];

	snprintf(text, sizeof(text), "{\"routes\": [{\"path\": \"/\", "
	    "\"handler\": \"respond\",\n\"body\": %s}]}", body);
	file_write("x.json", str_of(text));
	snprintf(path, sizeof(path), "%s/x.json", folder);
	return config_load(path, problems);
}

static void
a_file_stands_for_a_text(void **state)
{
	struct config_problems problems;
	struct config *c;

	(void)state;
	file_write("body", STR("${LANE_TEST} \"\n"));
	c = load_body("{\"file\": \"./sub/../body\", }", &problems);
	assert_non_null(c);
	unit_check_str(c->routes.item[0].respond.body,
	    STR("${LANE_TEST} \"\n"), "as it is");
	assert_false(c->routes.item[0].respond.is_json);
	config_problems_done(&problems);
	config_unref(c);
}

struct bad_file {
	const char *body;
	const char *problem;	/* FOLDER is that of the file */
};

static const struct bad_file bad_files[] = {
	{"{\"file\": \"none\"}", "body.file: open 'FOLDER/none': No such file "
	    "or directory"},
	{"{\"file\": \"sub\"}", "body.file: read 'FOLDER/sub': Is a "
	    "directory"},
	{"{\"file\": \"huge\"}", "body.file: 'FOLDER/huge' is larger than 16 "
	    "MiB"},
	{"{\"file\": \"latin1\"}", "body.file: 'FOLDER/latin1' isn't text in "
	    "UTF-8"},
	{"{\"file\": \"nul\"}", "body.file: 'FOLDER/nul' isn't text in "
	    "UTF-8"},
	{"{\"file\": 1}", "body: must be a string, or {\"file\": \"path\"}, "
	    "not an object"},
	{"{\"file\": \"body\", \"x\": 1}", "body: must be a string, or "
	    "{\"file\": \"path\"}, not an object"},
	{"{}", "body: must be a string, or {\"file\": \"path\"}, not an "
	    "object"},
	{"null", "body: must be a string, or {\"file\": \"path\"}, not null"},
};

/* Fails unless the one problem is this one, on the line of the body. */
static void
check_bad_file(const struct config_problems *problems, const char *problem)
{
	const char *mark = strstr(problem, "FOLDER");
	size_t front = mark != NULL ? (size_t)(mark - problem) : 0;
	struct buf b;

	buf_init(&b, 0);
	buf_add(&b, STR("routes[0]."));
	buf_add(&b, str_from(problem, front));
	if (mark != NULL)
		buf_add(&b, str_of(folder));
	buf_add(&b, str_of(mark != NULL ? mark + strlen("FOLDER") : problem));
	assert_int_equal(problems->count, 1);
	assert_int_equal(problems->pos[0].line, 2);
	unit_check(str_has_suffix(str_of(problems->item[0]), buf_str(&b)),
	    problems->item[0]);
	buf_done(&b);
}

static void
files_that_cannot_be_read_are_told(void **state)
{
	struct config_problems problems;

	(void)state;
	file_write("latin1", STR("\xe4"));
	file_write("nul", STR("a\0b"));
	file_write_huge();
	for (size_t i = 0; i < UNIT_COUNT(bad_files); i++) {
		assert_null(load_body(bad_files[i].body, &problems));
		check_bad_file(&problems, bad_files[i].problem);
		config_problems_done(&problems);
	}
}

/* config_load() of what is no configuration, with what it says. */
static void
check_load(const char *path, const char *problem)
{
	struct config_problems problems;

	assert_null(config_load(path, &problems));
	assert_int_equal(problems.count, 1);
	unit_check(strstr(problems.item[0], problem) != NULL,
	    problems.item[0]);
	config_problems_done(&problems);
}

static void
the_file_itself_may_be_missing(void **state)
{
	char path[4200];

	(void)state;
	check_load("/nowhere/x.json",
	    "open '/nowhere/x.json': No such file or directory");
	check_load(folder, "Is a directory");
	snprintf(path, sizeof(path), "%s/huge", folder);
	file_write_huge();
	check_load(path, "is larger than 16 MiB");
	/* Around the length where the buffer of a folder ends. */
	for (size_t len = 4090; len < 4100; len++) {
		memset(path, 'x', len);
		memcpy(path + len, "/x", 3);
		check_load(path, "open 'xxx");
	}
}

static void
relative_paths_start_at_the_file(void **state)
{
	struct config_problems problems;
	char path[128];
	struct config *c;

	(void)state;
	file_write("x.json", STR("{\"run_dir\": \"../a/./b\", \"log\": "
	    "{\"file\": \"log\"}, \"listen\": [{\"address\": "
	    "\"unix:./sock\"}], \"access_log\": {\"file\": \"/abs\"}}"));
	snprintf(path, sizeof(path), "%s/sub/../x.json", folder);
	c = config_load(path, &problems);
	assert_non_null(c);
	unit_check_str(c->name, str_of(path), "as it was given");
	unit_check_str(c->run_dir, STR("/tmp/a/./b"), "run_dir");
	snprintf(path, sizeof(path), "%s/x.json", folder);
	unit_check_str(c->file, str_of(path), "file");
	snprintf(path, sizeof(path), "%s/log", folder);
	unit_check_str(c->log.file, str_of(path), "log");
	unit_check_str(c->access_log.file, STR("/abs"), "access_log");
	snprintf(path, sizeof(path), "unix:%s/sock", folder);
	unit_check_str(c->listen[0].address, str_of(path), "unix");
	config_problems_done(&problems);
	config_unref(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_design),
		cmocka_unit_test(null_and_auto_are_values),
		cmocka_unit_test(entries_are_read_with_their_own_keys),
		cmocka_unit_test(variables_are_filled_in_once),
		cmocka_unit_test(variables_that_cannot_be_filled_in_are_told),
		cmocka_unit_test(a_file_stands_for_a_text),
		cmocka_unit_test(files_that_cannot_be_read_are_told),
		cmocka_unit_test(the_file_itself_may_be_missing),
		cmocka_unit_test(relative_paths_start_at_the_file),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
