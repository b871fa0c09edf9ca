/* SPDX-License-Identifier: MIT */
/*
 * multipart/form-data (RFC 7578): the parts of a content that is there, whole.
 *
 *	struct multipart m;
 *	struct multipart_part part;
 *
 *	multipart_init(&m, content_type, content, &r->arena);
 *	while (multipart_next(&m, &part) == MULTIPART_PART)
 *		...
 *
 * Nothing is copied but names with escapes: a part's content is a slice.
 *
 * Context: pure; one thread per arena.
 */
#ifndef CORELANE_SERVER_MULTIPART_H
#define CORELANE_SERVER_MULTIPART_H

#include <stdbool.h>

#include "common/arena.h"
#include "common/str.h"

#define MULTIPART_PARTS_MAX 1000
#define MULTIPART_HEAD_MAX 8192
#define MULTIPART_NAME_MAX 1024
/* RFC 2046 5.1.1 */
#define MULTIPART_BOUNDARY_MAX 70

struct multipart {
	struct arena *arena;
	struct str rest; /* from the line of a boundary on */
	unsigned count;
	const char *what; /* what is wrong, a literal */
	size_t delimiter_len;
	/* "\r\n--" and the boundary */
	char delimiter[4 + MULTIPART_BOUNDARY_MAX];
};

struct multipart_part {
	struct str name;
	struct str filename; /* its last component; .p NULL: no file */
	struct str type; /* "" where none is given */
	struct str content;
};

enum multipart_result {
	MULTIPART_PART,
	MULTIPART_END,
	MULTIPART_BAD, /* see `what` */
	MULTIPART_NO_MEMORY
};

/* content_type: the field's value, of this media type.  What is wrong with it
 * is told by multipart_next(). */
void multipart_init(struct multipart *m, struct str content_type,
    struct str content, struct arena *a);

/* The next part; what it points to is lent as long as content and arena. */
enum multipart_result multipart_next(
    struct multipart *m, struct multipart_part *ret_part);

#endif
