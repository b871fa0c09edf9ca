/* SPDX-License-Identifier: MIT */
/*
 * The strict JSON reader: one pass that makes nothing.
 *
 * Owns the keys of the objects it is inside of, while it runs.
 * Invariant: `at` never passes `end`; it stands on what is wrong when a check
 * fails.
 * Here: grammar, text, numbers, keys.  Not here: values (cJSON makes the tree).
 * Context: any thread.  api_body.c -> [json_check.c]
 */
#include "server/json_check.h"

#include <math.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/utf8.h"
#include "common/word.h"

/* Up to so many keys of one object are compared each with each. */
#define KEYS_PAIRWISE 16
#define KEYS_FIRST 64

struct key {
	struct str text; /* escapes taken off */
	const char *at; /* where it stands */
};

struct reader {
	const char *at, *end;
	const char *what; /* the first thing that is wrong */
	bool is_no_memory;
	unsigned depth_left;
	struct arena arena; /* keys that had escapes */
	struct key *key; /* of all objects around `at` */
	size_t key_count, key_cap;
};

static int reader_value(struct reader *r);

static int
reader_fail(struct reader *r, const char *at, const char *what)
{
	r->at = at;
	r->what = what;
	return -1;
}

static int
reader_no_memory(struct reader *r)
{
	r->is_no_memory = true;
	return -1;
}

/* RFC 8259 2: four bytes are white space, and no others. */
static void
reader_skip_space(struct reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' ||
	    *r->at == '\t' || *r->at == '\r'))
		r->at++;
}

static bool
reader_take(struct reader *r, char byte)
{
	if (r->at == r->end || *r->at != byte)
		return false;
	r->at++;
	return true;
}

static bool
is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

/* Returns false when there is none. */
static bool
reader_digits(struct reader *r)
{
	const char *from = r->at;

	while (r->at < r->end && is_digit(*r->at))
		r->at++;
	return r->at > from;
}

/* What overflows would become infinite in a tree.  text: a checked number. */
static bool
number_is_finite(struct str text)
{
	char copy[JSON_NUMBER_MAX + 1];

	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	return isfinite(strtod(copy, NULL));
}

/* RFC 8259 6: [ minus ] int [ frac ] [ exp ] */
static int
reader_number(struct reader *r)
{
	const char *from = r->at;
	bool has_exponent = false;

	(void)reader_take(r, '-');
	if (reader_take(r, '0')) {
		if (r->at < r->end && is_digit(*r->at))
			return reader_fail(r, from,
			    "a number begins with a zero");
	} else if (!reader_digits(r)) {
		return reader_fail(r, r->at, "a digit is missing");
	}
	if (reader_take(r, '.') && !reader_digits(r))
		return reader_fail(r, r->at, "a digit is missing");
	if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
		has_exponent = true;
		r->at++;
		if (!reader_take(r, '-'))
			(void)reader_take(r, '+');
		if (!reader_digits(r))
			return reader_fail(r, r->at, "a digit is missing");
	}
	if (r->at - from > JSON_NUMBER_MAX)
		return reader_fail(r, from, "a number is too long");
	if (has_exponent &&
	    !number_is_finite(str_from(from, (size_t)(r->at - from))))
		return reader_fail(r, from, "a number is too large");
	return 0;
}

/* The four digits of \uXXXX; -1: they are none. */
static int
reader_unit(struct reader *r)
{
	int unit = 0;

	if (r->end - r->at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = str_hex_digit(r->at[i]);

		if (digit == -1)
			return -1;
		unit = unit << 4 | digit;
	}
	r->at += 4;
	return unit;
}

static int
reader_unicode(struct reader *r, const char *from)
{
	int unit = reader_unit(r), low;

	if (unit == -1)
		return reader_fail(r, from, "four hexadecimal digits must "
		    "follow \\u");
	if (unit == 0)
		return reader_fail(r, from, "U+0000 isn't taken");
	if (unit < 0xd800 || unit > 0xdfff)
		return 0;
	/* RFC 8259 7: past U+FFFF as a pair of surrogates. */
	if (unit < 0xdc00 && reader_take(r, '\\') && reader_take(r, 'u')) {
		low = reader_unit(r);
		if (low >= 0xdc00 && low <= 0xdfff)
			return 0;
	}
	return reader_fail(r, from, "half of a surrogate pair");
}

static int
reader_escape(struct reader *r)
{
	const char *from = r->at++;

	if (r->at == r->end)
		return reader_fail(r, from, "a string doesn't end");
	switch (*r->at++) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return 0;
	case 'u':
		return reader_unicode(r, from);
	default:
		return reader_fail(r, from, "no such escape");
	}
}

