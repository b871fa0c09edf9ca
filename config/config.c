/* SPDX-License-Identifier: MIT */
/*
 * A configuration's life: loaded, shared by reference, freed.
 *
 * Owns the arena that everything in a struct config lives in, and the count of
 * references to it.
 *
 * Here: the way from a path to a config.  Not here: any key (table*.c).
 * Context: any process, one thread while loading.
 * Reading order: [config.c] -> node.c -> scan.c, then read.c -> value.c; what
 * there is to read is in table.c.
 */
#include "config/config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/field.h"
#include "config/file.h"
#include "config/node.h"

/* The config comes first: a pointer to it is one to its holder. */
struct holder {
	struct config config;
	struct arena arena;
	unsigned refs;
};

static struct holder *
holder_new(void)
{
	struct holder *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	arena_init(&h->arena, NULL);
	h->refs = 1;
	return h;
}

struct config *
config_ref(struct config *cfg)
{
	((struct holder *)cfg)->refs++;
	return cfg;
}

void
config_unref(struct config *cfg)
{
	struct holder *h = (struct holder *)cfg;

	if (h == NULL || --h->refs > 0)
		return;
	arena_done(&h->arena);
	free(h);
}

/* The folder of a file, absolute and without symbolic links. */
static struct str
folder_of(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX], real[PATH_MAX];
	size_t len = slash != NULL ? (size_t)(slash - path) + 1 : 0;

	if (len + 2 > sizeof(folder))	/* "." and a NUL follow */
		return (struct str){NULL, 0};
	memcpy(folder, path, len);
	memcpy(folder + len, ".", 2);
	if (realpath(folder, real) == NULL)
		return (struct str){NULL, 0};
	return arena_copy(a, str_of(real));
}

/* Sets what names the config itself: name, file, folder. */
static int
holder_set_names(struct holder *h, const char *name, const char *path,
    struct str *ret_folder)
{
	const char *base = strrchr(path, '/');
	struct str folder = folder_of(&h->arena, path);

	if (folder.p == NULL)
		folder = folder_of(&h->arena, "config");
	if (folder.p == NULL)
		return -1;
	h->config.name = arena_copy(&h->arena, str_of(name));
	h->config.file = strcmp(path, "-") == 0 ?
	    arena_copy(&h->arena, STR("-")) :
	    file_resolve(&h->arena, folder,
	    str_of(base != NULL ? base + 1 : path));
	*ret_folder = folder;
	return h->config.name.p == NULL || h->config.file.p == NULL ? -1 : 0;
}

static int
config_hash(struct config *cfg, struct arena *a)
{
	struct buf b;

	buf_init(&b, 0);
	print_section(&b, &config_section, cfg, true);
	cfg->text_hash = (struct str){NULL, 0};
	if (!buf_failed(&b))
		cfg->text_hash = arena_printf(a, "%016llx",
		    (unsigned long long)str_hash(buf_str(&b)));
	buf_done(&b);
	return cfg->text_hash.p == NULL ? -1 : 0;
}

/* text: NULL: read from `path`. */
static void
holder_fill(struct holder *h, const struct str *text, const char *path,
    struct report *report)
{
	const struct config_pos nowhere = {0, 0};
	struct reader reader = {.arena = &h->arena, .report = report};
	struct str content;
	struct error err;
	struct node *root;

	if (holder_set_names(h, report->file, path, &reader.folder) == -1) {
		report->out_of_memory = true;
		return;
	}
	if (text != NULL) {
		content = *text;
	} else if (file_read(&h->arena, path, &content, &err) == -1) {
		report_at(report, nowhere, NULL, "%s", err.text);
		return;
	}
	root = node_read(&h->arena, content, report);
	if (root == NULL)
		return;
	read_section(&reader, &config_section, root, &h->config);
	if (report->problems->count == 0 && !report->out_of_memory &&
	    config_hash(&h->config, &h->arena) == -1)
		report->out_of_memory = true;
}

static struct config *
config_read(const struct str *text, const char *path,
    struct config_problems *ret_problems)
{
	const struct config_pos nowhere = {0, 0};
	struct report report = {
		.problems = ret_problems,
		.file = strcmp(path, "-") == 0 ? "standard input" : path,
	};
	struct holder *h = holder_new();

	*ret_problems = (struct config_problems){0};
	if (h != NULL)
		holder_fill(h, text, path, &report);
	if (h == NULL || report.out_of_memory)
		report_at(&report, nowhere, NULL, "out of memory");
	if (h == NULL)
		return NULL;
	if (ret_problems->count == 0 && ret_problems->dropped == 0)
		return &h->config;
	config_unref(&h->config);
	return NULL;
}

struct config *
config_load(const char *path, struct config_problems *ret_problems)
{
	return config_read(NULL, path, ret_problems);
}

struct config *
config_parse(struct str text, const char *name,
    struct config_problems *ret_problems)
{
	return config_read(&text, name != NULL ? name : "config",
	    ret_problems);
}

const char *
config_method_name(enum method method)
{
	static const char *const names[METHOD_COUNT] = {
#define X(name) [METHOD_##name] = #name,
		METHODS(X)
#undef X
	};

	return names[method];
}
