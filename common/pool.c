/* SPDX-License-Identifier: MIT */
/*
 * Pools: slabs of objects of one size.
 *
 *	slab, aligned to its size
 *	+--------+--------+--------+--------+---------------------+
 *	| header | object | free   | object | never handed out    |
 *	+--------+--------+--------+--------+---------------------+
 *	                   ^ free list       ^ fresh
 *
 * Objects are cut off the fresh part only when the free list is empty, so that
 * the pages of a slab are touched one by one.
 *
 * Owns the slabs.  Invariant: a slab is in `partial` when it holds objects and
 * has room, is `spare` when it holds none, and otherwise is full and found only
 * by its objects; `partial` is roughly ordered, most used first, so that
 * scattered slabs drain instead of filling up again.
 * Here: slabs and objects.  Not here: construction of what is in them.
 * Context: one thread per pool (worker: connections and requests).
 */
#include "common/pool.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/poison.h"

#define POOL_ALIGN 16

struct pool_object {
	struct pool_object *next;	/* in the free list */
};

struct pool_slab {
	struct pool_slab *next, *prev;	/* in `partial` */
	struct pool_object *free;
	char *fresh;			/* next object never handed out */
	uint32_t used;			/* objects handed out */
	uint32_t capacity;
	_Alignas(POOL_ALIGN) char objects[];
};

void
pool_init(struct pool *p, size_t object_bytes)
{
	size_t rounded = (object_bytes + POOL_ALIGN - 1) &
	    ~(size_t)(POOL_ALIGN - 1);

	assert(object_bytes <= POOL_SLAB_BYTES / 8);
	*p = (struct pool){.object_bytes = rounded > 0 ? rounded : POOL_ALIGN};
}

/* mmap(2) of an aligned slab: the kernel places mappings one below the other,
 * so that after a first time the plain call nearly always is aligned. */
static void *
pool_map_aligned(void)
{
	const int prot = PROT_READ | PROT_WRITE;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	char *p = mmap(NULL, POOL_SLAB_BYTES, prot, flags, -1, 0);
	size_t before;

	if (p == MAP_FAILED)
		return NULL;
	if ((uintptr_t)p % POOL_SLAB_BYTES == 0)
		return p;
	munmap(p, POOL_SLAB_BYTES);
	p = mmap(NULL, 2 * POOL_SLAB_BYTES, prot, flags, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)p % POOL_SLAB_BYTES;
	if (before > 0)
		munmap(p, before);
	munmap(p + before + POOL_SLAB_BYTES, POOL_SLAB_BYTES - before);
	return p + before;
}

/* The leak checker of ASan looks for pointers in malloc's memory only. */
static void *
pool_slab_map(void)
{
	void *p = NULL;

	if (!POISON_ENABLED)
		return pool_map_aligned();
	return posix_memalign(&p, POOL_SLAB_BYTES, POOL_SLAB_BYTES) == 0 ?
	    p : NULL;
}

static void
pool_slab_unmap(struct pool_slab *slab)
{
	if (!POISON_ENABLED)
		munmap(slab, POOL_SLAB_BYTES);
	else
		free(slab);
}

static struct pool_slab *
pool_slab_of(void *object)
{
	return (struct pool_slab *)((char *)object -
	    (uintptr_t)object % POOL_SLAB_BYTES);
}

static void
pool_slab_insert(struct pool *p, struct pool_slab *slab)
{
	slab->prev = NULL;
	slab->next = p->partial;
	if (slab->next != NULL)
		slab->next->prev = slab;
	p->partial = slab;
}

static void
pool_slab_remove(struct pool *p, struct pool_slab *slab)
{
	if (slab->prev != NULL)
		slab->prev->next = slab->next;
	else
		p->partial = slab->next;
	if (slab->next != NULL)
		slab->next->prev = slab->prev;
}

/* Moves a slab one place back: its successor holds more. */
static void
pool_slab_demote(struct pool *p, struct pool_slab *slab)
{
	struct pool_slab *after = slab->next;

	pool_slab_remove(p, slab);
	slab->prev = after;
	slab->next = after->next;
	if (slab->next != NULL)
		slab->next->prev = slab;
	after->next = slab;
}

/* Puts the spare slab, or a new one, into the empty `partial` list. */
static __attribute__((noinline)) struct pool_slab *
pool_grow(struct pool *p)
{
	struct pool_slab *slab = p->spare;

	p->spare = NULL;
	if (slab == NULL) {
		slab = pool_slab_map();
		if (slab == NULL)
			return NULL;
		slab->free = NULL;
		slab->fresh = slab->objects;
		slab->used = 0;
		slab->capacity = (uint32_t)((POOL_SLAB_BYTES - sizeof(*slab)) /
		    p->object_bytes);
		poison_set(slab->objects, POOL_SLAB_BYTES - sizeof(*slab));
		p->slab_count++;
	}
	pool_slab_insert(p, slab);
	return slab;
}

static void
pool_slab_drop(struct pool *p, struct pool_slab *slab)
{
	pool_slab_unmap(slab);
	p->slab_count--;
}

/* A slab has become empty: it is the spare one, or goes. */
static __attribute__((noinline)) void
pool_shrink(struct pool *p, struct pool_slab *slab)
{
	pool_slab_remove(p, slab);
	if (p->spare == NULL)
		p->spare = slab;
	else
		pool_slab_drop(p, slab);
}

void
pool_done(struct pool *p)
{
	assert(p->in_use == 0);
	if (p->spare != NULL)
		pool_slab_drop(p, p->spare);
	if (p->partial != NULL)
		pool_slab_drop(p, p->partial);
	p->spare = p->partial = NULL;
}

void *
pool_get(struct pool *p)
{
	struct pool_slab *slab = p->partial;
	struct pool_object *o;

	if (slab == NULL && (slab = pool_grow(p)) == NULL)
		return NULL;
	o = slab->free;
	if (o != NULL) {
		poison_clear(o, p->object_bytes);
		slab->free = o->next;
	} else {
		o = (struct pool_object *)slab->fresh;
		poison_clear(o, p->object_bytes);
		slab->fresh += p->object_bytes;
	}
	if (++slab->used == slab->capacity)
		pool_slab_remove(p, slab);
	p->in_use++;
	return o;
}

void
pool_put(struct pool *p, void *object)
{
	struct pool_object *o = object;
	struct pool_slab *slab;

	if (o == NULL)
		return;
	slab = pool_slab_of(o);
	assert(slab->used > 0);
	if (slab->used == slab->capacity) {
		if (p->partial != NULL && p->partial->used == 0)
			pool_shrink(p, p->partial);
		pool_slab_insert(p, slab);
	}
	o->next = slab->free;
	slab->free = o;
	poison_set(o, p->object_bytes);
	p->in_use--;
	if (--slab->used == 0) {
		if (p->spare != NULL || slab != p->partial ||
		    slab->next != NULL)
			pool_shrink(p, slab);
	} else if (slab->next != NULL && slab->used < slab->next->used)
		pool_slab_demote(p, slab);
}
