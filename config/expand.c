/* SPDX-License-Identifier: MIT */
/*
 * Variables of the environment inside a string.
 *
 * Owns nothing.
 *
 * Here: the syntax and getenv.  Not here: where strings come from (node.c).
 * Context: one thread.  Reading order: node.c -> [expand.c].
 */
#include "config/expand.h"

#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

#define NAME_MAX_BYTES 128

static struct str
str_skip(struct str s, size_t bytes)
{
	return str_from(s.p + bytes, s.len - bytes);
}

static size_t
name_length(struct str s)
{
	size_t n = 0;

	while (n < s.len && (s.p[n] == '_' ||
	    (s.p[n] >= 'A' && s.p[n] <= 'Z') ||
	    (s.p[n] >= 'a' && s.p[n] <= 'z') ||
	    (n > 0 && s.p[n] >= '0' && s.p[n] <= '9')))
		n++;
	return n;
}

/* inner: what stands between ${ and }. */
static int
expand_variable(struct str inner, struct buf *out, struct error *err)
{
	char name[NAME_MAX_BYTES];
	const char *value;
	size_t n = name_length(inner);
	bool has_default = n < inner.len;

	if (n == 0 || n >= sizeof(name) || (has_default &&
	    !str_has_prefix(str_skip(inner, n), STR(":-"))))
		return error_set(err, ERROR_INVALID, "\"${%.*s}\" names no "
		    "variable; write \"$${\" for the characters \"${\"",
		    (int)(inner.len < 64 ? inner.len : 64), inner.p);
	if (memmem(inner.p, inner.len, "${", 2) != NULL)
		return error_set(err, ERROR_INVALID, "the default of "
		    "\"${%.*s}\" can't have a variable in it", (int)n,
		    inner.p);
	memcpy(name, inner.p, n);
	name[n] = '\0';
	value = getenv(name);
	if (has_default && (value == NULL || value[0] == '\0')) {
		buf_add(out, str_skip(inner, n + 2));
		return 0;
	}
	if (value == NULL)
		return error_set(err, ERROR_INVALID, "the environment variable "
		    "%s isn't set; set it, or write \"${%s:-default}\"",
		    name, name);
	if (!utf8_is_valid(str_of(value)))
		return error_set(err, ERROR_INVALID,
		    "the environment variable %s isn't UTF-8", name);
	buf_add(out, str_of(value));
	return 0;
}

bool
expand_is_needed(struct str s)
{
	return memmem(s.p, s.len, "${", 2) != NULL;
}

int
expand_text(struct str s, struct buf *out, struct error *err)
{
	size_t end;

	while (s.len > 0) {
		if (str_has_prefix(s, STR("$${"))) {
			buf_add(out, STR("${"));
			s = str_skip(s, 3);
			continue;
		}
		if (!str_has_prefix(s, STR("${"))) {
			buf_add_byte(out, s.p[0]);
			s = str_skip(s, 1);
			continue;
		}
		end = str_find(s, '}');
		if (end == s.len)
			return error_set(err, ERROR_INVALID, "\"${\" has no "
			    "\"}\"; write \"$${\" for the characters \"${\"");
		if (expand_variable(str_from(s.p + 2, end - 2), out,
		    err) == -1)
			return -1;
		s = str_skip(s, end + 1);
	}
	return 0;
}

void
expand_escape(struct str s, struct buf *out)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '$' && i + 1 < s.len && s.p[i + 1] == '{')
			buf_add_byte(out, '$');
		buf_add_byte(out, s.p[i]);
	}
}
