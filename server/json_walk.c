/* SPDX-License-Identifier: MIT */
/*
 * Checked JSON, walked: see json_walk.h.
 *
 * Owns nothing.  Invariant: what is walked has passed json_check(), so every
 * string and bracket that begins has an end.
 * Here: slices.  Not here: whether it is JSON (json_check.c).
 * Context: any thread.
 */
#include "server/json_walk.h"

#include "server/json_check.h"

static void
walk_space(struct json_walk *w)
{
	while (w->at < w->end && (*w->at == ' ' || *w->at == '\n' ||
	    *w->at == '\t' || *w->at == '\r'))
		w->at++;
}

/* Behind the string that begins at `p`. */
static const char *
walk_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		p += *p == '\\';
	return p < end ? p + 1 : end;
}

/* Behind the value that begins at `p`. */
static const char *
walk_value(const char *p, const char *end)
{
	unsigned depth = 0;

	if (p < end && *p == '"')
		return walk_string(p, end);
	if (p == end || (*p != '{' && *p != '[')) {
		while (p < end && strchr(",]} \n\t\r", *p) == NULL)
			p++;
		return p;
	}
	do {
		if (*p == '"') {
			p = walk_string(p, end);
			continue;
		}
		if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
			depth--;
		p++;
	} while (depth > 0 && p < end);
	return p;
}

char
json_kind(struct str value)
{
	char first = value.len > 0 ? value.p[0] : 'n';

	return strchr("{[\"tfn", first) != NULL ? first : '0';
}

void
json_walk_init(struct json_walk *w, struct str value)
{
	*w = (struct json_walk){value.p, value.p + value.len};
	walk_space(w);
	if (w->at < w->end)
		w->at++;	/* the bracket */
}

bool
json_walk_item(struct json_walk *w, struct str *ret_value)
{
	const char *from;

	walk_space(w);
	if (w->at < w->end && *w->at == ',') {
		w->at++;
		walk_space(w);
	}
	if (w->at == w->end || *w->at == ']' || *w->at == '}')
		return false;
	from = w->at;
	w->at = walk_value(from, w->end);
	*ret_value = str_from(from, (size_t)(w->at - from));
	return true;
}

bool
json_walk_member(struct json_walk *w, struct arena *a, struct str *ret_key,
    struct str *ret_value)
{
	struct str key;

	if (!json_walk_item(w, &key))
		return false;
	*ret_key = json_text(key, a);
	walk_space(w);
	if (w->at < w->end)
		w->at++;	/* the colon */
	return json_walk_item(w, ret_value);
}

struct str
json_text(struct str value, struct arena *a)
{
	struct str inside;

	if (value.len < 2 || value.p[0] != '"')
		return str_from(NULL, 0);
	inside = str_from(value.p + 1, value.len - 2);
	return str_find(inside, '\\') == inside.len ? inside :
	    json_unescape(a, inside);
}

int
json_u64(struct str value, uint64_t *ret_value)
{
	return str_to_u64(value, ret_value);
}
