/* SPDX-License-Identifier: MIT */
/*
 * Reads the pattern of a route.
 *
 * Owns nothing; a pattern's slices are those of its text.
 * Here: one function per part of the syntax, and a sentence for each mistake.
 * Not here: the tree (route.c), compiling expressions (route.c).
 * Context: at load, in any process.
 */
#include "server/pattern.h"

#include <stdbool.h>

/* What is still to be read, and what has been. */
struct reader {
	struct str rest;
	struct pattern *pattern;
	struct error *err;
};

int
pattern_find_name(const struct pattern *p, struct str name)
{
	size_t i;

	for (i = 0; i < p->name_count; i++)
		if (str_eq(p->name[i], name))
			return (int)i;
	return -1;
}

static bool
name_is_good(struct str name)
{
	size_t i;

	for (i = 0; i < name.len; i++) {
		char c = name.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && c != '_' && c != '-')
			return false;
	}
	return name.len > 0;
}

static void
pattern_add(struct pattern *p, enum pattern_kind kind, struct str text)
{
	p->piece[p->piece_count++] = (struct pattern_piece){kind, text};
}

/* Text up to the next parameter. */
static int
literal_read(struct reader *rd)
{
	struct str text = str_from(rd->rest.p, str_find(rd->rest, '{'));
	size_t i;

	for (i = 0; i < text.len; i++) {
		if (text.p[i] == '}')
			return error_set(rd->err, ERROR_INVALID,
			    "a '}' without its '{'");
		if (text.p[i] == '?' || text.p[i] == '#')
			return error_set(rd->err, ERROR_INVALID,
			    "a path ends before '%c': match the path alone",
			    text.p[i]);
		if (text.p[i] == '/' && i > 0 && text.p[i - 1] == '/')
			return error_set(rd->err, ERROR_INVALID,
			    "'//' never matches: paths are normalised first");
	}
	rd->rest.p += text.len;
	rd->rest.len -= text.len;
	pattern_add(rd->pattern, PATTERN_LITERAL, text);
	return 0;
}

/* The length of "{...}", braces inside the expression counted, or 0. */
static size_t
param_len(struct str s)
{
	size_t i, depth = 0;

	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '{')
			depth++;
		else if (s.p[i] == '}' && --depth == 0)
			return i + 1;
	}
	return 0;
}

static int
param_add(struct reader *rd, struct str name, struct str expression)
{
	struct pattern *p = rd->pattern;
	bool is_last = rd->rest.len == 0;

	if (!name_is_good(name))
		return error_set(rd->err, ERROR_INVALID,
		    "'%.*s' is no name for a parameter: use letters, digits, "
		    "'_' and '-'", STR_FMT(name));
	if (pattern_find_name(p, name) != -1)
		return error_set(rd->err, ERROR_INVALID,
		    "the parameter '%.*s' comes twice", STR_FMT(name));
	if (p->name_count == ROUTE_PARAMS_MAX)
		return error_set(rd->err, ERROR_INVALID,
		    "more than %d parameters", ROUTE_PARAMS_MAX);
	p->name[p->name_count++] = name;
	if (str_is_null(expression))
		pattern_add(p, PATTERN_PLAIN, STR(""));
	else if (!str_eq(expression, STR(".*")))
		pattern_add(p, PATTERN_EXPRESSION, expression);
	else if (is_last)
		pattern_add(p, PATTERN_TAIL, STR(""));
	else
		return error_set(rd->err, ERROR_INVALID,
		    "'{%.*s:.*}' matches all the rest and must come last",
		    STR_FMT(name));
	return 0;
}

/* "{name}" or "{name:expression}", up to the next '/' or the end. */
static int
param_read(struct reader *rd)
{
	size_t len = param_len(rd->rest);
	struct str inside, name, expression;

	if (len == 0)
		return error_set(rd->err, ERROR_INVALID,
		    "a '{' without its '}'");
	inside = str_from(rd->rest.p + 1, len - 2);
	rd->rest.p += len;
	rd->rest.len -= len;
	if (rd->rest.len > 0 && rd->rest.p[0] != '/')
		return error_set(rd->err, ERROR_INVALID,
		    "a parameter is a whole segment: '/' must follow '{%.*s}'",
		    STR_FMT(inside));
	name = str_from(inside.p, str_find(inside, ':'));
	if (name.len == inside.len)
		expression = str_from(NULL, 0);
	else
		expression = str_from(inside.p + name.len + 1,
		    inside.len - name.len - 1);
	return param_add(rd, name, expression);
}

int
pattern_parse(struct str text, struct pattern *ret_pattern, struct error *err)
{
	struct reader rd = {text, ret_pattern, err};

	if (text.len == 0 || text.p[0] != '/')
		return error_set(err, ERROR_INVALID,
		    "a path must start with '/'");
	ret_pattern->piece_count = ret_pattern->name_count = 0;
	while (rd.rest.len > 0) {
		if (literal_read(&rd) == -1)
			return -1;
		if (rd.rest.len == 0)
			break;
		if (rd.rest.p[-1] != '/')
			return error_set(err, ERROR_INVALID,
			    "a parameter is a whole segment: write '/' before "
			    "its '{'");
		if (param_read(&rd) == -1)
			return -1;
	}
	return 0;
}
