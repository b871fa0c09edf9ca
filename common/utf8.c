/* SPDX-License-Identifier: MIT */
/*
 * UTF-8, checked one character at a time against the table of RFC 3629 4.
 *
 * Owns nothing.
 * Here: the length of one character.  Not here: what replaces a bad one.
 * Context: pure functions; buf.c and log.c call them.
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

bool
utf8_is_valid(struct str s)
{
	while (s.len > 0) {
		size_t n;

		if (s.len >= WORD_BYTES && (word_load(s.p) & WORD_HIGH) == 0)
			n = WORD_BYTES;
		else if ((n = utf8_length(s)) == 0)
			return false;
		s.p += n;
		s.len -= n;
	}
	return true;
}
