/* SPDX-License-Identifier: MIT */
/*
 * Slices: comparing, cutting, and the lists and numbers of header fields.
 *
 * Owns nothing.
 * Here: bytes in memory.  Not here: encodings (percent.c, utf8.c).
 * Context: pure functions.
 */
#include "common/str.h"

#include "common/word.h"

static char
str_byte_lower(char byte)
{
	return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

static bool
str_word_eq_nocase(const char *a, const char *b)
{
	uint64_t x = word_load(a), y = word_load(b);

	return x == y || word_lower(x) == word_lower(y);
}

bool
str_eq_nocase(struct str a, struct str b)
{
	size_t i = 0;

	if (a.len != b.len)
		return false;
	if (a.len < WORD_BYTES) {
		for (; i < a.len; i++) {
			if (str_byte_lower(a.p[i]) != str_byte_lower(b.p[i]))
				return false;
		}
		return true;
	}
	for (; i + WORD_BYTES < a.len; i += WORD_BYTES) {
		if (!str_word_eq_nocase(a.p + i, b.p + i))
			return false;
	}
	/* The last word overlaps the one before: no rest of single bytes. */
	i = a.len - WORD_BYTES;
	return str_word_eq_nocase(a.p + i, b.p + i);
}

bool
str_has_prefix(struct str s, struct str prefix)
{
	return s.len >= prefix.len && str_eq(str_from(s.p, prefix.len), prefix);
}

bool
str_has_suffix(struct str s, struct str suffix)
{
	if (suffix.len == 0)
		return true;
	return s.len >= suffix.len &&
	    str_eq(str_from(s.p + s.len - suffix.len, suffix.len), suffix);
}

int
str_cmp(struct str a, struct str b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common > 0 ? memcmp(a.p, b.p, common) : 0;

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool
str_byte_is_ows(char byte)
{
	return byte == ' ' || byte == '\t';
}

struct str
str_trim(struct str s)
{
	while (s.len > 0 && str_byte_is_ows(s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && str_byte_is_ows(s.p[s.len - 1]))
		s.len--;
	return s;
}

size_t
str_find(struct str s, char byte)
{
	const char *at = s.len > 0 ? memchr(s.p, byte, s.len) : NULL;

	return at != NULL ? (size_t)(at - s.p) : s.len;
}

bool
str_cut(struct str *rest, char sep, struct str *ret_head)
{
	size_t at;

	if (str_is_null(*rest))
		return false;
	at = str_find(*rest, sep);
	*ret_head = str_from(rest->p, at);
	if (at == rest->len)
		*rest = (struct str){NULL, 0};
	else
		*rest = str_from(rest->p + at + 1, rest->len - at - 1);
	return true;
}

bool
str_list_next(struct str *rest, struct str *ret_item)
{
	struct str item;

	while (str_cut(rest, ',', &item)) {
		item = str_trim(item);
		if (item.len == 0)
			continue;
		*ret_item = item;
		return true;
	}
	return false;
}

bool
str_list_has(struct str list, struct str token)
{
	struct str item;

	while (str_list_next(&list, &item)) {
		if (str_eq_nocase(item, token))
			return true;
	}
	return false;
}

int
str_to_u64(struct str s, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (s.len == 0)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned)(uint8_t)s.p[i] - '0';

		if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return -1;
	}
	*ret_value = value;
	return 0;
}

uint64_t
str_hash(struct str s)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ (uint8_t)s.p[i]) * UINT64_C(1099511628211);
	return hash;
}
