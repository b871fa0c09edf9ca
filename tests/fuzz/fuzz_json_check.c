/* SPDX-License-Identifier: MIT */
/*
 * JSON: what the strict check takes, cJSON must parse, whole; the place of a
 * fault lies in the text.
 */
#include <string.h>

#include <cjson/cJSON.h>

#include "server/json_check.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* cJSON looks for the end of a number behind the text. */
	char *copy = malloc(size + 1);
	struct json_fault fault = {0, 0, NULL};
	const char *end;
	cJSON *tree;

	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	if (json_check(str_from(copy, size), 64, &fault) == 0) {
		tree = cJSON_ParseWithLengthOpts(copy, size + 1, &end, 1);
		FUZZ_PROMISE(tree != NULL);
		FUZZ_PROMISE(end == copy + size);
		cJSON_Delete(tree);
	} else {
		FUZZ_PROMISE(fault.what != NULL);
		FUZZ_PROMISE(fault.line >= 1 && fault.line <= size + 1);
		FUZZ_PROMISE(fault.column >= 1 && fault.column <= size + 1);
	}
	free(copy);
	return 0;
}
