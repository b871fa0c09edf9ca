/* SPDX-License-Identifier: MIT */
/*
 * This running server among others: its folder, its lock, its pid file.
 *
 *	run_dir/corelane.lock	locked while the supervisor lives; his pid
 *	run_dir/corelane.pid	for scripts; there while it serves
 *	run_dir/control.sock	for commands (workers/control.h)
 *
 * Owns: the lock's descriptor and the pid file.
 * Here: one server per run_dir.  Not here: one per address (listener.h).
 * Context: the supervisor; a worker closes the lock after fork.
 */
#ifndef CORELANE_WORKERS_INSTANCE_H
#define CORELANE_WORKERS_INSTANCE_H

#include "common/error.h"

struct instance {
	int lock_fd;		/* -1: none */
	char *pid_file;		/* owned */
};

/* Makes the folder (0750) and takes the lock.  Returns 0, or -1; ERROR_BUSY:
 * "already running as pid N". */
int instance_open(const char *run_dir, struct instance *ret_instance,
    struct error *err);
void instance_close(struct instance *in);

/* In a worker: lets go of the lock without touching the files. */
void instance_forget(struct instance *in);

#endif
