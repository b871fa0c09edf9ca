/* SPDX-License-Identifier: MIT */
/*
 * "redirect": sends the client elsewhere, with parameters of the pattern put
 * into the target.
 *
 *	"path": "/old/{id}", "to": "/new/{id}"
 *
 * Owns the target, taken apart at setup into literals and parameters.  Values
 * come from the client: they are percent-encoded, and the target always begins
 * with a literal, so that no path can name another server.
 *
 * Here: Location.  Not here: status rules (config/table.c).
 * Context: the loop's thread.
 */
#include <errno.h>
#include <stdlib.h>

#include "server/handler.h"
#include "server/handlers/location.h"
#include "server/pattern.h"

/* A literal and the parameter behind it, if any. */
struct redirect_piece {
	struct str text;
	int param;			/* its index, or -1 */
};

struct redirect {
	int status;
	bool keep_query;
	char query_sep;			/* '?', or '&' behind its own */
	size_t piece_count;
	struct redirect_piece piece[ROUTE_PARAMS_MAX + 1];
	struct str fragment;		/* behind the query; with its '#' */
};

static int
redirect_check(const struct config_route *cfg, struct error *err)
{
	struct str to = cfg->redirect.to;

	if (to.len == 0 || to.p[0] == '{')
		return error_set(err, ERROR_INVALID,
		    "to: must begin with a literal, as \"/\" or \"https://\"");
	if (!is_field_value(to))
		return error_set(err, ERROR_INVALID,
		    "to: has control bytes");
	return 0;
}

/* Takes the target apart: text, "{name}", text, ... */
static int
redirect_parse(struct redirect *st, struct str to,
    const struct pattern *pattern, struct error *err)
{
	struct str name, rest = to;
	struct redirect_piece *piece;

	while (rest.len > 0) {
		if (st->piece_count == ROUTE_PARAMS_MAX + 1)
			return error_set(err, ERROR_INVALID,
			    "to: more than %d parameters", ROUTE_PARAMS_MAX);
		piece = &st->piece[st->piece_count++];
		piece->text = str_from(rest.p, str_find(rest, '{'));
		piece->param = -1;
		if (piece->text.len == rest.len)
			break;
		name = str_from(rest.p + piece->text.len + 1,
		    rest.len - piece->text.len - 1);
		name.len = str_find(name, '}');
		piece->param = pattern_find_name(pattern, name);
		if (piece->param == -1)
			return error_set(err, ERROR_INVALID,
			    "to: the path has no parameter '%.*s'",
			    STR_FMT(name));
		rest.len -= (size_t)(name.p + name.len + 1 - rest.p);
		rest.p = name.p + name.len + 1;
	}
	return 0;
}

static int
redirect_setup(const struct config_route *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct str to = cfg->redirect.to;
	struct pattern pattern;
	struct redirect *st;

	if (redirect_check(cfg, err) == -1 ||
	    pattern_parse(cfg->path, &pattern, err) == -1)
		return -1;
	if ((st = calloc(1, sizeof(*st))) == NULL)
		return error_nomem(err, "handler");
	st->status = cfg->redirect.status;
	st->keep_query = cfg->redirect.keep_query;
	st->fragment = str_from(to.p + str_find(to, '#'),
	    to.len - str_find(to, '#'));
	to.len -= st->fragment.len;
	st->query_sep = str_find(to, '?') < to.len ? '&' : '?';
	if (redirect_parse(st, to, &pattern, err) == -1) {
		free(st);
		return -1;
	}
	*ret_state = st;
	return 0;
}

/* Appends to a text that is only measured while out is NULL. */
static size_t
redirect_append(char *out, size_t at, struct str text)
{
	if (out != NULL)
		memcpy(out + at, text.p, text.len);
	return at + text.len;
}

static size_t
redirect_write(const struct redirect *st, const struct head *h, char *out)
{
	size_t i, len = 0;

	for (i = 0; i < st->piece_count; i++) {
		const struct redirect_piece *piece = &st->piece[i];

		len = redirect_append(out, len, piece->text);
		if (piece->param != -1)
			len += location_escape(h->match.value[piece->param],
			    out != NULL ? out + len : NULL);
	}
	if (st->keep_query && h->query.len > 0) {
		len = redirect_append(out, len, str_from(&st->query_sep, 1));
		len = redirect_append(out, len, h->query);
	}
	return redirect_append(out, len, st->fragment);
}

static int
redirect_run(struct request *r, const void *state)
{
	const struct redirect *st = state;
	size_t len = redirect_write(st, r->head, NULL);
	char *to = arena_alloc(&r->arena, len);

	if (to == NULL)
		return -ENOMEM;
	redirect_write(st, r->head, to);
	return response_redirect(r, st->status, str_from(to, len));
}

const struct handler handler_redirect = {
	.name = "redirect",
	.methods = METHOD_ALL & ~METHOD_BIT(METHOD_OPTIONS),
	.setup = redirect_setup,
	.teardown = free,
	.run = redirect_run,
};
