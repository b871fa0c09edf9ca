/* SPDX-License-Identifier: MIT */
/*
 * From root to the configured user, for good.
 *
 * Workers touch what clients send, so they are who `user` and `group` say.  The
 * supervisor never reads a byte of a client's and stays root: a reload may bind
 * a new port below 1024, read a key that only root can, and signal the workers.
 *
 * Owns: nothing.
 * Here: whom to become, and becoming it.  Not here: capabilities.
 * Context: privileges_find() in the supervisor, before the fork, because a
 * lookup may fail or block; privileges_drop() in the worker.
 */
#ifndef CORELANE_WORKERS_PRIVILEGES_H
#define CORELANE_WORKERS_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"
#include "config/config.h"

struct privileges {
	bool drops;		/* whether there is anything to do */
	uid_t uid;
	gid_t gid;
	char user[64];		/* for initgroups(); empty: only the group */
};

/* Whether there are such a user and group, whoever asks.  Returns 0 or -1. */
int privileges_check(const struct config *cfg, struct error *err);

/* Whom a worker becomes.  Returns 0, or -1 when there is no such user or group,
 * or we may not become them. */
int privileges_find(const struct config *cfg, struct privileges *ret_who,
    struct error *err);

/* Becomes `who`, and makes sure that there is no way back.  Returns 0 or -1;
 * after a failure the process must end. */
int privileges_drop(const struct privileges *who, struct error *err);

/* Makes a log file exist and belong to `who`, so that a worker can open it
 * again after rotation.  path: "stderr" and "stdout" are left alone. */
void privileges_give_file(const struct privileges *who, const char *path);

#endif
