/* SPDX-License-Identifier: MIT */
/*
 * Immutable bytes with a reference count: for what outlives a request or goes
 * to many clients.  A body, a frame of a broadcast, a cached file.
 *
 *	struct bytes *b = bytes_new(STR("hello"));
 *	send_later(bytes_ref(b));
 *	bytes_unref(b);
 *
 * Written only between bytes_alloc() and the first bytes_ref().
 * Context: plain integers, so one thread (the loop's) per object.
 */
#ifndef CORELANE_COMMON_BYTES_H
#define CORELANE_COMMON_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "common/str.h"

struct bytes {
	uint32_t refs;
	size_t len;
	char data[];
};

/* One reference, contents copied (or left for the caller to fill); NULL when
 * there is no memory. */
struct bytes *bytes_new(struct str contents)
    __attribute__((warn_unused_result));
struct bytes *bytes_alloc(size_t len) __attribute__((warn_unused_result));

/* One more reference; returns `b`. */
struct bytes *bytes_ref(struct bytes *b);

/* One reference less; frees at none.  NULL is a no-op. */
void bytes_unref(struct bytes *b);

static inline struct str
bytes_str(const struct bytes *b)
{
	return str_from(b->data, b->len);
}

#endif
