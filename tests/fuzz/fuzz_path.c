/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes percent_decode() and path_normalize() as a request uses them, and
 * holds them to what they promise each other.
 *
 * Context: called by libFuzzer's main or by replay.c.
 */
#include <string.h>

#include "common/percent.h"
#include "tests/fuzz/fuzz.h"

static void
fuzz_normalize(char *path, size_t len, char *copy)
{
	int normal = path_is_normal(str_from(path, len));
	ptrdiff_t n;

	memcpy(copy, path, len);
	n = path_normalize(copy, len);
	FUZZ_PROMISE(normal == (n == (ptrdiff_t)len &&
	    memcmp(copy, path, len) == 0));
	if (n == -1)
		return;
	FUZZ_PROMISE(n >= 1 && (size_t)n <= len && copy[0] == '/');
	FUZZ_PROMISE(path_is_normal(str_from(copy, (size_t)n)));
	FUZZ_PROMISE(path_normalize(copy, (size_t)n) == n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from((const char *)data, size);
	char *out = malloc(size + 1), *copy = malloc(size + 1);

	for (unsigned flags = 0; out != NULL && copy != NULL && flags < 4;
	    flags++) {
		ptrdiff_t n = percent_decode(in, flags, out);

		FUZZ_PROMISE(n >= -1 && n <= (ptrdiff_t)size);
		if (n == -1)
			continue;
		FUZZ_PROMISE(percent_is_encoded(in, flags) ||
		    str_eq(in, str_from(out, (size_t)n)));
		memcpy(copy, data, size);
		FUZZ_PROMISE(percent_decode(str_from(copy, size), flags,
		    copy) == n && memcmp(copy, out, (size_t)n) == 0);
		fuzz_normalize(out, (size_t)n, copy);
	}
	free(out);
	free(copy);
	return 0;
}
