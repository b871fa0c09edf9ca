/* SPDX-License-Identifier: MIT */
/*
 * Marks memory that we own but nobody may touch, so that AddressSanitizer
 * reports whoever does.  Without ASan both calls compile to nothing.
 *
 * Here: the choice of the sanitizer, made once.  Not here: what is poisoned.
 * Context: any.
 */
#ifndef CORELANE_COMMON_POISON_H
#define CORELANE_COMMON_POISON_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON_ENABLED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_ENABLED 1
#endif
#endif
#ifndef POISON_ENABLED
#define POISON_ENABLED 0
#endif

#if POISON_ENABLED
#include <sanitizer/asan_interface.h>
#endif

static inline void
poison_set(const void *p, size_t bytes)
{
#if POISON_ENABLED
	__asan_poison_memory_region(p, bytes);
#else
	(void)p;
	(void)bytes;
#endif
}

static inline void
poison_clear(const void *p, size_t bytes)
{
#if POISON_ENABLED
	__asan_unpoison_memory_region(p, bytes);
#else
	(void)p;
	(void)bytes;
#endif
}

#endif
