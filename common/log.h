/* SPDX-License-Identifier: MIT */
/*
 * The process's log: one line per event, text or JSON, to a file or standard
 * error.
 *
 *	2026-11-21T04:05:17.123Z info  worker 3: listening on 127.0.0.1:8080
 *	{"time":"...","level":"info","process":"worker 3","message":"..."}
 *
 * A line is one write(2) of at most LOG_LINE_BYTES; longer ones are cut.
 * Control bytes, DEL and bytes that are not UTF-8 leave as \xNN (text) or as
 * JSON escapes, so that no client can forge a line or move a terminal's cursor.
 * Logging never blocks and never fails: where the file is closed, full, or a
 * pipe nobody reads, the line is dropped and counted; the count is logged when
 * writing works again.
 *
 * This is the one module with mutable globals (STYLE.md 9): a log belongs to
 * the process.
 *
 * Context: any process; the loop's thread and pool threads alike (a line is
 * built on the caller's stack).
 */
#ifndef CORELANE_COMMON_LOG_H
#define CORELANE_COMMON_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

#define LOG_LINE_BYTES 4096

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

/*
 * path: "stderr", "stdout" or a file, opened for appending (0640, created).
 * Before the first call lines go to standard error as text from LOG_INFO up.
 * Returns 0 or -1; on failure the log stays as it was.
 */
int log_open(const char *path, enum log_level level, enum log_format format,
    struct error *err);

/* Opens the same path again (after rotation).  Returns 0 or -1; on failure the
 * old file stays in use. */
int log_reopen(struct error *err);

/* Names this process in every line ("supervisor", "worker 3"): copied. */
void log_set_process(const char *name);

bool log_is_enabled(enum log_level level);
uint64_t log_dropped(void);

void log_write(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void log_vwrite(enum log_level level, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

#endif
