/* SPDX-License-Identifier: MIT */
/* common/log: the shape of lines, hostile bytes, and outputs that fail. */
#include <sys/socket.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/unit/unit.h"

/* "2026-11-21T04:05:17.123Z " */
#define TIME_BYTES 25

static char path[64];
static char line[2 * LOG_LINE_BYTES];

static int
setup(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/corelane-log-XXXXXX");
	fd = mkstemp(path);
	if (fd == -1)
		return -1;
	close(fd);
	log_set_process("");
	return log_open(path, LOG_INFO, LOG_TEXT, NULL);
}

static int
teardown(void **state)
{
	(void)state;
	log_open("stderr", LOG_INFO, LOG_TEXT, NULL);
	return unlink(path);
}

/* What the file holds now. */
static struct str
contents(void)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	assert_non_null(f);
	n = fread(line, 1, sizeof(line), f);
	fclose(f);
	return str_from(line, n);
}

/* What one message is logged as, from its level on. */
static struct str
logged(const char *message)
{
	struct str s;

	assert_int_equal(truncate(path, 0), 0);
	log_write(LOG_WARN, "%s", message);
	s = contents();
	assert_true(s.len > TIME_BYTES);
	return str_from(s.p + TIME_BYTES, s.len - TIME_BYTES);
}

static const struct {
	const char *name;
	const char *message;
	struct str text;
} hostile[] = {
	{"plain", "hello", STR_INIT("warn  hello\n")},
	{"a forged line", "a\r\n2026 error b",
	    STR_INIT("warn  a\\x0d\\x0a2026 error b\n")},
	{"a terminal's escape", "\x1b[2J\x7f",
	    STR_INIT("warn  \\x1b[2J\\x7f\n")},
	{"the one-character escape of C1", "\xc2\x9b" "2J",
	    STR_INIT("warn  \\xc2\\x9b2J\n")},
	{"UTF-8 stays", "gr\xc3\xbc\xc3\x9f",
	    STR_INIT("warn  gr\xc3\xbc\xc3\x9f\n")},
	{"no UTF-8", "\xff\xc3(", STR_INIT("warn  \\xff\\xc3(\n")},
};

static void
hostile_bytes_leave_as_escapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(hostile); i++)
		unit_check_str(logged(hostile[i].message), hostile[i].text,
		    hostile[i].name);
}

static void
a_line_has_time_level_and_process(void **state)
{
	struct str s;

	(void)state;
	log_set_process("worker 3");
	unit_check_str(logged("x"), STR("warn  worker 3: x\n"), "text");
	assert_true(line[4] == '-' && line[10] == 'T' && line[23] == 'Z');
	assert_int_equal(log_open(path, LOG_INFO, LOG_JSON, NULL), 0);
	logged("a\"\\\n\xc2\x9b\xff");
	s = contents();
	assert_true(str_has_prefix(s, STR("{\"time\":\"2")));
	unit_check_str(str_from(s.p + 33, s.len - 33), STR("\",\"level\":"
	    "\"warn\",\"process\":\"worker 3\",\"message\":"
	    "\"a\\\"\\\\\\u000a\\u009b\\ufffd\"}\n"), "JSON");
}

