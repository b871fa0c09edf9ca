/* SPDX-License-Identifier: MIT */
/*
 * "static": files of a folder.
 *
 * The tail of the pattern names the file; a pattern without one serves its own
 * path.  A folder is answered with its index, or, without the slash at its
 * end, with a redirect to it.  Names that begin with a dot are not there, but
 * for ".well-known" (RFC 8615), and nothing outside the folder is.
 *
 * Owns the cache of open files.  A file is lent to its response, which holds a
 * reference until it has been sent.
 * Here: names, types, fields.  Not here: opening (beneath.c, file_cache.c),
 * sending (http1_send.c).
 * Context: the loop's thread; a cold file may hold it for a disk's time.
 */
#include <errno.h>
#include <stdlib.h>

#include "server/handler.h"
#include "server/handlers/file_cache.h"
#include "server/handlers/location.h"
#include "server/handlers/types.h"
#include "server/pattern.h"

struct static_files {
	const struct config_route *cfg;
	struct file_cache *cache;
	bool has_tail;
};

static int
static_setup(const struct config_route *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct static_files *st;
	struct pattern pattern;

	if (pattern_parse(cfg->path, &pattern, err) == -1)
		return -1;
	if ((st = calloc(1, sizeof(*st))) == NULL)
		return error_nomem(err, "handler");
	st->cfg = cfg;
	st->has_tail =
	    pattern.piece[pattern.piece_count - 1].kind == PATTERN_TAIL;
	st->cache = file_cache_new(cfg->stat.root.p, err);
	if (st->cache == NULL) {
		free(st);
		return -1;
	}
	*ret_state = st;
	return 0;
}

static void
static_teardown(void *state)
{
	struct static_files *st = state;

	if (st == NULL)
		return;
	file_cache_free(st->cache);
	free(st);
}

/* The path below the folder. */
static struct str
static_path(const struct request *r, const struct static_files *st)
{
	const struct route_match *m = &r->head->match;

	if (st->has_tail)
		return m->value[m->param_count - 1];
	return str_from(r->head->path.p + 1, r->head->path.len - 1);
}

static bool
static_is_hidden(struct str path)
{
	struct str segment;
	bool is_first = true;

	while (str_cut(&path, '/', &segment)) {
		if (segment.len > 0 && segment.p[0] == '.' &&
		    !(is_first && str_eq(segment, STR(".well-known"))))
			return true;
		is_first = false;
	}
	return false;
}

static struct str
static_type(const struct static_files *st, struct str path)
{
	const struct config_fields *types = &st->cfg->stat.types;
	struct str ending = type_ending(path), type;
	size_t i;

	for (i = 0; i < types->count; i++)
		if (str_eq_nocase(types->item[i].name, ending))
			return types->item[i].value;
	type = type_find(ending);
	return type.p != NULL ? type : st->cfg->stat.default_type;
}

static int
static_refuse(struct request *r, int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
	case ENAMETOOLONG:
	case ENXIO:		/* a socket */
	case ELOOP:		/* these two lead out of the folder */
	case EXDEV:
		return response_error(r, 404, "no such file");
	case EACCES:
	case EPERM:
		return response_error(r, 403, "this file can't be read");
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return response_error(r, 503, "too many open files");
	default:
		return -error;
	}
}

/* A folder without its slash: links in its index would lead astray. */
static int
static_add_slash(struct request *r)
{
	struct str path = r->head->path, query = r->head->query;
	char *to = arena_alloc(&r->arena, 3 * path.len + 2 + query.len);
	size_t len;

	if (to == NULL)
		return -ENOMEM;
	len = location_escape(path, to);
	to[len++] = '/';
	if (query.len > 0) {
		to[len++] = '?';
		memcpy(to + len, query.p, query.len);
		len += query.len;
	}
	return response_redirect(r, 301, str_from(to, len));
}

/* f: a reference, taken. */
static int
static_send(struct request *r, struct file *f)
{
	if (arena_defer(&r->arena, file_unref, f) == -1 ||
	    response_add_checked(r, STR("Last-Modified"), f->modified) == -1 ||
	    response_add_checked(r, STR("ETag"), f->etag) == -1)
		return -ENOMEM;
	return response_file_lent(r, 200, f->type,
	    &(struct file_range){f->fd, 0, f->size});
}

/* Returns 0, or an errno. */
static int
static_get(struct request *r, const struct static_files *st, struct str path,
    struct file **ret_file)
{
	int error = file_cache_get(st->cache, path,
	    request_now_ns(r) / 1000000, ret_file);

	if (error == 0 && (*ret_file)->type.p == NULL)
		(*ret_file)->type = static_type(st, path);
	return error;
}

static int
static_run_index(struct request *r, const struct static_files *st,
    struct str folder)
{
	const struct config_strings *index = &st->cfg->stat.index;
	struct file *f;
	int error = ENOENT;
	size_t i;

	for (i = 0; i < index->count && error == ENOENT; i++) {
		struct str path = arena_printf(&r->arena, "%.*s%.*s",
		    STR_FMT(folder), STR_FMT(index->item[i]));

		if (path.p == NULL)
			return -ENOMEM;
		if ((error = static_get(r, st, path, &f)) == 0)
			return static_send(r, f);
	}
	return static_refuse(r, error);
}

static int
static_run(struct request *r, const void *state)
{
	const struct static_files *st = state;
	struct str path = static_path(r, st);
	struct file *f;
	int error;

	if (static_is_hidden(path))
		return static_refuse(r, ENOENT);
	if (path.len == 0 || path.p[path.len - 1] == '/')
		return static_run_index(r, st, path);
	error = static_get(r, st, path, &f);
	if (error == EISDIR)
		return static_add_slash(r);
	return error == 0 ? static_send(r, f) : static_refuse(r, error);
}

const struct handler handler_static = {
	.name = "static",
	.methods = METHOD_BIT(METHOD_GET),
	.setup = static_setup,
	.teardown = static_teardown,
	.run = static_run,
};
