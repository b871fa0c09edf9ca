/* SPDX-License-Identifier: MIT */
/*
 * Field values with parameters.
 *
 * Owns nothing.  Here: syntax.  Not here: what a parameter means.
 * Context: a worker's loop.
 */
#include "server/media_type.h"

#include "server/http.h"

struct str
media_type(struct str *rest)
{
	struct str type;

	if (!str_cut(rest, ';', &type))
		return str_from(NULL, 0);
	return str_trim(type);
}

/* The text of a quoted string, which `s` is the inside of. */
static enum media_result
media_unquote(struct str s, struct arena *a, struct str *ret_text)
{
	char *out;
	size_t i, n = 0;

	if (str_find(s, '\\') == s.len) {
		*ret_text = s;
		return MEDIA_PARAM;
	}
	out = arena_alloc(a, s.len);
	if (out == NULL)
		return MEDIA_NO_MEMORY;
	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '\\' && i + 1 < s.len &&
		    (s.p[i + 1] == '"' || s.p[i + 1] == '\\'))
			i++;
		out[n++] = s.p[i];
	}
	*ret_text = str_from(out, n);
	return MEDIA_PARAM;
}

/* The index of the quote that ends a string, or s.len. */
static size_t
media_quote_end(struct str s)
{
	size_t i;

	for (i = 0; i < s.len && s.p[i] != '"'; i++) {
		if (s.p[i] == '\\' && i + 1 < s.len &&
		    (s.p[i + 1] == '"' || s.p[i + 1] == '\\'))
			i++;
	}
	return i;
}

static enum media_result
media_quoted(struct str *rest, struct arena *a, struct str *ret_value)
{
	struct str inside = str_from(rest->p + 1, rest->len - 1), behind;
	size_t end = media_quote_end(inside);

	if (end == inside.len)
		return MEDIA_BAD;
	behind = str_from(inside.p + end + 1, inside.len - end - 1);
	inside.len = end;
	*rest = behind;
	/* Up to the next ";" there is nothing but white space. */
	if (!str_cut(rest, ';', &behind) || str_trim(behind).len > 0)
		return MEDIA_BAD;
	return media_unquote(inside, a, ret_value);
}

enum media_result
media_param_next(struct str *rest, struct arena *a, struct str *ret_name,
    struct str *ret_value)
{
	struct str s;
	size_t at;

	do {
		if (rest->p == NULL)
			return MEDIA_END;
		s = str_trim(*rest);
		*rest = s;
		if (s.len == 0)
			*rest = str_from(NULL, 0);
		else if (s.p[0] == ';')
			*rest = str_from(s.p + 1, s.len - 1);
	} while (s.len == 0 || s.p[0] == ';');
	for (at = 0; at < s.len && s.p[at] != '=' && s.p[at] != ';'; at++)
		continue;
	*ret_name = str_trim(str_from(s.p, at));
	if (at == s.len || s.p[at] != '=' || !is_token(*ret_name))
		return MEDIA_BAD;
	*rest = str_from(s.p + at + 1, s.len - at - 1);
	if (rest->len > 0 && rest->p[0] == '"')
		return media_quoted(rest, a, ret_value);
	(void)str_cut(rest, ';', ret_value);
	*ret_value = str_trim(*ret_value);
	return MEDIA_PARAM;
}

struct str
media_param_find(struct str field, struct str name, struct arena *a)
{
	struct str key, value;

	(void)media_type(&field);
	while (media_param_next(&field, a, &key, &value) == MEDIA_PARAM) {
		if (str_eq_nocase(key, name))
			return value;
	}
	return str_from(NULL, 0);
}

bool
media_type_is(struct str field, struct str type)
{
	return str_eq_nocase(media_type(&field), type);
}

bool
media_type_is_json(struct str field)
{
	struct str type = media_type(&field), end;

	if (str_eq_nocase(type, STR("application/json")))
		return true;
	if (type.len <= 5)
		return false;
	end = str_from(type.p + type.len - 5, 5);
	return str_eq_nocase(end, STR("+json"));
}
