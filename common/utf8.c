/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 after RFC 3629 4: a table of lead bytes for the length of one
 * character, and an automaton of nine states for whole texts.
 *
 * The automaton is a table of shifts: what follows a byte, from all nine states
 * at once, is one word, six bits for each state, and a state is the place of
 * its six bits.  A step then is `row[byte] >> state`: nothing to mispredict,
 * and no load waits for the step before.  Once it is bad a text stays bad, so
 * that only the end of a part has to be looked at.  ASCII is passed over in
 * blocks of 64 bytes.
 *
 * Owns nothing.
 * Here: what is valid.  Not here: what replaces what isn't.
 * Context: pure functions; buf.c, log.c and the WebSocket codec call them.
 */
#include "common/utf8.h"

#include <stdint.h>

#include "common/word.h"

/* What RFC 3629 4 allows after a lead byte: the number of bytes in all, and the
 * range of the second; the others are 80..BF. */
struct utf8_row {
	uint8_t lead_first, lead_last;
	uint8_t length;
	uint8_t second_first, second_last;
};

static const struct utf8_row utf8_rows[] = {
	{0xc2, 0xdf, 2, 0x80, 0xbf},
	{0xe0, 0xe0, 3, 0xa0, 0xbf},	/* below: overlong */
	{0xe1, 0xec, 3, 0x80, 0xbf},
	{0xed, 0xed, 3, 0x80, 0x9f},	/* above: surrogates */
	{0xee, 0xef, 3, 0x80, 0xbf},
	{0xf0, 0xf0, 4, 0x90, 0xbf},	/* below: overlong */
	{0xf1, 0xf3, 4, 0x80, 0xbf},
	{0xf4, 0xf4, 4, 0x80, 0x8f},	/* above: past U+10FFFF */
};

static const struct utf8_row *
utf8_row_find(uint8_t lead)
{
	const size_t count = sizeof(utf8_rows) / sizeof(utf8_rows[0]);

	for (size_t i = 0; i < count; i++) {
		const struct utf8_row *row = &utf8_rows[i];

		if (lead >= row->lead_first && lead <= row->lead_last)
			return row;
	}
	return NULL;
}

static bool
utf8_is_tail(char byte)
{
	return ((uint8_t)byte & 0xc0) == 0x80;
}

size_t
utf8_length(struct str s)
{
	const struct utf8_row *row;
	uint8_t second;

	if (s.len == 0)
		return 0;
	if ((uint8_t)s.p[0] < 0x80)
		return 1;
	row = utf8_row_find((uint8_t)s.p[0]);
	if (row == NULL || s.len < row->length)
		return 0;
	second = (uint8_t)s.p[1];
	if (second < row->second_first || second > row->second_last)
		return 0;
	for (size_t i = 2; i < row->length; i++) {
		if (!utf8_is_tail(s.p[i]))
			return 0;
	}
	return row->length;
}

/* The states: how many bytes a character still has, and after four lead bytes
 * a narrower second one.  OK is 0, as utf8.h promises. */
enum {
	OK = 0,
	BAD = 6,
	TAIL_1 = 12,
	TAIL_2 = 18,
	TAIL_3 = 24,
	AFTER_E0 = 30,
	AFTER_ED = 36,
	AFTER_F0 = 42,
	AFTER_F4 = 48
};

/* What comes after `from` where that isn't BAD. */
#define STEP(from, to) ((uint64_t)(BAD ^ (to)) << (from))
#define ALL_BAD                                                                \
	((uint64_t)BAD << OK | (uint64_t)BAD << BAD |                          \
	    (uint64_t)BAD << TAIL_1 | (uint64_t)BAD << TAIL_2 |                \
	    (uint64_t)BAD << TAIL_3 | (uint64_t)BAD << AFTER_E0 |              \
	    (uint64_t)BAD << AFTER_ED | (uint64_t)BAD << AFTER_F0 |            \
	    (uint64_t)BAD << AFTER_F4)
#define LEAD(to) (ALL_BAD ^ STEP(OK, to))
#define TAIL                                                                   \
	(ALL_BAD ^ STEP(TAIL_1, OK) ^ STEP(TAIL_2, TAIL_1) ^                   \
	    STEP(TAIL_3, TAIL_2))