/* Which bytes of a word end the run of plain ones: quote, backslash, control
 * and non-ASCII bytes. */
static uint64_t
word_special(uint64_t w)
{
	/* Below 0x20: a borrow can only mark a byte behind a true one. */
	return word_match(w, '"') | word_match(w, '\\') |
	    ((w - WORD_OF(0x20)) & WORD_HIGH) | (w & WORD_HIGH);
}

/* The inside of a string and its closing quote; `at` stands behind the opening
 * one. */
static int
reader_string(struct reader *r, bool *ret_has_escape)
{
	const char *from = r->at - 1;
	size_t n;

	*ret_has_escape = false;
	while (r->at < r->end) {
		if (r->end - r->at >= WORD_BYTES &&
		    word_special(word_load(r->at)) == 0) {
			r->at += WORD_BYTES;
		} else if (*r->at == '"') {
			r->at++;
			return 0;
		} else if (*r->at == '\\') {
			*ret_has_escape = true;
			if (reader_escape(r) == -1)
				return -1;
		} else if ((unsigned char)*r->at < 0x20) {
			return reader_fail(r, r->at,
			    "a control byte in a string");
		} else {
			n = utf8_length(str_from(r->at,
			    (size_t)(r->end - r->at)));
			if (n == 0)
				return reader_fail(r, r->at, "invalid UTF-8");
			r->at += n;
		}
	}
	return reader_fail(r, from, "a string doesn't end");
}

static char *
put_utf8(char *p, unsigned c)
{
	if (c < 0x80) {
		*p++ = (char)c;
	} else if (c < 0x800) {
		*p++ = (char)(0xc0 | c >> 6);
		*p++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*p++ = (char)(0xe0 | c >> 12);
		*p++ = (char)(0x80 | (c >> 6 & 0x3f));
		*p++ = (char)(0x80 | (c & 0x3f));
	} else {
		*p++ = (char)(0xf0 | c >> 18);
		*p++ = (char)(0x80 | (c >> 12 & 0x3f));
		*p++ = (char)(0x80 | (c >> 6 & 0x3f));
		*p++ = (char)(0x80 | (c & 0x3f));
	}
	return p;
}

static unsigned
unit_of(const char *p)
{
	unsigned unit = 0;

	for (int i = 0; i < 4; i++)
		unit = unit << 4 | (unsigned)str_hex_digit(p[i]);
	return unit;
}

/* The character of a checked \uXXXX, pairs included; moves *p behind it. */
static unsigned
unicode_of(const char **p)
{
	unsigned c = unit_of(*p);

	*p += 4;
	if (c < 0xd800 || c > 0xdfff)
		return c;
	c = 0x10000 + ((c - 0xd800) << 10 | (unit_of(*p + 2) - 0xdc00));
	*p += 6;
	return c;
}

/* Escapes are never shorter than what they stand for. */
struct str
json_unescape(struct arena *a, struct str s)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *p = s.p, *end = s.p + s.len, *letter;
	char *out = arena_alloc(a, s.len), *o = out;

	while (out != NULL && p < end) {
		if (*p != '\\') {
			*o++ = *p++;
		} else if (p[1] == 'u') {
			p += 2;
			o = put_utf8(o, unicode_of(&p));
		} else {
			letter = strchr(from, p[1]);
			*o++ = letter != NULL ? to[letter - from] : p[1];
			p += 2;
		}
	}
	return str_from(out, (size_t)(o - out));
}

static int
reader_add_key(struct reader *r, const char *from, bool has_escape)
{
	struct str text = str_from(from, (size_t)(r->at - 1 - from));
	size_t cap = r->key_cap > 0 ? 2 * r->key_cap : KEYS_FIRST;
	struct key *bigger;

	if (has_escape) {
		text = json_unescape(&r->arena, text);
		if (text.p == NULL)
			return reader_no_memory(r);
	}
	if (r->key_count == r->key_cap) {
		bigger = reallocarray(r->key, cap, sizeof(*bigger));
		if (bigger == NULL)
			return reader_no_memory(r);
		r->key = bigger;
		r->key_cap = cap;
	}
	r->key[r->key_count++] = (struct key){text, from - 1};
	return 0;
}

static int
key_compare(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int order;

	if (x->text.len != y->text.len)
		return x->text.len < y->text.len ? -1 : 1;
	order = x->text.len > 0
	    ? memcmp(x->text.p, y->text.p, x->text.len) : 0;
	/* Where they stand, so that a fault is told at the second. */
	return order != 0 ? order : x->at < y->at ? -1 : 1;
}

