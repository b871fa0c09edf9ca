/* SPDX-License-Identifier: MIT */
/*
 * "Did you mean": the known word closest to a mistyped one.
 *
 * Owns nothing.  Closeness is the edit distance of Damerau and Levenshtein
 * (insert, delete, replace, swap two neighbours), ASCII case ignored; a third
 * of the word's length, at least one edit, is still a slip of the finger.
 *
 * Here: the distance.  Not here: which words are known (table.c).
 * Context: pure functions.  Reading order: read.c -> [suggest.c].
 */
#include "config/suggest.h"

#define WORD_MAX 48

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t
min3(size_t a, size_t b, size_t c)
{
	if (b < a)
		a = b;
	return c < a ? c : a;
}

/* Both at most WORD_MAX long. */
static size_t
edit_distance(struct str a, struct str b)
{
	size_t d[WORD_MAX + 1][WORD_MAX + 1];
	size_t i, j;
	char x, y;

	for (i = 0; i <= a.len; i++)
		d[i][0] = i;
	for (j = 0; j <= b.len; j++)
		d[0][j] = j;
	for (i = 1; i <= a.len; i++) {
		for (j = 1; j <= b.len; j++) {
			x = lower(a.p[i - 1]);
			y = lower(b.p[j - 1]);
			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1,
			    d[i - 1][j - 1] + (x != y));
			if (i > 1 && j > 1 && x == lower(b.p[j - 2]) &&
			    y == lower(a.p[i - 2]) &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[a.len][b.len];
}

void
suggest_try(struct suggest *s, const char *known)
{
	struct str other = str_of(known);
	size_t allowed = other.len / 3, distance;

	if (s->word.len > WORD_MAX || other.len > WORD_MAX)
		return;
	if (allowed < 1)
		allowed = 1;
	distance = edit_distance(s->word, other);
	if (distance > allowed ||
	    (s->best != NULL && distance >= s->distance))
		return;
	s->best = known;
	s->distance = distance;
}
