/* SPDX-License-Identifier: MIT */
/*
 * Proves what stands under "static": media types, opening below a folder, the
 * cache of open files, and locations.
 *
 * Context: a folder of its own under TMPDIR, removed at the end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/handlers/beneath.h"
#include "server/handlers/file_cache.h"
#include "server/handlers/location.h"
#include "server/handlers/types.h"
#include "tests/unit/unit.h"

static char folder[256];

static void
file_write(const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
link_make(const char *target, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(symlink(target, path), 0);
}

/* outside.txt, www/{a.txt, sub/b.txt, pipe, inside -> a.txt, out, up} */
static int
folder_make(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char path[512];

	snprintf(folder, sizeof(folder), "%s/corelane-static.XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/www/sub", folder);
	path[strlen(folder) + 4] = '\0';
	if (mkdir(path, 0755) == -1)
		return -1;
	path[strlen(folder) + 4] = '/';
	if (mkdir(path, 0755) == -1)
		return -1;
	snprintf(path, sizeof(path), "%s/www/pipe", folder);
	if (mkfifo(path, 0644) == -1)
		return -1;
	file_write("outside.txt", "outside");
	file_write("www/a.txt", "a");
	file_write("www/sub/b.txt", "bb");
	link_make("a.txt", "www/inside");
	link_make("../outside.txt", "www/up");
	link_make("/etc/passwd", "www/out");
	link_make("/proc/self/root", "www/magic");
	return 0;
}

