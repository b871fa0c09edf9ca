/* SPDX-License-Identifier: MIT */
/*
 * Who serves an address: turns "Address already in use" into a name.
 *
 * Owns: nothing.
 * Here: reading /proc.  Not here: binding.
 * Context: the supervisor, at start and reload only: it reads much of /proc.
 */
#ifndef CORELANE_WORKERS_OWNER_H
#define CORELANE_WORKERS_OWNER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#define OWNER_NAME_BYTES 64

/*
 * Finds a process that listens on the port of `addr` (TCP).  ret_name: its
 * command name.  Returns its pid (the parent, where a whole family of processes
 * holds the socket), or 0 when it can't be seen from here.
 */
pid_t owner_find(const struct sockaddr *addr, char ret_name[OWNER_NAME_BYTES]);

/* The command name of a process, "?" where it can't be read. */
void owner_name(pid_t pid, char ret_name[OWNER_NAME_BYTES]);

#endif
