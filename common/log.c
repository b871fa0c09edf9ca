/* SPDX-License-Identifier: MIT */
/*
 * The process's log.
 *
 * Owns the file it opened, not standard error or output.  Invariant: `log_fd`
 * always is a number that may be written to; a file is exchanged under it by
 * dup3(2), so that a pool thread in the middle of a line never meets a closed
 * one.
 * Here: lines and their way out.  Not here: the access log (server), where the
 * log is opened again (workers).
 * Context: any process, any thread; log_open() and its kin by the loop's alone.
 * SIGPIPE must be ignored, as everywhere in corelane.
 */
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/str.h"
#include "common/utf8.h"

#define LOG_PATH_BYTES 4096
#define LOG_PROCESS_BYTES 64
#define LOG_FILE_MODE 0640

static int log_fd = STDERR_FILENO;
static bool log_owned;			/* whether log_fd is ours to close */
static enum log_level log_level = LOG_INFO;
static enum log_format log_format = LOG_TEXT;
static char log_path[LOG_PATH_BYTES] = "stderr";
static char log_process[LOG_PROCESS_BYTES];
static _Atomic uint64_t log_lost;	/* lines dropped, ever */
static _Atomic uint64_t log_unsaid;	/* of these, not yet told of */

static const struct str log_level_names[] = {
	[LOG_DEBUG] = STR_INIT("debug"),
	[LOG_INFO] = STR_INIT("info"),
	[LOG_WARN] = STR_INIT("warn"),
	[LOG_ERROR] = STR_INIT("error"),
};

/* A line being built: what doesn't fit into `limit` is left out, whole escapes
 * at a time, and the line is marked as cut. */
struct log_line {
	size_t len;
	size_t limit;
	bool cut;
	char text[LOG_LINE_BYTES];
};

/* Kept free for what ends every line: the mark of a cut, "} and a newline. */
#define LOG_TAIL_BYTES 8

/* A description of our own for a pipe, so that O_NONBLOCK doesn't reach others
 * who share it; -1 where that can't be had: then poll(2) alone must do. */
static int
log_open_pipe(int fd)
{
	char path[64];
	struct stat st;

	if (fstat(fd, &st) == -1 || !S_ISFIFO(st.st_mode))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

/* Returns a new descriptor, a standard one, or -1 with errno. */
static int
log_open_path(const char *path)
{
	int standard, fd;

	if (strcmp(path, "stderr") == 0)
		standard = STDERR_FILENO;
	else if (strcmp(path, "stdout") == 0)
		standard = STDOUT_FILENO;
	else
		return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
		    O_NONBLOCK | O_NOCTTY, LOG_FILE_MODE);
	fd = log_open_pipe(standard);
	return fd != -1 ? fd : standard;
}

/* Makes `fd` the log: under the old number where both are ours. */
static int
log_use(int fd)
{
	bool owned = fd > STDERR_FILENO;

	if (log_owned && owned) {
		int copied = dup3(fd, log_fd, O_CLOEXEC);

		close(fd);
		return copied == -1 ? -1 : 0;
	}
	if (log_owned)
		close(log_fd);
	log_fd = fd;
	log_owned = owned;
	return 0;
}

int
log_open(const char *path, enum log_level level, enum log_format format,
    struct error *err)
{
	int fd;

	if (strlen(path) >= sizeof(log_path))
		return error_set(err, ERROR_INVALID,
		    "log file: the path is longer than %zu bytes",
		    sizeof(log_path) - 1);
	fd = log_open_path(path);
	if (fd == -1 || log_use(fd) == -1)
		return error_sys(err, "log file '%s'", path);
	memmove(log_path, path, strlen(path) + 1);
	log_level = level;
	log_format = format;
	return 0;
}

int
log_reopen(struct error *err)
{
	return log_open(log_path, log_level, log_format, err);
}

void
log_set_process(const char *name)
{
	snprintf(log_process, sizeof(log_process), "%s", name);
}

bool
log_is_enabled(enum log_level level)
{
	return level >= log_level;
}

uint64_t
log_dropped(void)
{
	return atomic_load_explicit(&log_lost, memory_order_relaxed);
}

/* Whether a write would neither wait nor meet a pipe without a reader. */
static bool
log_can_write(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0 &&
	    (p.revents & (POLLERR | POLLNVAL)) == 0;
}

/* MSG_DONTWAIT does for a socket what O_NONBLOCK does for a pipe: another
 * process may fill it between poll and write. */
static bool
log_put(int fd, const char *text, size_t len)
{
	ssize_t n;

	if (!log_can_write(fd))
		return false;
	n = send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == -1 && errno == ENOTSOCK)
		n = write(fd, text, len);
	return n == (ssize_t)len;
}

static void
log_line_add(struct log_line *line, struct str s)
{
	if (line->cut || s.len > line->limit - line->len) {
		line->cut = true;
		return;
	}
	memcpy(line->text + line->len, s.p, s.len);
	line->len += s.len;
}

/* C0, DEL and C1: U+009B moves a terminal's cursor as ESC [ does. */
static bool
log_is_control(struct str character)
{
	uint8_t first = (uint8_t)character.p[0];

	if (character.len == 2 && first == 0xc2)
		return (uint8_t)character.p[1] < 0xa0;
	return first < 0x20 || first == 0x7f;
}

