/* SPDX-License-Identifier: MIT */
/*
 * Heads: any bytes, whole and one at a time, must get one verdict; what is
 * taken must keep its promises.
 */
#include <string.h>

#include "server/head.h"
#include "tests/fuzz/fuzz.h"

static const struct head_limits limits = {
	.head_bytes = 4096, .target_bytes = 512, .field_count = 32,
};

static int
verdict(struct head_store *store, struct str text, size_t step,
    struct head **ret_head)
{
	struct head_scan scan = {0};
	struct head_refusal refusal = {0, NULL};
	enum head_result res = HEAD_MORE;
	size_t have = 0;

	*ret_head = NULL;
	while (res == HEAD_MORE && have < text.len) {
		have = have + step < text.len ? have + step : text.len;
		res = head_find(&scan, text.p, have, &limits, &refusal);
	}
	if (res == HEAD_MORE)
		return 0;
	if (res == HEAD_WHOLE)
		*ret_head = head_parse(store, str_from(text.p + scan.skip,
		    scan.len - scan.skip), &limits, &refusal);
	if (*ret_head != NULL)
		return 200;
	FUZZ_PROMISE(refusal.status >= 400 && refusal.reason != NULL);
	return refusal.status;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct head_store *store = head_store_new(&limits);
	/* A copy of its own size, so that a read past the end is seen. */
	char *text = malloc(size + 1);
	struct head *h;
	int whole, bytewise;

	memcpy(text, data, size);
	bytewise = verdict(store, str_from(text, size), 1, &h);
	whole = verdict(store, str_from(text, size), size + 1, &h);
	/* Limits are noticed earlier the smaller the pieces. */
	FUZZ_PROMISE(whole == bytewise || whole == 0 ||
	    (bytewise >= 400 && whole >= 400));
	if (h != NULL) {
		FUZZ_PROMISE(h->path.len > 0);
		FUZZ_PROMISE(h->path.p[0] == '/' || h->is_asterisk);
		FUZZ_PROMISE(memmem(h->path.p, h->path.len, "/../", 4) == NULL);
		FUZZ_PROMISE(memchr(h->path.p, '\0', h->path.len) == NULL);
		FUZZ_PROMISE(h->minor == 0 || h->authority.len > 0);
		FUZZ_PROMISE(h->field_count <= limits.field_count);
	}
	free(text);
	head_store_free(store);
	return 0;
}
