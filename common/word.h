/* SPDX-License-Identifier: MIT */
/*
 * Eight bytes looked at in one step: a word is the bytes as they lie in memory,
 * and a mask has the top bit set of every byte that a question is true of.
 * Exact: no byte influences its neighbour.
 *
 * Here: the questions.  Not here: which bit is which byte; callers only ask
 * whether a mask is zero, so that byte order doesn't matter.
 * Context: pure functions.
 */
#ifndef CORELANE_COMMON_WORD_H
#define CORELANE_COMMON_WORD_H

#include <stdint.h>
#include <string.h>

#define WORD_BYTES 8
#define WORD_LOW7 UINT64_C(0x7f7f7f7f7f7f7f7f)
#define WORD_HIGH UINT64_C(0x8080808080808080)

/* `byte` in all eight places. */
#define WORD_OF(byte) (UINT64_C(0x0101010101010101) * (uint8_t)(byte))

static inline uint64_t
word_load(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* Which bytes of `w` are `byte`. */
static inline uint64_t
word_match(uint64_t w, char byte)
{
	uint64_t x = w ^ WORD_OF(byte);

	return ~(((x & WORD_LOW7) + WORD_LOW7) | x) & WORD_HIGH;
}

/* `w` with A-Z made a-z and every other byte as it was. */
static inline uint64_t
word_lower(uint64_t w)
{
	uint64_t low = w & WORD_LOW7;
	uint64_t from_a = low + WORD_OF(0x80 - 'A');
	uint64_t past_z = low + WORD_OF(0x80 - 'Z' - 1);
	uint64_t upper = from_a & ~past_z & ~w & WORD_HIGH;

	return w | upper >> 2;
}

#endif
