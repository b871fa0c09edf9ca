/* SPDX-License-Identifier: MIT */
/*
 * Objects of one size, made and dropped often: connections and requests of one
 * worker.  No header per object, so that an idle connection costs what its
 * struct says.
 *
 * Objects live in slabs of POOL_SLAB_BYTES, aligned to their size, so that an
 * object finds its slab by masking its address.  A slab that holds none of the
 * caller's objects goes back to the system, but for one: memory follows a
 * burst down again.
 *
 * Under ASan a returned object is poisoned.
 *
 * Context: one thread per pool.
 */
#ifndef CORELANE_COMMON_POOL_H
#define CORELANE_COMMON_POOL_H

#include <stddef.h>

#define POOL_SLAB_BYTES 65536

struct pool_slab;

struct pool {
	/* Slabs with room, most used first.  An empty one is alone here, and
	 * then the spare one: who gets and puts by turns moves nothing. */
	struct pool_slab *partial;
	struct pool_slab *spare;	/* one empty slab, or NULL */
	size_t object_bytes;
	size_t in_use;			/* objects handed out */
	size_t slab_count;
};

/* object_bytes: at most POOL_SLAB_BYTES / 8; rounded up to a multiple of 16. */
void pool_init(struct pool *p, size_t object_bytes);

/* Every object must be back. */
void pool_done(struct pool *p);

/* An object with undefined contents, or NULL when there is no memory. */
void *pool_get(struct pool *p) __attribute__((warn_unused_result));

/* Takes it back; NULL is a no-op. */
void pool_put(struct pool *p, void *object);

#endif
