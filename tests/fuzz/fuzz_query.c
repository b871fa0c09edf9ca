/* SPDX-License-Identifier: MIT */
/*
 * Queries and urlencoded forms: any bytes.  Whatever is taken is found again by
 * its name, and no decoded text is longer than what was sent.
 */
#include "server/form.h"
#include "tests/fuzz/fuzz.h"

static void
check_list(const struct query_list *list, size_t size)
{
	const struct pair *first;

	for (size_t i = 0; i < list->count; i++) {
		const struct pair *pair = &list->item[i];

		FUZZ_PROMISE(pair->name.p != NULL && pair->value.p != NULL);
		FUZZ_PROMISE(pair->name.len + pair->value.len <= size);
		first = query_find(list, pair->name, 0);
		FUZZ_PROMISE(first != NULL && first <= pair);
	}
	FUZZ_PROMISE(list->count <= size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from((const char *)data, size);
	struct query_list *list;
	struct form *form;
	struct arena a;

	arena_init(&a, NULL);
	list = query_parse(in, &a);
	form = form_parse(STR("application/x-www-form-urlencoded"), in, &a);
	FUZZ_PROMISE(list != NULL && form != NULL);
	check_list(list, size);
	check_list(&form->fields, size);
	FUZZ_PROMISE(form->status == 400 || list->malformed.p == NULL);
	FUZZ_PROMISE((form->status == 0) == (form->what == NULL));
	arena_done(&a);
	return 0;
}
