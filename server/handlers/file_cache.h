/* SPDX-License-Identifier: MIT */
/*
 * Files of one folder, kept open: to open, stat and close a file for every
 * request costs half as much again as to send it.
 *
 *	struct file *f;
 *	int error = file_cache_get(cache, path, now_ms, &f);
 *	if (error == 0) {
 *		send(f->fd, f->size);
 *		file_unref(f);
 *	}
 *
 * What is on the disk is looked at again after FILE_CACHE_FRESH_MS: a changed
 * file is opened anew, and so is the folder, where its path leads elsewhere by
 * then (a deployment that moves a link).  The least recently used of
 * FILE_CACHE_MAX files goes first.
 *
 * Context: one thread per cache; may wait for a disk.
 */
#ifndef CORELANE_SERVER_HANDLERS_FILE_CACHE_H
#define CORELANE_SERVER_HANDLERS_FILE_CACHE_H

#include <stdint.h>
#include <bsd/sys/queue.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/str.h"

#define FILE_CACHE_MAX 512
#define FILE_CACHE_FRESH_MS 1000

/* "<mtime in ns>-<size>" in hex and quotes. */
#define FILE_ETAG_BYTES 38

/* A regular file, as it was when last looked at. */
struct file {
	int fd;				/* lent while a reference is held */
	uint64_t size;
	struct str etag;		/* strong, with its quotes */
	struct str modified;		/* an HTTP date */
	struct str type;		/* the user's; .p NULL at first */

	/* the cache's own */
	uint32_t refs;
	uint64_t checked_ms, hash;
	struct stat st;
	TAILQ_ENTRY(file) used;
	struct file *next;		/* of its bucket */
	char etag_text[FILE_ETAG_BYTES + 1];
	char modified_text[CLOCK_DATE_BYTES + 1];
	size_t path_len;
	char path[];			/* NUL-terminated */
};

struct file_cache;

/* root: lent for the cache's life, NUL-terminated.  Returns NULL where it is no
 * folder that can be opened. */
struct file_cache *file_cache_new(const char *root, struct error *err)
    __attribute__((warn_unused_result));
void file_cache_free(struct file_cache *cache);

/*
 * A reference to the file at `path` below the root.  now_ms: CLOCK_MONOTONIC.
 * Returns 0, or an errno: EISDIR for a folder, ENOENT for what is neither.
 */
int file_cache_get(struct file_cache *cache, struct str path, uint64_t now_ms,
    struct file **ret_file);

/* One reference less: a struct file, as arena_defer() wants it. */
void file_unref(void *file);

#endif
