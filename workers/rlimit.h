/* SPDX-License-Identifier: MIT */
/*
 * How many files a worker needs, and whether it may open them: found out
 * before the first fork, not when the last connection is refused.
 *
 * Owns: RLIMIT_NOFILE of this process, which its children inherit.
 * Here: the sum and the limit.  Not here: connections themselves.
 * Context: the supervisor.
 */
#ifndef CORELANE_WORKERS_RLIMIT_H
#define CORELANE_WORKERS_RLIMIT_H

#include <stddef.h>

#include "common/error.h"
#include "config/config.h"

/*
 * Raises the limit to what a worker of `cfg` needs beside `listener_count`
 * sockets and `other_count` other files of the supervisor's, or for "auto" to
 * what is allowed.  ret_connections: the resolved
 * limits.connections.  Returns 0, or -1 with a text that says what to change.
 */
int rlimit_raise(const struct config *cfg, size_t listener_count,
    size_t other_count, size_t *ret_connections, struct error *err);

#endif
