/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over a corpus as an ordinary test, with any compiler.
 *
 *	replay_path FOLDER|FILE...
 *
 * Each input is handed over in memory of exactly its size, so that a read past
 * its end is seen by a sanitizer and by valgrind.  A corpus without a file is a
 * failure: it would prove nothing.
 * Here: files.  Not here: what a target promises.
 * Context: a test process.
 */
#include <dirent.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

/* Reads a whole file; the caller's to free().  Returns NULL on failure. */
static uint8_t *
replay_read(const char *path, size_t *ret_size)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	uint8_t *data = NULL;

	if (f == NULL)
		return NULL;
	if (fstat(fileno(f), &st) == 0 &&
	    (data = malloc((size_t)st.st_size)) != NULL &&
	    fread(data, 1, (size_t)st.st_size, f) == (size_t)st.st_size) {
		*ret_size = (size_t)st.st_size;
	} else {
		free(data);
		data = NULL;
	}
	fclose(f);
	return data;
}

static bool
replay_file(const char *path)
{
	size_t size;
	uint8_t *data = replay_read(path, &size);

	if (data == NULL) {
		perror(path);
		return false;
	}
	printf("%s\n", path);
	fflush(stdout);		/* the last line names what crashed */
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return true;
}

/* Returns the number of inputs, or -1. */
static int
replay_folder(const char *folder, DIR *dir)
{
	struct dirent *entry;
	char path[4096];
	int count = 0;

	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (!replay_file(path))
			return -1;
		count++;
	}
	return count;
}

int
main(int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		int n = dir != NULL ? replay_folder(argv[i], dir) :
		    replay_file(argv[i]) ? 1 : -1;

		if (dir != NULL)
			closedir(dir);
		if (n == -1)
			return 1;
		count += n;
	}
	printf("%d inputs\n", count);
	return count > 0 ? 0 : 1;
}