static const char *
keys_find_twice_few(const struct key *key, size_t count)
{
	for (size_t i = 1; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (str_eq(key[i].text, key[j].text))
				return key[i].at;
	return NULL;
}

/* Sorted, so that many keys cost no more than their comparison: what they are
 * is the client's choice. */
static const char *
keys_find_twice(struct key *key, size_t count)
{
	if (count <= KEYS_PAIRWISE)
		return keys_find_twice_few(key, count);
	qsort(key, count, sizeof(*key), key_compare);
	for (size_t i = 1; i < count; i++)
		if (str_eq(key[i].text, key[i - 1].text))
			return key[i].at;
	return NULL;
}

static int
reader_member(struct reader *r)
{
	const char *from;
	bool has_escape;

	reader_skip_space(r);
	if (!reader_take(r, '"'))
		return reader_fail(r, r->at, "a key is missing");
	from = r->at;
	if (reader_string(r, &has_escape) == -1 ||
	    reader_add_key(r, from, has_escape) == -1)
		return -1;
	reader_skip_space(r);
	if (!reader_take(r, ':'))
		return reader_fail(r, r->at, "a colon is missing");
	return reader_value(r);
}

static int
reader_object(struct reader *r)
{
	size_t first = r->key_count;
	const char *twice;

	reader_skip_space(r);
	if (reader_take(r, '}'))
		return 0;
	do {
		if (reader_member(r) == -1)
			return -1;
		reader_skip_space(r);
	} while (reader_take(r, ','));
	if (!reader_take(r, '}'))
		return reader_fail(r, r->at, "a comma or a } is missing");
	twice = keys_find_twice(r->key + first, r->key_count - first);
	if (twice != NULL)
		return reader_fail(r, twice, "a key stands there twice");
	r->key_count = first;
	return 0;
}

static int
reader_array(struct reader *r)
{
	reader_skip_space(r);
	if (reader_take(r, ']'))
		return 0;
	do {
		if (reader_value(r) == -1)
			return -1;
		reader_skip_space(r);
	} while (reader_take(r, ','));
	if (!reader_take(r, ']'))
		return reader_fail(r, r->at, "a comma or a ] is missing");
	return 0;
}

static int
reader_nested(struct reader *r)
{
	bool is_object = *r->at == '{';
	int result;

	if (r->depth_left == 0)
		return reader_fail(r, r->at, "it is nested too deep");
	r->depth_left--;
	r->at++;
	result = is_object ? reader_object(r) : reader_array(r);
	r->depth_left++;
	return result;
}

static int
reader_word(struct reader *r, struct str word)
{
	if (!str_has_prefix(str_from(r->at, (size_t)(r->end - r->at)), word))
		return reader_fail(r, r->at, "a value is missing");
	r->at += word.len;
	return 0;
}

static int
reader_value(struct reader *r)
{
	bool has_escape;

	reader_skip_space(r);
	if (r->at == r->end)
		return reader_fail(r, r->at, "a value is missing");
	switch (*r->at) {
	case '{':
	case '[':
		return reader_nested(r);
	case '"':
		r->at++;
		return reader_string(r, &has_escape);
	case 't':
		return reader_word(r, STR("true"));
	case 'f':
		return reader_word(r, STR("false"));
	case 'n':
		return reader_word(r, STR("null"));
	default:
		if (*r->at == '-' || is_digit(*r->at))
			return reader_number(r);
		return reader_fail(r, r->at, "a value is missing");
	}
}

static int
reader_text(struct reader *r)
{
	if (str_has_prefix(str_from(r->at, (size_t)(r->end - r->at)),
	    STR("\xef\xbb\xbf")))
		return reader_fail(r, r->at, "a byte order mark");
	if (reader_value(r) == -1)
		return -1;
	reader_skip_space(r);
	if (r->at < r->end)
		return reader_fail(r, r->at, "something follows the value");
	return 0;
}

/* Counts lines and characters up to `at`. */
static void
fault_locate(struct json_fault *fault, const char *p, const char *at)
{
	fault->line = fault->column = 1;
	for (; p < at; p++) {
		if (*p == '\n') {
			fault->line++;
			fault->column = 1;
		} else if (((unsigned char)*p & 0xc0) != 0x80) {
			fault->column++;
		}
	}
}

int
json_check(struct str text, unsigned depth, struct json_fault *ret_fault)
{
	struct reader r = {.at = text.p, .end = text.p + text.len,
	    .depth_left = depth < JSON_DEPTH_MAX ? depth : JSON_DEPTH_MAX};
	int result;

	arena_init(&r.arena, NULL);
	result = reader_text(&r);
	if (result == -1) {
		fault_locate(ret_fault, text.p, r.at);
		ret_fault->what = r.is_no_memory ? NULL : r.what;
	}
	arena_done(&r.arena);
	free(r.key);
	return result;
}
