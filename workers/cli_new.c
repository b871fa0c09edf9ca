/* SPDX-License-Identifier: MIT */
/*
 * `corelane new DIR`: a module to start from, that builds, passes its tests and
 * serves as its README says.
 *
 * Owns: nothing; the files come from workers/scaffold/.
 * Here: names and writing.  Not here: what the files say.
 * Context: a process of its own; cli.c -> [cli_new.c].
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/embedded.h"
#include "common/error.h"
#include "common/str.h"
#include "workers/cli.h"

#define NEW_NAME_BYTES 40

extern const struct embedded scaffold_files[];

/* What stands for @NAME@ and the like. */
struct scaffold {
	const char *dir;
	char name[NEW_NAME_BYTES + 1];
	char program[PATH_MAX];		/* how to call this one again */
	char pkg_config[PATH_MAX + 64];	/* an option for meson, or "" */
};

/* The last part of the folder's name names the module, and C functions. */
static int
new_take_name(struct scaffold *s, struct error *err)
{
	struct str name = str_of(s->dir);
	size_t i, from;

	while (name.len > 1 && name.p[name.len - 1] == '/')
		name.len--;
	for (from = name.len; from > 0 && name.p[from - 1] != '/'; from--)
		continue;
	name = str_from(name.p + from, name.len - from);
	for (i = 0; i < name.len && i <= NEW_NAME_BYTES; i++) {
		char byte = name.p[i];

		if (!((byte >= 'a' && byte <= 'z') || byte == '_' ||
		    (i > 0 && byte >= '0' && byte <= '9')))
			break;
	}
	if (name.len == 0 || i < name.len || name.len > NEW_NAME_BYTES)
		return error_set(err, ERROR_INVALID, "'%.*s' can't name a "
		    "module: use small letters, digits and '_', at most %d, "
		    "with a letter first", STR_FMT(name), NEW_NAME_BYTES);
	memcpy(s->name, name.p, name.len);
	s->name[name.len] = '\0';
	return 0;
}

/* A program that was built and not installed has its pkg-config files beside
 * it; an installed one is found by its name. */
static void
new_find_program(struct scaffold *s)
{
	char path[PATH_MAX], folder[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	snprintf(s->program, sizeof(s->program), "corelane");
	s->pkg_config[0] = '\0';
	if (n <= 0)
		return;
	path[n] = '\0';
	slash = strrchr(path, '/');
	snprintf(folder, sizeof(folder), "%.*s/meson-uninstalled",
	    (int)(slash - path), path);
	if (access(folder, R_OK) == -1)
		return;
	memcpy(s->program, path, (size_t)n + 1);
	snprintf(s->pkg_config, sizeof(s->pkg_config),
	    " --pkg-config-path=%s", folder);
}

static const char *
new_find_value(const struct scaffold *s, struct str key)
{
	if (str_eq(key, STR("NAME")))
		return s->name;
	if (str_eq(key, STR("CORELANE")))
		return s->program;
	if (str_eq(key, STR("PKG_CONFIG_PATH")))
		return s->pkg_config;
	return NULL;
}

/* Copies a text with its @KEYS@ filled in. */
static void
new_fill(const struct scaffold *s, struct str text, struct buf *out)
{
	const char *value;
	size_t at, len;

	while ((at = str_find(text, '@')) < text.len) {
		struct str rest = str_from(text.p + at + 1, text.len - at - 1);

		len = str_find(rest, '@');
		value = new_find_value(s, str_from(rest.p, len));
		buf_add(out, str_from(text.p, at));
		if (value != NULL)
			buf_add(out, str_of(value));
		else
			buf_add_byte(out, '@');
		len = value != NULL ? at + len + 2 : at + 1;
		text = str_from(text.p + len, text.len - len);
	}
	buf_add(out, text);
}

/* The name that a file has in the new folder. */
static void
new_file_path(const struct scaffold *s, const char *file, char *out,
    size_t size)
{
	if (strcmp(file, "module.c") == 0)
		snprintf(out, size, "%s/%s.c", s->dir, s->name);
	else if (strcmp(file, "test.c") == 0)
		snprintf(out, size, "%s/test_%s.c", s->dir, s->name);
	else if (strcmp(file, "gitignore") == 0)
		snprintf(out, size, "%s/.gitignore", s->dir);
	else
		snprintf(out, size, "%s/%s", s->dir, file);
}

static int
new_write(const struct scaffold *s, const struct embedded *file,
    struct error *err)
{
	char path[2 * PATH_MAX];
	struct buf text;
	struct str content;
	FILE *to;
	bool ok;

	new_file_path(s, file->name, path, sizeof(path));
	buf_init(&text, 0);
	new_fill(s, str_from(file->data, file->bytes), &text);
	content = buf_str(&text);
	to = buf_failed(&text) ? NULL : fopen(path, "wxe");
	ok = to != NULL &&
	    fwrite(content.p, 1, content.len, to) == content.len;
	if (to != NULL && fclose(to) != 0)
		ok = false;
	buf_done(&text);
	return ok ? 0 : error_sys(err, "write '%s'", path);
}

static int
new_make(struct scaffold *s, struct error *err)
{
	const struct embedded *file;

	if (new_take_name(s, err) == -1)
		return -1;
	new_find_program(s);
	/* What is there is somebody's: nothing is written over. */
	if (mkdir(s->dir, 0777) == -1)
		return error_sys(err, "make the folder '%s'", s->dir);
	for (file = scaffold_files; file->name != NULL; file++)
		if (new_write(s, file, err) == -1)
			return -1;
	return 0;
}

int
cli_new(const struct cli_args *args)
{
	struct scaffold s = {.dir = args->operand};
	struct error err;

	error_clear(&err);
	if (new_make(&s, &err) == -1) {
		fprintf(stderr, "corelane: %s\n", err.text);
		return CLI_FAILED;
	}
	printf("%s: a module to start from. Now:\n\n"
	    "    cd %s\n"
	    "    meson setup build%s && meson test -C build\n"
	    "    %s run -c corelane.json\n"
	    "    curl http://127.0.0.1:8080/%s/hello/Ada\n", s.name, s.dir,
	    s.pkg_config, s.program, s.name);
	return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}
