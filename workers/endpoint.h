/* SPDX-License-Identifier: MIT */
/*
 * Where a socket is bound or connected to, as the kernel wants it.
 *
 * A unix socket's path may be longer than sun_path: then it is reached through
 * its folder, opened, as /proc/self/fd/N/name.
 *
 * Owns: that folder's descriptor, until endpoint_done().
 * Here: what the kernel takes.  Not here: the syntax (config/address.h),
 * sockets.
 * Context: any process.
 */
#ifndef CORELANE_WORKERS_ENDPOINT_H
#define CORELANE_WORKERS_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/error.h"

struct endpoint {
	struct sockaddr_storage sa;
	socklen_t len;
	int folder_fd;		/* what a unix path goes through, or -1 */
};

#define ENDPOINT_TEXT_BYTES 512

bool endpoint_is_unix(const char *text);

/* Returns 0 or -1.  Afterwards endpoint_done() closes what it opened. */
int endpoint_parse(const char *text, struct endpoint *ret_endpoint,
    struct error *err);

/* The same for the path of a unix socket, without "unix:". */
int endpoint_from_path(const char *path, struct endpoint *ret_endpoint,
    struct error *err);
void endpoint_done(struct endpoint *a);

/* Writes host and port, "[::1]:80" for IPv6. */
void endpoint_format(const struct sockaddr *sa, char *out, size_t size);

unsigned endpoint_port(const struct sockaddr *sa);

#endif
