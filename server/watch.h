/* SPDX-License-Identifier: MIT */
/*
 * A small file that is read again when it changes: keys, users.  Looked at when
 * it is needed, at most once a second.
 *
 *	struct watch w;
 *
 *	watch_init(&w, path);
 *	if (watch_is_due(&w, now_ms) && watch_read(&w, &text, &err) == 0)
 *		...take it, or keep what there is...
 *
 * Owns nothing but what it knows of the file.
 * Context: the loop's thread; reading blocks on the disk, for files of at most
 * WATCH_BYTES_MAX.
 */
#ifndef CORELANE_SERVER_WATCH_H
#define CORELANE_SERVER_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/str.h"

#define WATCH_BYTES_MAX (1024 * 1024)

struct watch {
	const char *path;		/* borrowed */
	uint64_t looked_ms;
	struct timespec changed;	/* of the file as it was read */
	off_t bytes;
	ino_t inode;
};

void watch_init(struct watch *w, const char *path);

/* Whether the file isn't what it was at the last watch_read(). */
bool watch_is_due(struct watch *w, uint64_t now_ms);

/* Appends its content and notes what was read, also when that fails: a broken
 * file is told of once.  Returns 0 or -1. */
int watch_read(struct watch *w, struct buf *out, struct error *err)
    __attribute__((warn_unused_result));

#endif
