/* SPDX-License-Identifier: MIT */
/*
 * Gathered content.
 *
 * Owns its memory and its descriptor.  Invariant: the content is in one of the
 * two, whole and in order.
 * Here: storage.  Not here: framing (body.c), limits (http1.c).
 * Context: a worker's loop.  body.c -> [spool.c] -> pipeline.c
 */
#include "server/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SPOOL_FIRST_BYTES 4096

struct spool {
	char *data;		/* NULL once it is a file */
	size_t cap;
	size_t memory_max;
	uint64_t expected;
	uint64_t length;
	int fd;			/* -1: in memory */
};

struct spool *
spool_new(size_t memory_max, uint64_t expected)
{
	struct spool *sp = calloc(1, sizeof(*sp));

	if (sp == NULL)
		return NULL;
	sp->memory_max = memory_max;
	sp->expected = expected;
	sp->fd = -1;
	return sp;
}

void
spool_free(struct spool *sp)
{
	if (sp == NULL)
		return;
	if (sp->fd != -1)
		close(sp->fd);
	free(sp->data);
	free(sp);
}

static int
spool_write(struct spool *sp, struct str s, struct error *err)
{
	ssize_t n;

	while (s.len > 0) {
		n = write(sp->fd, s.p, s.len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_sys(err, "temporary file");
		s = str_from(s.p + n, s.len - (size_t)n);
	}
	return 0;
}

/* A file without a name, where file systems can; else its name goes at once. */
static int
spool_open_file(struct error *err)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];
	int fd;

	if (dir == NULL || dir[0] != '/')
		dir = "/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd != -1)
		return fd;
	if ((size_t)snprintf(path, sizeof(path), "%s/corelane-XXXXXX", dir) >=
	    sizeof(path))
		return error_set(err, ERROR_INVALID, "TMPDIR is too long");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd == -1)
		return error_sys(err, "temporary file in %s", dir);
	unlink(path);
	return fd;
}

static int
spool_spill(struct spool *sp, struct error *err)
{
	sp->fd = spool_open_file(err);
	if (sp->fd == -1)
		return -1;
	if (spool_write(sp, str_from(sp->data, (size_t)sp->length), err) == -1)
		return -1;
	free(sp->data);
	sp->data = NULL;
	sp->cap = 0;
	return 0;
}

/* Room for `need` bytes: doubled, and not past what was announced. */
static int
spool_grow(struct spool *sp, size_t need, struct error *err)
{
	size_t cap = sp->cap > 0 ? sp->cap : SPOOL_FIRST_BYTES;
	char *data;

	while (cap < need)
		cap *= 2;
	if (sp->expected >= need && sp->expected < cap)
		cap = (size_t)sp->expected;
	data = realloc(sp->data, cap);
	if (data == NULL)
		return error_nomem(err, "request content");
	sp->data = data;
	sp->cap = cap;
	return 0;
}

int
spool_add(struct spool *sp, struct str piece, struct error *err)
{
	uint64_t need = sp->length + piece.len;

	if (sp->fd == -1 && need > sp->memory_max && spool_spill(sp, err) == -1)
		return -1;
	if (sp->fd != -1) {
		if (spool_write(sp, piece, err) == -1)
			return -1;
	} else {
		if (need > sp->cap && spool_grow(sp, (size_t)need, err) == -1)
			return -1;
		if (piece.len > 0)
			memcpy(sp->data + sp->length, piece.p, piece.len);
	}
	sp->length = need;
	return 0;
}

struct str
spool_data(const struct spool *sp)
{
	return str_from(sp->data, sp->fd == -1 ? (size_t)sp->length : 0);
}

int
spool_fd(const struct spool *sp)
{
	return sp->fd;
}

uint64_t
spool_length(const struct spool *sp)
{
	return sp->length;
}
