/* SPDX-License-Identifier: MIT */
/*
 * A slice of somebody else's bytes: pointer and length, no terminator, nothing
 * owned.  Whoever hands out a slice says until when it is lent.
 *
 *	struct str path = STR("/hello"), head, tail = path;
 *	while (str_cut(&tail, '/', &head))
 *		segment(head);
 *
 * Context: any process, any thread.  A slice may hold any byte, NUL included;
 * {NULL, 0} is the empty slice that str_is_null() tells from "".
 */
#ifndef CORELANE_COMMON_STR_H
#define CORELANE_COMMON_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t len;
};

/* A slice of a string literal, usable as an initialiser's value. */
#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
/* The same where a constant expression is needed: static tables. */
#define STR_INIT(literal) {"" literal, sizeof(literal) - 1}
/* For "%.*s". */
#define STR_FMT(s) (int)(s).len, (s).p

static inline struct str
str_from(const char *p, size_t len)
{
	return (struct str){p, len};
}

/* The slice of a NUL-terminated string without its NUL; NULL gives {NULL,0}. */
static inline struct str
str_of(const char *cstr)
{
	return (struct str){cstr, cstr != NULL ? strlen(cstr) : 0};
}

static inline bool
str_is_null(struct str s)
{
	return s.p == NULL;
}

static inline bool
str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* ASCII case only: what RFC 9110 means by case-insensitive. */
bool str_eq_nocase(struct str a, struct str b);
bool str_has_prefix(struct str s, struct str prefix);
bool str_has_suffix(struct str s, struct str suffix);

/* Byte order, a shorter prefix first: <0, 0, >0. */
int str_cmp(struct str a, struct str b);

/* Without the spaces and tabs at both ends (RFC 9110 5.6.3 OWS). */
struct str str_trim(struct str s);

/* The index of `byte`, or s.len where there is none. */
size_t str_find(struct str s, char byte);

/*
 * Takes the part of `rest` before the first `sep` into `ret_head` and moves
 * `rest` past the separator.  The last part comes without a separator; after
 * it `rest` is {NULL, 0}.  Returns false when `rest` was {NULL, 0}: done.
 */
bool str_cut(struct str *rest, char sep, struct str *ret_head);

/*
 * Takes the next element of a comma-separated list (RFC 9110 5.6.1), trimmed,
 * skipping empty ones.  Returns false when there is none left.
 */
bool str_list_next(struct str *rest, struct str *ret_item);

/* Whether a comma-separated list holds `token`, ASCII case ignored. */
bool str_list_has(struct str list, struct str token);

/*
 * Decimal digits only, the whole slice, no sign, no space.  Returns 0, or -1
 * with *ret_value untouched on anything else, overflow included.
 */
int str_to_u64(struct str s, uint64_t *ret_value);

/* The value of a hexadecimal digit of either case, or -1. */
static inline int
str_hex_digit(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* FNV-1a, 64 bit: for tables whose keys don't come from clients. */
uint64_t str_hash(struct str s);

#endif
