/* SPDX-License-Identifier: MIT */
/*
 * Memory that lives as long as one request, or one configuration: allocated by
 * moving a pointer, freed all at once.
 *
 *	arena: [chunk n] -> [chunk n-1] -> ... -> [chunk 1] -> NULL
 *	        used | at ........ end       (each full but for its tail)
 *
 * Chunks are ARENA_CHUNK_BYTES each and come from a cache, so that a busy
 * worker asks malloc for nothing; an allocation that doesn't fit into a chunk
 * gets one of its own size, which goes back to malloc at the end.  An arena
 * from which nothing was taken owns no memory at all.
 *
 * Deferred functions run in reverse order of arena_defer(), before any memory
 * goes, so that they may use what was allocated.  Under ASan the unused tail of
 * every chunk is poisoned: a write past an allocation is reported.
 *
 *	struct arena a;
 *	arena_init(&a, cache);
 *	char *copy = arena_alloc(&a, n);
 *	if (copy == NULL || arena_defer(&a, close_file, f) == -1)
 *		...the request is answered with a 503...
 *	arena_done(&a);
 *
 * Context: one thread per arena and per cache.
 */
#ifndef CORELANE_COMMON_ARENA_H
#define CORELANE_COMMON_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "common/str.h"

#define ARENA_CHUNK_BYTES 4096

struct arena_chunk;
struct arena_defer;

/* Spare chunks of one worker: at most `spare_max` are kept, the rest freed. */
struct arena_cache {
	struct arena_chunk *spare;
	size_t spare_count;
	size_t spare_max;
};

struct arena {
	char *at;			/* next free byte of the top chunk */
	char *end;			/* one past its last byte */
	struct arena_chunk *chunks;	/* newest first */
	struct arena_defer *defers;	/* newest first */
	struct arena_cache *cache;	/* borrowed, may be NULL */
};

typedef void (*arena_defer_fn)(void *ptr);

void arena_cache_init(struct arena_cache *cache, size_t spare_max);
void arena_cache_done(struct arena_cache *cache);

/* cache: borrowed for the arena's life, or NULL for plain malloc. */
void arena_init(struct arena *a, struct arena_cache *cache);

/* Runs the deferred functions, newest first, then frees everything; the arena
 * is as after arena_init().  A defer registered meanwhile runs too. */
void arena_done(struct arena *a);
/* Only that: for an arena whose memory holds the struct arena itself, which has
 * to be moved out before it is done. */
void arena_run_defers(struct arena *a);

/*
 * bytes: 0 gives a valid pointer to nothing.  Returns memory aligned to 16
 * bytes, lent until arena_done(), or NULL when there is no memory.
 * arena_zalloc() clears it.
 */
void *arena_alloc(struct arena *a, size_t bytes)
    __attribute__((malloc, alloc_size(2), warn_unused_result));
void *arena_zalloc(struct arena *a, size_t bytes)
    __attribute__((malloc, alloc_size(2), warn_unused_result));

/* A copy of `s` with a NUL behind it (not counted); .p is NULL when there is no
 * memory. */
struct str arena_copy(struct arena *a, struct str s);

/* Formatted text with a NUL behind it; .p is NULL when there is no memory. */
struct str arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
struct str arena_vprintf(struct arena *a, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/*
 * Has fn(ptr) called by arena_done().  Returns 0, or -1 when there is no
 * memory; then fn(ptr) has been called already: `ptr` is taken either way.
 */
int arena_defer(struct arena *a, arena_defer_fn fn, void *ptr)
    __attribute__((warn_unused_result));

#endif
