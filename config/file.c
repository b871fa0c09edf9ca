/* SPDX-License-Identifier: MIT */
/*
 * The files that a configuration is made of.
 *
 * Owns nothing: texts live in the caller's arena.
 *
 * Here: paths and whole files.  Not here: what is in them.
 * Context: one thread.  Reading order: config.c -> [file.c].
 */
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/utf8.h"

#define READ_BYTES 65536

/* Without its last part: "/etc/corelane" gives "/etc", "/" stays. */
static struct str
folder_up(struct str folder)
{
	while (folder.len > 1 && folder.p[folder.len - 1] != '/')
		folder.len--;
	if (folder.len > 1)
		folder.len--;
	return folder;
}

struct str
file_resolve(struct arena *a, struct str folder, struct str path)
{
	if (path.len > 0 && path.p[0] == '/')
		return arena_copy(a, path);
	/* The folder has no symbolic link in it, so going up is cutting. */
	for (;;) {
		if (str_has_prefix(path, STR("../"))) {
			folder = folder_up(folder);
			path = str_from(path.p + 3, path.len - 3);
		} else if (str_has_prefix(path, STR("./"))) {
			path = str_from(path.p + 2, path.len - 2);
		} else if (str_eq(path, STR(".."))) {
			folder = folder_up(folder);
			path = STR("");
		} else {
			break;
		}
	}
	if (path.len == 0 || str_eq(path, STR(".")))
		return arena_copy(a, folder);
	return arena_printf(a, "%.*s%s%.*s", STR_FMT(folder),
	    str_eq(folder, STR("/")) ? "" : "/", STR_FMT(path));
}

static int
file_read_fd(int fd, struct buf *b, const char *path, struct error *err)
{
	char piece[READ_BYTES];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_sys(err, "read '%s'", path);
		buf_add(b, str_from(piece, (size_t)n));
		if (buf_failed(b))
			return error_set(err, ERROR_LIMIT,
			    "'%s' is larger than %u MiB", path,
			    FILE_BYTES_MAX >> 20);
	}
	return 0;
}

int
file_read(struct arena *a, const char *path, struct str *ret_text,
    struct error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	struct str text;
	struct buf b;
	int fd, result;

	fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return error_sys(err, "open '%s'", path);
	buf_init(&b, FILE_BYTES_MAX);
	result = file_read_fd(fd, &b, path, err);
	if (!is_stdin)
		close(fd);
	if (result == 0) {
		text = arena_copy(a, buf_str(&b));
		if (text.p == NULL)
			result = error_nomem(err, path);
		else
			*ret_text = text;
	}
	buf_done(&b);
	return result;
}

int
file_read_text(struct arena *a, const char *path, struct str *ret_text,
    struct error *err)
{
	struct str text = STR("");

	if (file_read(a, path, &text, err) == -1)
		return -1;
	if (!utf8_is_valid(text) || memchr(text.p, '\0', text.len) != NULL)
		return error_set(err, ERROR_INVALID,
		    "'%s' isn't text in UTF-8", path);
	*ret_text = text;
	return 0;
}
