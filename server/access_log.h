/* SPDX-License-Identifier: MIT */
/*
 * The access log: one line per request, JSON or the combined format of
 * Apache and nginx, gathered in a buffer of the worker's own and written when
 * that is full or a tick has passed.
 *
 * Writing never blocks a request: a file that is full, closed, or a pipe that
 * nobody reads costs the lines, which are counted (stats.log_dropped).
 * What a client sends is escaped: a line is always one line.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_ACCESS_LOG_H
#define CORELANE_SERVER_ACCESS_LOG_H

#include <stdbool.h>

#include "config/config.h"

struct access_log;
struct request;
struct stats;

/* fd: borrowed.  worker: named in JSON lines. */
struct access_log *access_log_new(enum config_access_format format, int fd,
    unsigned worker, struct stats *stats) __attribute__((warn_unused_result));

/* Writes what is left. */
void access_log_free(struct access_log *log);

/* Adds a finished request.  is_aborted: its client went away first. */
void access_log_add(struct access_log *log, struct request *r, bool is_aborted);

void access_log_flush(struct access_log *log);

/* The errno of the last write that failed; 0: none has. */
int access_log_error(const struct access_log *log);

/* Lines gathered so far go to the old descriptor. */
void access_log_set_fd(struct access_log *log, int fd);

#endif