static int
entry_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int
folder_remove(void **state)
{
	return nftw(folder, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static struct file_cache *
cache_new(void)
{
	static char root[512];
	struct error err;
	struct file_cache *cache;

	snprintf(root, sizeof(root), "%s/www", folder);
	cache = file_cache_new(root, &err);
	if (cache == NULL)
		fail_msg("%s", err.text);
	return cache;
}

static void
test_beneath(void **state)
{
	static const struct {
		const char *path;
		int error;		/* 0: it opens */
	} cases[] = {
		{"a.txt", 0}, {"sub/b.txt", 0}, {"inside", 0}, {"sub", 0},
		{"pipe", 0}, {".", 0},
		{"nothing", ENOENT}, {"a.txt/b", ENOTDIR},
		{"../outside.txt", EXDEV}, {"sub/../../outside.txt", EXDEV},
		{"up", EXDEV}, {"out", EXDEV}, {"/etc/passwd", EXDEV},
		{"magic/etc/passwd", EXDEV},
	};
	char root[512];
	int root_fd;

	snprintf(root, sizeof(root), "%s/www", folder);
	root_fd = open(root, O_PATH | O_DIRECTORY);
	assert_int_not_equal(root_fd, -1);
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		int fd = beneath_open(root_fd, cases[i].path);
		int error = fd == -1 ? errno : 0;

		if (fd != -1)
			close(fd);
		/* Without openat2 links are refused altogether, and where
		 * a path leaves the root it may be for another reason. */
		if ((error == 0) != (cases[i].error == 0) && error != ELOOP &&
		    error != ENOTDIR)
			fail_msg("%s: %s", cases[i].path, strerror(error));
	}
	close(root_fd);
}

static void
test_cache_serves(void **state)
{
	struct file_cache *cache = cache_new();
	struct file *first, *second;

	assert_int_equal(file_cache_get(cache, STR("a.txt"), 1, &first), 0);
	assert_int_equal(first->size, 1);
	assert_int_equal(first->etag.p[0], '"');
	assert_int_equal(first->modified.len, CLOCK_DATE_BYTES);
	assert_int_equal(file_cache_get(cache, STR("a.txt"), 2, &second), 0);
	assert_ptr_equal(first, second);
	file_unref(first);
	file_unref(second);
	file_cache_free(cache);
}

static void
test_cache_refuses(void **state)
{
	struct file_cache *cache = cache_new();
	struct file *f;
	char name[5000];

	memset(name, 'x', sizeof(name));
	assert_int_equal(file_cache_get(cache, STR("sub"), 1, &f), EISDIR);
	assert_int_equal(file_cache_get(cache, STR(""), 1, &f), EISDIR);
	assert_int_equal(file_cache_get(cache, STR("pipe"), 1, &f), ENOENT);
	assert_int_equal(file_cache_get(cache, STR("nothing"), 1, &f), ENOENT);
	assert_int_equal(file_cache_get(cache, str_from(name, sizeof(name)), 1,
	    &f), ENAMETOOLONG);
	file_cache_free(cache);
}

/* A response keeps the old file; the next one gets the new. */
static void
test_cache_notices_change(void **state)
{
	struct file_cache *cache = cache_new();
	struct file *old, *same, *new;
	char byte;

	file_write("www/c.txt", "old");
	assert_int_equal(file_cache_get(cache, STR("c.txt"), 5000, &old), 0);
	file_write("www/c.new", "newer");
	assert_int_equal(renameat(AT_FDCWD, strcat(strcpy((char[512]){0},
	    folder), "/www/c.new"), AT_FDCWD, strcat(strcpy((char[512]){0},
	    folder), "/www/c.txt")), 0);
	assert_int_equal(file_cache_get(cache, STR("c.txt"), 5000 +
	    FILE_CACHE_FRESH_MS - 1, &same), 0);
	assert_ptr_equal(old, same);
	assert_int_equal(file_cache_get(cache, STR("c.txt"), 5000 +
	    FILE_CACHE_FRESH_MS, &new), 0);
	assert_int_equal(new->size, 5);
	assert_int_equal(pread(old->fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'o');
	file_unref(old);
	file_unref(same);
	file_unref(new);
	file_cache_free(cache);
}

static int
fd_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* More files than it holds: the least recently used goes, no fd leaks. */
static void
test_cache_is_bounded(void **state)
{
	struct file_cache *cache = cache_new();
	struct file *f;
	char name[64];
	int before = fd_count();

	for (unsigned i = 0; i < FILE_CACHE_MAX + 100; i++) {
		snprintf(name, sizeof(name), "www/n%u", i);
		file_write(name, "n");
		assert_int_equal(file_cache_get(cache, str_of(name + 4), 1,
		    &f), 0);
		file_unref(f);
	}
	assert_int_equal(fd_count(), before + FILE_CACHE_MAX);
	file_cache_free(cache);
	assert_int_equal(fd_count(), before - 1);
}

static void
test_types(void **state)
{
	static const char *const known[] = {".aac", ".html", ".HTML", ".json",
		".png", ".svg", ".txt", ".webmanifest", ".woff", ".woff2",
		".zst"};

	for (size_t i = 0; i < UNIT_COUNT(known); i++)
		unit_check(type_find(str_of(known[i])).p != NULL, known[i]);
	unit_check_str(type_find(STR(".Html")),
	    STR("text/html; charset=utf-8"), "text has its charset");
	assert_null(type_find(STR(".nothing")).p);
	assert_null(type_find(STR("")).p);
	assert_null(type_find(STR(".muchlongerthanany")).p);
	unit_check_str(type_ending(STR("a.b/c.tar.gz")), STR(".gz"), "last");
	unit_check_str(type_ending(STR("a.b/c")), STR(""), "of the file only");
}

static void
test_location(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"/a-b_c.d~/e", "/a-b_c.d~/e"},
		{"/a b", "/a%20b"},
		{"/\\evil.example", "/%5Cevil.example"},
		{"a?b#c", "a%3Fb%23c"},
		{"a%2Fb", "a%2Fb"},
		{"100%", "100%25"},
		{"\r\nX: y", "%0D%0AX%3A%20y"},
		{"\xc3\xa4", "%C3%A4"},
	};
	char out[64];

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct str in = str_of(cases[i].in);
		size_t len = location_escape(in, out);

		unit_check_str(str_from(out, len), str_of(cases[i].out),
		    cases[i].in);
		unit_check(location_escape(in, NULL) == len, cases[i].in);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beneath),
		cmocka_unit_test(test_cache_serves),
		cmocka_unit_test(test_cache_refuses),
		cmocka_unit_test(test_cache_notices_change),
		cmocka_unit_test(test_cache_is_bounded),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_location),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
