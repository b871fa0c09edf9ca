/* SPDX-License-Identifier: MIT */
/*
 * Where a request's content is gathered: in memory at first, and once it is
 * larger than buffers.body_memory in a temporary file that has no name, so that
 * a crash leaves nothing behind and a client's upload costs the worker no
 * memory.
 *
 * Context: the loop's thread; the file's writes go to the page cache.
 */
#ifndef CORELANE_SERVER_SPOOL_H
#define CORELANE_SERVER_SPOOL_H

#include <stdint.h>

#include "common/error.h"
#include "common/str.h"

struct spool;

/* memory_max: bytes kept in memory.  expected: the announced length, 0 when it
 * isn't known; used to save copies, never to allocate before bytes come. */
struct spool *spool_new(size_t memory_max, uint64_t expected)
    __attribute__((warn_unused_result));
void spool_free(struct spool *sp);

/* piece: copied.  Returns 0, or -1 when there is no memory or no room. */
int spool_add(struct spool *sp, struct str piece, struct error *err);

/* What has been gathered: a slice, or (fd != -1) a file from its start.  Both
 * lent until spool_free(). */
struct str spool_data(const struct spool *sp);
int spool_fd(const struct spool *sp);
uint64_t spool_length(const struct spool *sp);

#endif
