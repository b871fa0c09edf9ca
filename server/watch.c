/* SPDX-License-Identifier: MIT */
/*
 * Files that are read again: by time of change, size and inode.
 *
 * Owns nothing beyond a call.
 * Here: noticing and reading.  Not here: what the content means.
 * Context: the loop's thread.  middleware/ -> [watch.c]
 */
#include "server/watch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WATCH_EVERY_MS 1000

void
watch_init(struct watch *w, const char *path)
{
	memset(w, 0, sizeof(*w));
	w->path = path;
}

static void
watch_note(struct watch *w, const struct stat *st)
{
	w->changed = st->st_mtim;
	w->bytes = st->st_size;
	w->inode = st->st_ino;
}

bool
watch_is_due(struct watch *w, uint64_t now_ms)
{
	struct stat st;

	if (now_ms - w->looked_ms < WATCH_EVERY_MS)
		return false;
	w->looked_ms = now_ms;
	/* A file that is being replaced may be gone for a moment. */
	if (stat(w->path, &st) == -1)
		return false;
	return st.st_mtim.tv_sec != w->changed.tv_sec ||
	    st.st_mtim.tv_nsec != w->changed.tv_nsec ||
	    st.st_size != w->bytes || st.st_ino != w->inode;
}

static int
watch_read_all(int fd, struct buf *out)
{
	char piece[4096];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0)
		buf_add(out, str_from(piece, (size_t)n));
	return n == -1 ? -1 : 0;
}

int
watch_read(struct watch *w, struct buf *out, struct error *err)
{
	int fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int rc = -1;

	if (fd == -1)
		return error_sys(err, "open '%s'", w->path);
	if (fstat(fd, &st) == -1) {
		error_sys(err, "stat '%s'", w->path);
	} else if (!S_ISREG(st.st_mode)) {
		error_set(err, ERROR_INVALID, "'%s' is no file", w->path);
	} else if (st.st_size > WATCH_BYTES_MAX) {
		error_set(err, ERROR_LIMIT, "'%s' is larger than %d bytes",
		    w->path, WATCH_BYTES_MAX);
		watch_note(w, &st);
	} else {
		watch_note(w, &st);
		rc = watch_read_all(fd, out);
		if (rc == -1)
			error_sys(err, "read '%s'", w->path);
		else if (buf_failed(out))
			rc = error_nomem(err, "a file");
	}
	close(fd);
	return rc;
}
