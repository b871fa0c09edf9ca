/* SPDX-License-Identifier: MIT */
/*
 * openat2(2) with RESOLVE_BENEATH, and what to do without it.
 *
 * Owns nothing.  Here: the one place where a client's path meets the kernel.
 * Not here: caching (file_cache.c), which names are shown (static.c).
 * Context: the loop's thread.
 */
#include "server/handlers/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A pipe must not hold the loop, a terminal must not become ours. */
#define BENEATH_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
/* A rename elsewhere in the tree may disturb the kernel's walk: EAGAIN. */
#define BENEATH_TRIES 8

static int
beneath_openat2(int root_fd, const char *path)
{
	struct open_how how = {
		.flags = BENEATH_FLAGS,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;
	int i;

	for (i = 0; i < BENEATH_TRIES; i++) {
		fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
		if (fd != -1 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return (int)fd;
}

/* One segment of a path, no link followed. */
static int
beneath_step(int dir, const char *name, size_t len, int flags)
{
	char segment[NAME_MAX + 1];

	if (len > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(segment, name, len);
	segment[len] = '\0';
	if (strcmp(segment, "..") == 0) {
		errno = EXDEV;
		return -1;
	}
	return openat(dir, segment, flags | O_NOFOLLOW | O_CLOEXEC);
}

static int
beneath_walk(int root_fd, const char *path)
{
	int dir = root_fd, next, saved;
	size_t len;

	for (;;) {
		len = strcspn(path, "/");
		next = beneath_step(dir, path, len, path[len] == '/'
		    ? O_PATH | O_DIRECTORY : BENEATH_FLAGS);
		saved = errno;
		if (dir != root_fd)
			close(dir);
		errno = saved;
		if (next == -1 || path[len] == '\0')
			return next;
		dir = next;
		path += len + 1;
	}
}

int
beneath_open(int root_fd, const char *path)
{
	int fd = beneath_openat2(root_fd, path);

	/* Old kernels say ENOSYS, old container sandboxes EPERM. */
	if (fd == -1 && (errno == ENOSYS || errno == EPERM))
		fd = beneath_walk(root_fd, path);
	return fd;
}
