/* SPDX-License-Identifier: MIT */
/*
 * Request targets: any bytes between method and version.  What is taken must be
 * a path below the root and a host, whatever escapes and dots it came with.
 */
#include <string.h>

#include "server/head.h"
#include "tests/fuzz/fuzz.h"

static const struct head_limits limits = {
	.head_bytes = 8192, .target_bytes = 4096, .field_count = 4,
};

static void
check_path(struct str path)
{
	struct str segment;

	FUZZ_PROMISE(path.len > 0 && path.p[0] == '/');
	FUZZ_PROMISE(memchr(path.p, '\0', path.len) == NULL);
	while (str_cut(&path, '/', &segment)) {
		FUZZ_PROMISE(!str_eq(segment, STR(".")));
		FUZZ_PROMISE(!str_eq(segment, STR("..")));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char behind[] = " HTTP/1.1\r\nHost: fuzz\r\n\r\n";
	struct head_store *store = head_store_new(&limits);
	char *raw = malloc(size + 4 + sizeof(behind));
	struct head_refusal refusal = {0, NULL};
	struct head *h;

	/* A line end would make it another request's business. */
	if (memchr(data, '\n', size) == NULL) {
		memcpy(raw, "GET ", 4);
		memcpy(raw + 4, data, size);
		memcpy(raw + 4 + size, behind, sizeof(behind));
		h = head_parse(store, str_from(raw, size + 3 + sizeof(behind)),
		    &limits, &refusal);
		FUZZ_PROMISE(h != NULL || refusal.reason != NULL);
		if (h != NULL) {
			FUZZ_PROMISE(h->target.len == size);
			FUZZ_PROMISE(h->authority.len > 0);
			check_path(h->path);
		}
	}
	free(raw);
	head_store_free(store);
	return 0;
}