/* Each byte on its own, so that what the client sent can be told exactly. */
static void
log_line_add_hex(struct log_line *line, struct str bytes)
{
	char escape[4 * 4 + 1];
	int len = 0;

	for (size_t i = 0; i < bytes.len; i++)
		len += snprintf(escape + len, sizeof(escape) - (size_t)len,
		    "\\x%02x", (unsigned)(uint8_t)bytes.p[i]);
	log_line_add(line, str_from(escape, (size_t)len));
}

static void
log_line_add_text(struct log_line *line, struct str s)
{
	while (s.len > 0 && !line->cut) {
		size_t n = utf8_length(s);
		struct str character = str_from(s.p, n > 0 ? n : 1);

		if (n == 0 || log_is_control(character))
			log_line_add_hex(line, character);
		else
			log_line_add(line, character);
		s = str_from(s.p + character.len, s.len - character.len);
	}
}

static void
log_line_add_json_character(struct log_line *line, struct str character)
{
	char escape[8];
	unsigned code = (uint8_t)character.p[0];

	if (character.len == 2)
		code = (uint8_t)character.p[1];
	if (log_is_control(character))
		snprintf(escape, sizeof(escape), "\\u%04x", code);
	else if (code == '"' || code == '\\')
		snprintf(escape, sizeof(escape), "\\%c", (int)code);
	else {
		log_line_add(line, character);
		return;
	}
	log_line_add(line, str_of(escape));
}

static void
log_line_add_json(struct log_line *line, struct str s)
{
	while (s.len > 0 && !line->cut) {
		size_t n = utf8_length(s);

		if (n == 0)
			log_line_add(line, STR("\\ufffd"));
		else
			log_line_add_json_character(line, str_from(s.p, n));
		n = n > 0 ? n : 1;
		s = str_from(s.p + n, s.len - n);
	}
}

static void
log_line_end(struct log_line *line, struct str end)
{
	line->limit = sizeof(line->text);
	if (line->cut) {
		line->cut = false;
		log_line_add(line, STR("..."));
	}
	log_line_add(line, end);
	log_line_add(line, STR("\n"));
}

static void
log_line_build_text(struct log_line *line, const char *time,
    enum log_level level, struct str message)
{
	struct str name = log_level_names[level];

	log_line_add(line, str_of(time));
	log_line_add(line, STR(" "));
	log_line_add(line, name);
	log_line_add(line, str_from("      ", 6 - name.len));
	if (log_process[0] != '\0') {
		log_line_add_text(line, str_of(log_process));
		log_line_add(line, STR(": "));
	}
	log_line_add_text(line, message);
	log_line_end(line, STR(""));
}

static void
log_line_build_json(struct log_line *line, const char *time,
    enum log_level level, struct str message)
{
	log_line_add(line, STR("{\"time\":\""));
	log_line_add(line, str_of(time));
	log_line_add(line, STR("\",\"level\":\""));
	log_line_add(line, log_level_names[level]);
	log_line_add(line, STR("\",\"process\":\""));
	log_line_add_json(line, str_of(log_process));
	log_line_add(line, STR("\",\"message\":\""));
	log_line_add_json(line, message);
	log_line_end(line, STR("\"}"));
}

static bool
log_emit(enum log_level level, struct str message)
{
	struct log_line line;
	char time[CLOCK_ISO_BYTES + 1];

	line.len = 0;
	line.limit = sizeof(line.text) - LOG_TAIL_BYTES;
	line.cut = false;
	clock_format_iso(clock_now_real_ms(), time);
	if (log_format == LOG_JSON)
		log_line_build_json(&line, time, level, message);
	else
		log_line_build_text(&line, time, level, message);
	return log_put(log_fd, line.text, line.len);
}

/* Tells how many lines were lost before the next one is written. */
static bool
log_emit_dropped(void)
{
	uint64_t n = atomic_exchange(&log_unsaid, 0);
	char text[64];
	int len;

	if (n == 0)
		return true;
	len = snprintf(text, sizeof(text),
	    "%llu log line%s dropped: writing failed", (unsigned long long)n,
	    n == 1 ? " was" : "s were");
	if (log_emit(LOG_WARN, str_from(text, (size_t)len)))
		return true;
	atomic_fetch_add(&log_unsaid, n);
	return false;
}

void
log_vwrite(enum log_level level, const char *fmt, va_list ap)
{
	char message[LOG_LINE_BYTES];
	int saved = errno;
	int len;

	if (!log_is_enabled(level))
		return;
	len = vsnprintf(message, sizeof(message), fmt, ap);
	if (len < 0)
		len = 0;
	else if (len >= (int)sizeof(message))
		len = sizeof(message) - 1;
	if (!log_emit_dropped() ||
	    !log_emit(level, str_from(message, (size_t)len))) {
		atomic_fetch_add(&log_lost, 1);
		atomic_fetch_add(&log_unsaid, 1);
	}
	errno = saved;
}

void
log_write(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vwrite(level, fmt, ap);
	va_end(ap);
}
