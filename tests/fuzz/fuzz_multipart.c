/* SPDX-License-Identifier: MIT */
/*
 * Forms of many parts: the first line is the field's value, the rest the
 * content.  What is taken lies in the content, in order, and names are clean.
 */
#include <string.h>

#include "common/utf8.h"
#include "server/multipart.h"
#include "tests/fuzz/fuzz.h"

static void
check_name(struct str name)
{
	FUZZ_PROMISE(utf8_is_valid(name));
	for (size_t i = 0; i < name.len; i++)
		FUZZ_PROMISE((unsigned char)name.p[i] >= 0x20 &&
		    name.p[i] != 0x7f);
}

static void
check_part(const struct multipart_part *part, const char *from,
    const char *end)
{
	FUZZ_PROMISE(part->name.p != NULL && part->type.p != NULL);
	check_name(part->name);
	if (part->filename.p != NULL) {
		check_name(part->filename);
		FUZZ_PROMISE(str_find(part->filename, '/') ==
		    part->filename.len);
		FUZZ_PROMISE(str_find(part->filename, '\\') ==
		    part->filename.len);
	}
	if (part->content.len > 0)
		FUZZ_PROMISE(part->content.p >= from &&
		    part->content.p + part->content.len <= end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from((const char *)data, size), type;
	struct multipart_part part;
	enum multipart_result result;
	struct multipart m;
	const char *from;
	unsigned count = 0;
	struct arena a;

	if (size == 0 || !str_cut(&in, '\n', &type))
		return 0;
	arena_init(&a, NULL);
	multipart_init(&m, type, in, &a);
	from = in.p;
	while ((result = multipart_next(&m, &part)) == MULTIPART_PART) {
		check_part(&part, from, in.p + in.len);
		if (part.content.len > 0)
			from = part.content.p + part.content.len;
		count++;
	}
	FUZZ_PROMISE(count <= MULTIPART_PARTS_MAX);
	FUZZ_PROMISE((result == MULTIPART_BAD) == (m.what != NULL));
	FUZZ_PROMISE(multipart_next(&m, &part) == result);
	arena_done(&a);
	return 0;
}
