/* SPDX-License-Identifier: MIT */
/*
 * The lock and the pid file of a running server: see instance.h.
 *
 * Owns: the lock's descriptor and the pid file.
 * Here: one server per run_dir.  Not here: one per address.
 * Context: the supervisor.
 */
#include "workers/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* mkdir -p: the folders above get the usual mode. */
static int
instance_make_folder(const char *path, struct error *err)
{
	char *copy = strdup(path);
	struct stat st;

	if (copy == NULL)
		return error_nomem(err, "a path");
	for (char *p = copy + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)mkdir(copy, 0755);	/* the last one tells */
		*p = '/';
	}
	free(copy);
	if (mkdir(path, 0750) == -1 && errno != EEXIST)
		return error_sys(err, "mkdir '%s'", path);
	if (stat(path, &st) == -1 || !S_ISDIR(st.st_mode))
		return error_set(err, ERROR_INVALID, "'%s' is not a folder",
		    path);
	return 0;
}

/* Best effort: on a full disk the lock still holds, it only doesn't say who. */
static void
instance_write_pid(int fd)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) == -1 || pwrite(fd, text, (size_t)n, 0) != n)
		errno = 0;
}

static int
instance_is_running(int fd, struct error *err)
{
	char text[32] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0 || atoi(text) <= 0)
		return error_set(err, ERROR_BUSY, "already running");
	return error_set(err, ERROR_BUSY, "already running as pid %d",
	    atoi(text));
}

static int
instance_lock(const char *run_dir, struct instance *in, struct error *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/corelane.lock", run_dir);
	in->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    0640);
	if (in->lock_fd == -1)
		return error_sys(err, "open '%s'", path);
	if (flock(in->lock_fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno == EWOULDBLOCK)
			return instance_is_running(in->lock_fd, err);
		return error_sys(err, "lock '%s'", path);
	}
	instance_write_pid(in->lock_fd);
	return 0;
}

static int
instance_make_pid_file(const char *run_dir, struct instance *in,
    struct error *err)
{
	int fd;

	if (asprintf(&in->pid_file, "%s/corelane.pid", run_dir) == -1) {
		in->pid_file = NULL;
		return error_nomem(err, "a path");
	}
	fd = open(in->pid_file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    0644);
	if (fd == -1)
		return error_sys(err, "open '%s'", in->pid_file);
	instance_write_pid(fd);
	close(fd);
	return 0;
}

int
instance_open(const char *run_dir, struct instance *ret_instance,
    struct error *err)
{
	struct instance in = {.lock_fd = -1};

	if (instance_make_folder(run_dir, err) == -1 ||
	    instance_lock(run_dir, &in, err) == -1 ||
	    instance_make_pid_file(run_dir, &in, err) == -1) {
		instance_forget(&in);
		return error_wrap(err, "run_dir '%s'", run_dir);
	}
	*ret_instance = in;
	return 0;
}

void
instance_close(struct instance *in)
{
	if (in->pid_file != NULL)
		unlink(in->pid_file);
	instance_forget(in);
}

void
instance_forget(struct instance *in)
{
	if (in->lock_fd != -1)
		close(in->lock_fd);
	in->lock_fd = -1;
	free(in->pid_file);
	in->pid_file = NULL;
}
