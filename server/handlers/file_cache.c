/* SPDX-License-Identifier: MIT */
/*
 * The cache of open files.
 *
 * Owns a reference to every file in it: table and list hold the same files, at
 * most FILE_CACHE_MAX.  A file that left the cache stays open until the last
 * response that sends it has gone.
 *
 * Here: what is open.  Not here: how it is opened safely (beneath.c), what is
 * sent (static.c).
 * Context: the loop's thread.
 */
#include "server/handlers/file_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/handlers/beneath.h"

/* Twice the files: chains stay short.  Keys can't be made to collide at will:
 * only files that exist are kept. */
#define BUCKETS (2 * FILE_CACHE_MAX)

struct file_cache {
	const char *root;
	int root_fd;
	dev_t root_dev;
	ino_t root_ino;
	uint64_t root_checked_ms;
	unsigned count;
	TAILQ_HEAD(file_list, file) used;	/* the latest first */
	struct file *bucket[BUCKETS];
};

void
file_unref(void *ptr)
{
	struct file *f = ptr;

	if (f == NULL || --f->refs > 0)
		return;
	close(f->fd);
	free(f);
}

static void
file_describe(struct file *f)
{
	int64_t mtime_ns = (int64_t)f->st.st_mtim.tv_sec * 1000000000 +
	    f->st.st_mtim.tv_nsec;
	int len = snprintf(f->etag_text, sizeof(f->etag_text),
	    "\"%" PRIx64 "-%" PRIx64 "\"", (uint64_t)mtime_ns, f->size);

	f->etag = str_from(f->etag_text, (size_t)len);
	clock_format_date(f->st.st_mtim.tv_sec, f->modified_text);
	f->modified = str_from(f->modified_text, CLOCK_DATE_BYTES);
}

/* fd: taken, also on failure.  Returns an errno. */
static int
file_new(int fd, struct str path, struct file **ret_file)
{
	struct file *f = calloc(1, sizeof(*f) + path.len + 1);
	int error = 0;

	if (f == NULL)
		error = ENOMEM;
	else if (fstat(fd, &f->st) == -1)
		error = errno;
	else if (S_ISDIR(f->st.st_mode))
		error = EISDIR;
	else if (!S_ISREG(f->st.st_mode))
		error = ENOENT;
	if (error != 0) {
		close(fd);
		free(f);
		return error;
	}
	f->fd = fd;
	f->refs = 1;
	f->size = (uint64_t)f->st.st_size;
	f->path_len = path.len;
	memcpy(f->path, path.p, path.len);
	file_describe(f);
	*ret_file = f;
	return 0;
}

static bool
time_is_same(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Whether the path still leads to the same file, unchanged.  A link on it may
 * lead anywhere by now: then it is not the same. */
static bool
file_is_current(const struct file *f, int root_fd)
{
	struct stat st;

	return fstatat(root_fd, f->path, &st, 0) == 0 &&
	    st.st_dev == f->st.st_dev && st.st_ino == f->st.st_ino &&
	    st.st_size == f->st.st_size &&
	    time_is_same(st.st_mtim, f->st.st_mtim) &&
	    time_is_same(st.st_ctim, f->st.st_ctim);
}

static int
cache_open_root(struct file_cache *cache)
{
	int fd = open(cache->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1) {
		close(fd);
		return -1;
	}
	if (cache->root_fd != -1)
		close(cache->root_fd);
	cache->root_fd = fd;
	cache->root_dev = st.st_dev;
	cache->root_ino = st.st_ino;
	return 0;
}

struct file_cache *
file_cache_new(const char *root, struct error *err)
{
	struct file_cache *cache = calloc(1, sizeof(*cache));

	if (cache == NULL) {
		error_nomem(err, "file cache");
		return NULL;
	}
	TAILQ_INIT(&cache->used);
	cache->root = root;
	cache->root_fd = -1;
	if (cache_open_root(cache) == -1) {
		error_sys(err, "root: open '%s'", root);
		free(cache);
		return NULL;
	}
	return cache;
}

static void
cache_remove(struct file_cache *cache, struct file *f)
{
	struct file **at = &cache->bucket[f->hash % BUCKETS];

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	TAILQ_REMOVE(&cache->used, f, used);
	cache->count--;
	file_unref(f);
}

static void
cache_clear(struct file_cache *cache)
{
	struct file *f, *next;

	TAILQ_FOREACH_SAFE(f, &cache->used, used, next)
		cache_remove(cache, f);
}

void
file_cache_free(struct file_cache *cache)
{
	if (cache == NULL)
		return;
	cache_clear(cache);
	close(cache->root_fd);
	free(cache);
}

/* Takes over a reference. */
static void
cache_insert(struct file_cache *cache, struct file *f)
{
	struct file **bucket = &cache->bucket[f->hash % BUCKETS];

	if (cache->count == FILE_CACHE_MAX)
		cache_remove(cache, TAILQ_LAST(&cache->used, file_list));
	f->next = *bucket;
	*bucket = f;
	TAILQ_INSERT_HEAD(&cache->used, f, used);
	cache->count++;
}

/* Has the path of the root led elsewhere?  Then nothing that is open counts. */
static void
cache_check_root(struct file_cache *cache, uint64_t now_ms)
{
	struct stat st;

	if (now_ms - cache->root_checked_ms < FILE_CACHE_FRESH_MS)
		return;
	cache->root_checked_ms = now_ms;
	if (stat(cache->root, &st) == 0 && (st.st_dev != cache->root_dev ||
	    st.st_ino != cache->root_ino) && cache_open_root(cache) == 0)
		cache_clear(cache);
}

static struct file *
cache_find(struct file_cache *cache, struct str path, uint64_t hash)
{
	struct file *f;

	for (f = cache->bucket[hash % BUCKETS]; f != NULL; f = f->next)
		if (f->hash == hash &&
		    str_eq(str_from(f->path, f->path_len), path))
			return f;
	return NULL;
}

static int
cache_open(struct file_cache *cache, struct str path, struct file **ret_file)
{
	char cstr[PATH_MAX];
	int fd;

	if (path.len >= sizeof(cstr))
		return ENAMETOOLONG;
	memcpy(cstr, path.p, path.len);
	cstr[path.len] = '\0';
	/* An empty path is the root itself. */
	fd = beneath_open(cache->root_fd, path.len > 0 ? cstr : ".");
	return fd == -1 ? errno : file_new(fd, path, ret_file);
}

int
file_cache_get(struct file_cache *cache, struct str path, uint64_t now_ms,
    struct file **ret_file)
{
	uint64_t hash = str_hash(path);
	struct file *f;
	int error;

	cache_check_root(cache, now_ms);
	f = cache_find(cache, path, hash);
	if (f != NULL && now_ms - f->checked_ms >= FILE_CACHE_FRESH_MS) {
		f->checked_ms = now_ms;
		if (!file_is_current(f, cache->root_fd)) {
			cache_remove(cache, f);
			f = NULL;
		}
	}
	if (f == NULL) {
		if ((error = cache_open(cache, path, &f)) != 0 || f == NULL)
			return error;
		f->hash = hash;
		f->checked_ms = now_ms;
		cache_insert(cache, f);
	} else if (f != TAILQ_FIRST(&cache->used)) {
		TAILQ_REMOVE(&cache->used, f, used);
		TAILQ_INSERT_HEAD(&cache->used, f, used);
	}
	f->refs++;
	*ret_file = f;
	return 0;
}
