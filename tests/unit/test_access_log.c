/* SPDX-License-Identifier: MIT */
/*
 * Proves that a reader who is behind loses whole lines of the access log, never
 * a part of one.
 *
 * Context: a pipe, and a request made by hand.
 */
#include <fcntl.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/stats.h"
#include "server/access_log.h"
#include "server/conn.h"
#include "server/request.h"
#include "tests/unit/unit.h"

#define LINES 2000

static void
test_a_full_pipe_gets_whole_lines(void **unused)
{
	static struct stats stats;
	struct conn c = {.family = AF_UNIX};
	struct head h = {.method_name = STR("GET"), .target = STR("/hello"),
	    .minor = 1};
	struct request r = {.conn = &c, .head = &h};
	struct access_log *log;
	struct buf text;
	struct str rest, line;
	char piece[3001];
	unsigned i, lines = 0;
	ssize_t n;
	int fd[2];

	buf_init(&text, 0);
	assert_int_equal(pipe2(fd, O_NONBLOCK | O_CLOEXEC), 0);
	assert_true(fcntl(fd[1], F_SETPIPE_SZ, 4096) > 0);
	log = access_log_new(ACCESS_JSON, fd[1], 0, &stats);
	assert_non_null(log);
	for (i = 0; i < LINES; i++) {
		arena_init(&r.arena, NULL);
		access_log_add(log, &r, false);
		arena_done(&r.arena);
		if (i % 40 == 0)
			access_log_flush(log);
		n = i % 97 == 0 ? read(fd[0], piece, sizeof(piece)) : 0;
		if (n > 0)
			buf_add(&text, str_from(piece, (size_t)n));
	}
	do {
		access_log_flush(log);
		n = read(fd[0], piece, sizeof(piece));
		if (n > 0)
			buf_add(&text, str_from(piece, (size_t)n));
	} while (n > 0);
	rest = buf_str(&text);
	while (str_cut(&rest, '\n', &line) && rest.p != NULL) {
		lines++;
		if (!str_has_prefix(line, STR("{\"time\":")) ||
		    !str_has_suffix(line, STR("}")))
			fail_msg("not a line: '%.*s'", STR_FMT(line));
	}
	unit_check(line.len == 0, "the last one is whole");
	unit_check(stats.log_dropped > 0, "the pipe was full");
	assert_int_equal(lines + stats.log_dropped, LINES);
	access_log_free(log);
	buf_done(&text);
	close(fd[0]);
	close(fd[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_full_pipe_gets_whole_lines),
	};

	return UNIT_RUN(tests);
}
