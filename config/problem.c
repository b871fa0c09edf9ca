/* SPDX-License-Identifier: MIT */
/*
 * The list of what is wrong with a file.
 *
 * Owns the lines of struct config_problems; they are in the order of the file,
 * whatever order they were found in, and there are CONFIG_PROBLEMS_MAX at most.
 *
 * Here: format, order, bound.  Not here: what is checked.
 * Context: any process, one thread.  Reading order: read.c -> [problem.c].
 */
#include "config/problem.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/utf8.h"

/* A problem quotes the file, and is shown on a terminal: what would end the
 * line or move the cursor becomes a question mark. */
static char *
problem_clean(char *text)
{
	struct str s;
	size_t n;

	if (text == NULL)
		return NULL;
	for (s = str_of(text); s.len > 0; s = str_from(s.p + n, s.len - n)) {
		unsigned char c = (unsigned char)s.p[0];

		n = utf8_length(s);
		if (n == 0)
			n = 1;
		else if (c >= 0x20 && c != 0x7f && (c != 0xc2 ||
		    (unsigned char)s.p[1] >= 0xa0))
			continue;
		memset(text + (s.p - text), '?', n);
	}
	return text;
}

/* "file:line:column: path: text", without what isn't known. */
static __attribute__((format(printf, 4, 0))) char *
problem_format(struct report *r, struct config_pos pos, const char *path,
    const char *fmt, va_list ap)
{
	struct buf b;

	buf_init(&b, 0);
	buf_printf(&b, "%s:", r->file);
	if (pos.line != 0)
		buf_printf(&b, "%u:%u:", pos.line, pos.column);
	buf_add_byte(&b, ' ');
	if (path != NULL && path[0] != '\0')
		buf_printf(&b, "%s: ", path);
	buf_vprintf(&b, fmt, ap);
	return problem_clean(buf_take(&b));
}

static bool
pos_is_before(struct config_pos a, struct config_pos b)
{
	return a.line != b.line ? a.line < b.line : a.column < b.column;
}

static int
problem_insert(struct config_problems *ps, struct config_pos pos, char *text)
{
	char **item;
	struct config_pos *places;
	size_t i;

	item = reallocarray(ps->item, ps->count + 1, sizeof(*item));
	if (item == NULL)
		return -1;
	ps->item = item;
	places = reallocarray(ps->pos, ps->count + 1, sizeof(*places));
	if (places == NULL)
		return -1;
	ps->pos = places;
	for (i = ps->count; i > 0 && pos_is_before(pos, places[i - 1]); i--) {
		item[i] = item[i - 1];
		places[i] = places[i - 1];
	}
	item[i] = text;
	places[i] = pos;
	ps->count++;
	return 0;
}

void
report_at_v(struct report *r, struct config_pos pos, const char *path,
    const char *fmt, va_list ap)
{
	char *text;

	if (r->problems->count == CONFIG_PROBLEMS_MAX) {
		r->problems->dropped++;
		return;
	}
	text = problem_format(r, pos, path, fmt, ap);
	if (text == NULL || problem_insert(r->problems, pos, text) == -1) {
		free(text);
		r->problems->dropped++;
	}
}

void
report_at(struct report *r, struct config_pos pos, const char *path,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_at_v(r, pos, path, fmt, ap);
	va_end(ap);
}

void
config_problem_add(struct config_problems *problems, const struct config *cfg,
    struct config_pos pos, const char *path, const char *fmt, ...)
{
	struct report r = {.problems = problems, .file = cfg->name.p};
	va_list ap;

	va_start(ap, fmt);
	report_at_v(&r, pos, path, fmt, ap);
	va_end(ap);
}

void
config_problems_done(struct config_problems *problems)
{
	size_t i;

	for (i = 0; i < problems->count; i++)
		free(problems->item[i]);
	free(problems->item);
	free(problems->pos);
	*problems = (struct config_problems){0};
}
