/* SPDX-License-Identifier: MIT */
/*
 * The arena: a pointer that moves through chunks.
 *
 * Owns its chunks, in a list with the one being filled on top.  Invariant: `at`
 * and `end` bound the unused tail of the top chunk, both NULL while there is no
 * chunk of the usual size; that tail, and every chunk in the cache, is poisoned
 * under ASan.
 * Here: chunks, deferred functions, text.  Not here: who resets it when.
 * Context: one thread per arena (server/conn.c: one per request).
 */
#include "common/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/poison.h"

#define ARENA_ALIGN 16

struct arena_chunk {
	struct arena_chunk *next;
	size_t bytes;			/* of data */
	_Alignas(ARENA_ALIGN) char data[];
};

struct arena_defer {
	struct arena_defer *next;
	arena_defer_fn fn;
	void *ptr;
};

#define ARENA_DATA_BYTES (ARENA_CHUNK_BYTES - sizeof(struct arena_chunk))

void
arena_cache_init(struct arena_cache *cache, size_t spare_max)
{
	*cache = (struct arena_cache){.spare_max = spare_max};
}

void
arena_cache_done(struct arena_cache *cache)
{
	struct arena_chunk *c;

	while ((c = cache->spare) != NULL) {
		cache->spare = c->next;
		free(c);
	}
	cache->spare_count = 0;
}

static struct arena_chunk *
arena_chunk_new(size_t data_bytes)
{
	struct arena_chunk *c;

	if (data_bytes > SIZE_MAX - sizeof(*c))
		return NULL;
	c = malloc(sizeof(*c) + data_bytes);
	if (c == NULL)
		return NULL;
	c->bytes = data_bytes;
	poison_set(c->data, data_bytes);
	return c;
}

/* A chunk of the usual size: from the cache where it has one. */
static struct arena_chunk *
arena_chunk_take(struct arena_cache *cache)
{
	struct arena_chunk *c;

	if (cache == NULL || cache->spare == NULL)
		return arena_chunk_new(ARENA_DATA_BYTES);
	c = cache->spare;
	cache->spare = c->next;
	cache->spare_count--;
	return c;
}

static void
arena_chunk_drop(struct arena_cache *cache, struct arena_chunk *c)
{
	if (cache == NULL || cache->spare_count >= cache->spare_max ||
	    c->bytes != ARENA_DATA_BYTES) {
		free(c);
		return;
	}
	poison_set(c->data, c->bytes);
	c->next = cache->spare;
	cache->spare = c;
	cache->spare_count++;
}

void
arena_init(struct arena *a, struct arena_cache *cache)
{
	*a = (struct arena){.cache = cache};
}

void
arena_run_defers(struct arena *a)
{
	struct arena_defer *d;

	while ((d = a->defers) != NULL) {
		a->defers = d->next;
		d->fn(d->ptr);
	}
}

void
arena_done(struct arena *a)
{
	struct arena_chunk *c;

	arena_run_defers(a);
	while ((c = a->chunks) != NULL) {
		a->chunks = c->next;
		arena_chunk_drop(a->cache, c);
	}
	a->at = a->end = NULL;
}

/* A chunk of its own, put below the top one, whose tail stays in use. */
static void *
arena_alloc_large(struct arena *a, size_t bytes)
{
	struct arena_chunk *c = arena_chunk_new(bytes);

	if (c == NULL)
		return NULL;
	if (a->at != NULL) {
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		c->next = a->chunks;
		a->chunks = c;
	}
	poison_clear(c->data, bytes);
	return c->data;
}

/* Makes the top chunk an empty one of the usual size. */
static int
arena_grow(struct arena *a)
{
	struct arena_chunk *c = arena_chunk_take(a->cache);

	if (c == NULL)
		return -1;
	c->next = a->chunks;
	a->chunks = c;
	a->at = c->data;
	a->end = c->data + c->bytes;
	return 0;
}

static inline size_t
arena_room(const struct arena *a)
{
	return (size_t)(a->end - a->at);
}

static inline void *
arena_bump(struct arena *a, size_t bytes, size_t rounded)
{
	void *p = a->at;

	a->at += rounded;
	poison_clear(p, bytes);
	return p;
}

static __attribute__((noinline)) void *
arena_alloc_slow(struct arena *a, size_t bytes)
{
	size_t rounded;

	if (bytes > ARENA_DATA_BYTES)
		return arena_alloc_large(a, bytes);
	rounded = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if ((a->at == NULL || rounded > arena_room(a)) && arena_grow(a) == -1)
		return NULL;
	return arena_bump(a, bytes, rounded);
}

void *
arena_alloc(struct arena *a, size_t bytes)
{
	size_t rounded = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);

	/* One comparison for three cases: with 0 bytes, and with so many that
	 * `rounded` wrapped to 0, `rounded - 1` passes any room. */
	if (rounded - 1 < arena_room(a))
		return arena_bump(a, bytes, rounded);
	return arena_alloc_slow(a, bytes);
}

void *
arena_zalloc(struct arena *a, size_t bytes)
{
	void *p = arena_alloc(a, bytes);

	if (p != NULL)
		memset(p, 0, bytes);
	return p;
}

struct str
arena_copy(struct arena *a, struct str s)
{
	char *p = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : NULL;

	if (p == NULL)
		return (struct str){NULL, 0};
	if (s.len > 0)
		memcpy(p, s.p, s.len);
	p[s.len] = '\0';
	return str_from(p, s.len);
}

struct str
arena_printf(struct arena *a, const char *fmt, ...)
{
	struct str s;
	va_list ap;

	va_start(ap, fmt);
	s = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return s;
}

/* Formats into the tail, and takes as much of it as the text needs; only a text
 * that doesn't fit is formatted twice. */
struct str
arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	char *at = a->at, *p;
	size_t room = arena_room(a);
	va_list again;
	int len;

	va_copy(again, ap);
	poison_clear(at, room);
	len = vsnprintf(at, room, fmt, ap);
	poison_set(at, room);
	p = len < 0 ? NULL : arena_alloc(a, (size_t)len + 1);
	if (p != NULL && p != at)
		vsnprintf(p, (size_t)len + 1, fmt, again);
	va_end(again);
	return p != NULL ? str_from(p, (size_t)len) : (struct str){NULL, 0};
}

int
arena_defer(struct arena *a, arena_defer_fn fn, void *ptr)
{
	struct arena_defer *d = arena_alloc(a, sizeof(*d));

	if (d == NULL) {
		fn(ptr);
		return -1;
	}
	*d = (struct arena_defer){.next = a->defers, .fn = fn, .ptr = ptr};
	a->defers = d;
	return 0;
}