static void
a_long_line_is_cut_to_whole_characters(void **state)
{
	char message[2 * LOG_LINE_BYTES];
	struct str s;

	(void)state;
	for (int shift = 0; shift < 3; shift++) {
		for (size_t i = 0; i + 2 < sizeof(message); i += 2)
			memcpy(message + i, "\xc3\xbc", 2);
		memset(message, 'x', (size_t)shift);
		message[shift % 2] = 'x';
		message[sizeof(message) - 2] = '\0';
		logged(message);
		s = contents();
		assert_in_range(s.len, LOG_LINE_BYTES - 64, LOG_LINE_BYTES);
		assert_true(str_has_suffix(s, STR("...\n")));
	}
	assert_int_equal(log_open(path, LOG_INFO, LOG_JSON, NULL), 0);
	memset(message, '\n', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	logged(message);
	s = contents();
	assert_in_range(s.len, LOG_LINE_BYTES - 64, LOG_LINE_BYTES);
	assert_true(str_has_suffix(s, STR("\\u000a...\"}\n")));
}

static void
levels_below_are_silent(void **state)
{
	(void)state;
	assert_false(log_is_enabled(LOG_DEBUG));
	log_debug("%s", "x");
	assert_int_equal(contents().len, 0);
	assert_int_equal(log_open(path, LOG_DEBUG, LOG_TEXT, NULL), 0);
	log_debug("%s", "x");
	assert_true(contents().len > 0);
}

static void
reopening_follows_a_rotation(void **state)
{
	char moved[80];
	struct error err;

	(void)state;
	snprintf(moved, sizeof(moved), "%s.1", path);
	assert_int_equal(rename(path, moved), 0);
	log_info("to the old file");
	assert_int_equal(log_reopen(&err), 0);
	log_info("to the new file");
	assert_true(str_has_suffix(contents(), STR("info  to the new file\n")));
	assert_int_equal(unlink(moved), 0);
}

static void
a_path_that_fails_leaves_the_log_as_it_was(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(log_open("/nonexistent/x", LOG_ERROR, LOG_JSON, &err),
	    -1);
	assert_non_null(strstr(err.text, "/nonexistent/x"));
	unit_check_str(logged("x"), STR("warn  x\n"), "still the old file");
}

/* Lets `fd` be standard error while the log writes to it. */
static int
become_stderr(int fd)
{
	int saved = dup(STDERR_FILENO);

	assert_true(saved != -1);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(log_open("stderr", LOG_INFO, LOG_TEXT, NULL), 0);
	return saved;
}

static void
restore_stderr(int saved)
{
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	close(saved);
	assert_int_equal(log_open(path, LOG_INFO, LOG_TEXT, NULL), 0);
}

static void
fill_until_dropped(uint64_t dropped)
{
	for (int i = 0; i < 100000 && log_dropped() == dropped; i++)
		log_info("%01000d", i);
	assert_int_equal(log_dropped(), dropped + 1);
}

/* fds[0] is read, fds[1] is the log: full, then read again, then closed. */
static void
check_full_output(int fds[2])
{
	uint64_t dropped = log_dropped();
	int saved = become_stderr(fds[1]);
	ssize_t n;

	fill_until_dropped(dropped);
	log_info("lost too");
	assert_int_equal(log_dropped(), dropped + 2);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	while ((n = read(fds[0], line, sizeof(line))) > 0)
		;
	log_info("heard again");
	n = read(fds[0], line, sizeof(line) - 1);
	assert_true(n > 0);
	if (memchr(line, '\n', (size_t)n) == line + n - 1)
		n += read(fds[0], line + n, sizeof(line) - 1 - (size_t)n);
	line[n] = '\0';
	assert_non_null(strstr(line, "warn  2 log lines were dropped"));
	assert_non_null(strstr(line, "heard again\n"));
	assert_int_equal(log_dropped(), dropped + 2);
	close(fds[0]);
	log_info("nobody reads");
	assert_int_equal(log_dropped(), dropped + 3);
	restore_stderr(saved);
	close(fds[1]);
}

static void
a_full_pipe_drops_and_tells(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	check_full_output(fds);
}

static void
a_full_socket_drops_and_tells(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	check_full_output(fds);
}

static void
a_closed_or_full_file_drops(void **state)
{
	uint64_t dropped = log_dropped();
	int file = open(path, O_WRONLY);
	int saved = become_stderr(file);

	(void)state;
	close(file);
	close(STDERR_FILENO);
	log_info("into nothing");
	assert_int_equal(log_dropped(), dropped + 1);
	restore_stderr(saved);
	assert_int_equal(log_open("/dev/full", LOG_INFO, LOG_TEXT, NULL), 0);
	log_info("no space");
	assert_int_equal(log_dropped(), dropped + 2);
	assert_int_equal(log_open(path, LOG_INFO, LOG_TEXT, NULL), 0);
	log_info("space again");
	assert_true(str_has_suffix(contents(), STR("space again\n")));
	assert_true(str_find(contents(), '\n') < contents().len - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(hostile_bytes_leave_as_escapes),
		TEST(a_line_has_time_level_and_process),
		TEST(a_long_line_is_cut_to_whole_characters),
		TEST(levels_below_are_silent),
		TEST(reopening_follows_a_rotation),
		TEST(a_path_that_fails_leaves_the_log_as_it_was),
		TEST(a_full_pipe_drops_and_tells),
		TEST(a_full_socket_drops_and_tells),
		TEST(a_closed_or_full_file_drops),
	};

	signal(SIGPIPE, SIG_IGN);
	return UNIT_RUN(tests);
}