#define TAIL_80 (TAIL ^ STEP(AFTER_ED, TAIL_1) ^ STEP(AFTER_F4, TAIL_2))
#define TAIL_90 (TAIL ^ STEP(AFTER_ED, TAIL_1) ^ STEP(AFTER_F0, TAIL_2))
#define TAIL_A0 (TAIL ^ STEP(AFTER_E0, TAIL_1) ^ STEP(AFTER_F0, TAIL_2))

#define TWICE(row) row, row
#define X4(row) TWICE(row), TWICE(row)
#define X16(row) X4(row), X4(row), X4(row), X4(row)
#define X64(row) X16(row), X16(row), X16(row), X16(row)

static const uint64_t utf8_steps[256] = {
	X64(LEAD(OK)), X64(LEAD(OK)),			/* 00..7F */
	X16(TAIL_80), X16(TAIL_90),			/* 80..9F */
	X16(TAIL_A0), X16(TAIL_A0),			/* A0..BF */
	TWICE(ALL_BAD), TWICE(LEAD(TAIL_1)),		/* C0..C3 */
	X4(LEAD(TAIL_1)), X4(LEAD(TAIL_1)),		/* C4..CB */
	X4(LEAD(TAIL_1)), X16(LEAD(TAIL_1)),		/* CC..DF */
	LEAD(AFTER_E0), X4(LEAD(TAIL_2)),		/* E0..E4 */
	X4(LEAD(TAIL_2)), X4(LEAD(TAIL_2)),		/* E5..EC */
	LEAD(AFTER_ED), TWICE(LEAD(TAIL_2)),		/* ED..EF */
	LEAD(AFTER_F0), TWICE(LEAD(TAIL_3)),		/* F0..F2 */
	LEAD(TAIL_3), LEAD(AFTER_F4), ALL_BAD,		/* F3..F5 */
	TWICE(ALL_BAD), X4(ALL_BAD), X4(ALL_BAD),	/* F6..FF */
};

#define UTF8_BLOCK_BYTES 64

static inline bool
utf8_is_ascii(const char *p)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < UTF8_BLOCK_BYTES; i += WORD_BYTES)
		seen |= word_load(p + i);
	return (seen & WORD_HIGH) == 0;
}

static inline uint64_t
utf8_step(uint64_t state, char byte)
{
	return utf8_steps[(uint8_t)byte] >> (state & 63);
}

static inline uint64_t
utf8_walk(uint64_t state, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		state = utf8_step(state, p[i]);
	return state & 63;
}

/*
 * A block in two halves at once, as neither waits for the other: the second
 * begins with a character, so the first must end with one.  Behind three tails
 * nothing else can be valid.
 */
static inline uint64_t
utf8_walk_block(uint64_t state, const char *p)
{
	const size_t half = UTF8_BLOCK_BYTES / 2;
	uint64_t second = OK;
	size_t at = half;

	while (utf8_is_tail(p[at]) && at < half + 3)
		at++;
	for (size_t i = 0; i < UTF8_BLOCK_BYTES - at; i++) {
		state = utf8_step(state, p[i]);
		second = utf8_step(second, p[at + i]);
	}
	state = utf8_walk(state, p + UTF8_BLOCK_BYTES - at,
	    at - (UTF8_BLOCK_BYTES - at));
	return state == OK ? second & 63 : BAD;
}

bool
utf8_feed(struct utf8_state *state, struct str part)
{
	uint64_t now = state->shift;

	for (; part.len >= UTF8_BLOCK_BYTES; part.len -= UTF8_BLOCK_BYTES) {
		if (now != OK || !utf8_is_ascii(part.p))
			now = utf8_walk_block(now, part.p);
		part.p += UTF8_BLOCK_BYTES;
	}
	now = utf8_walk(now, part.p, part.len);
	state->shift = (uint8_t)now;
	return now != BAD;
}

bool
utf8_is_valid(struct str s)
{
	struct utf8_state state = {0};

	return utf8_feed(&state, s) && utf8_is_whole(&state);
}
