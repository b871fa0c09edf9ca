/* SPDX-License-Identifier: MIT */
/*
 * lane_upload_save(): an uploaded file to a file of its own.
 *
 * Owns a descriptor while it runs.  Invariant: under the name stands the whole
 * file, on disk, or nothing of it.
 * Here: writing and naming.  Not here: where the content comes from (form.c).
 * Context: any thread; blocks.
 */
#include <corelane/request.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MODE 0666	/* less the process's umask */

static int
upload_write(int fd, struct lane_str content)
{
	ssize_t n;

	while (content.len > 0) {
		n = write(fd, content.p, content.len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -errno;
		content.p += n;
		content.len -= (size_t)n;
	}
	/* The name must not be there before the bytes are. */
	return fdatasync(fd) == -1 ? -errno : 0;
}

/* path with its last component cut off; "." where it has but one. */
static char *
path_directory(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Gives a file without a name its name; never one that is there. */
static int
upload_link(int fd, const char *path)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == -1
	    ? -errno : 0;
}

static int
upload_save_unnamed(int fd, struct lane_str content, const char *path)
{
	int result = upload_write(fd, content);

	if (result == 0)
		result = upload_link(fd, path);
	if (close(fd) == -1 && result == 0)
		result = -errno;
	return result;
}

/* For file systems that know no O_TMPFILE: a name of its own at first. */
static int
upload_save_named(struct lane_str content, const char *path)
{
	char *temporary;
	int fd, result;

	if (asprintf(&temporary, "%s.XXXXXX", path) == -1)
		return -ENOMEM;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd == -1) {
		result = -errno;
		free(temporary);
		return result;
	}
	result = upload_write(fd, content);
	if (result == 0 && link(temporary, path) == -1)
		result = -errno;
	if (close(fd) == -1 && result == 0)
		result = -errno;
	unlink(temporary);
	free(temporary);
	return result;
}

int
lane_upload_save(const struct lane_upload *upload, const char *path)
{
	char *directory = path_directory(path);
	int fd, saved;

	if (directory == NULL)
		return -ENOMEM;
	fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, FILE_MODE);
	saved = errno;
	free(directory);
	if (fd != -1)
		return upload_save_unnamed(fd, upload->content, path);
	/* EISDIR: a kernel, EOPNOTSUPP: a file system without O_TMPFILE. */
	if (saved != EOPNOTSUPP && saved != EISDIR)
		return -saved;
	return upload_save_named(upload->content, path);
}
