/* SPDX-License-Identifier: MIT */
/*
 * The head of one HTTP/1.1 request: from bytes to a checked structure whose
 * slices point into those bytes.
 *
 *	enum head_result res = head_find(&scan, p, len, limits);
 *	if (res == HEAD_WHOLE)
 *		res = head_parse(hp, str_from(p, scan.len), limits, head);
 *
 * Two passes over bytes that are in the cache anyway.  head_find() looks at
 * line ends alone and remembers how far it came, so that a head which arrives
 * byte by byte costs no more than one that arrives whole; it is where a bare
 * LF ends a request.  head_parse() runs http-parser over exactly one head, then
 * refuses what http-parser lets through (each rule stands in head.c with its
 * section).
 *
 * Here: syntax, framing, Host and target.  Not here: content (body.c), routes
 * (route.c), what happens to a refused request (http1.c).
 * Context: pure; one thread per struct head_parser.
 */
#ifndef CORELANE_SERVER_HEAD_H
#define CORELANE_SERVER_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"
#include "config/config.h"
#include "server/http.h"
#include "server/route.h"

struct field {
	struct str name, value; /* the value without outer white space */
	enum field_id id;
};

enum head_result {
	HEAD_MORE,	/* no whole head yet */
	HEAD_WHOLE,
	HEAD_BAD	/* refuse: see status and reason */
};

enum body_framing { BODY_NONE, BODY_LENGTH, BODY_CHUNKED };

struct head {
	struct str raw;			/* all of it, blank line included */
	struct str method_name;
	struct str target;		/* as sent */
	struct str authority; /* Host, or that of an absolute target */
	struct str path; /* decoded once, dot segments resolved */
	struct str query;		/* raw, after '?'; .p NULL: none */
	struct field *fields;
	uint64_t content_length;	/* BODY_LENGTH */
	uint16_t field_count;
	uint16_t first[FIELD_COUNT];	/* 1 + index of the first; 0: none */
	enum method method;
	enum body_framing framing;
	uint8_t minor;			/* HTTP/1.minor: 0 or 1 */
	bool keep_alive;		/* what the client asks for */
	bool expect_continue;
	bool has_upgrade;		/* Upgrade listed in Connection */
	bool is_asterisk;		/* OPTIONS * */
	bool is_path_decoded;		/* path isn't part of raw */
	bool is_routed;			/* `match` is filled in */
	struct route_match match;	/* kept with the head: see memo.h */
	uint64_t memo_id;		/* of its text; 0: not from there */
};

/* How far head_find() has looked; zero it for a new head. */
struct head_scan {
	uint32_t seen;		/* bytes already looked at */
	uint32_t line;		/* where the current line starts */
	uint32_t len;		/* HEAD_WHOLE: bytes of the head */
	uint32_t skip;		/* empty lines in front (RFC 9112 2.2) */
	uint32_t target_end;	/* end of the request line; 0: not seen */
};

struct head_limits {
	size_t head_bytes, target_bytes;
	unsigned field_count;
};

/* Why a head is refused. */
struct head_refusal {
	int status;
	const char *reason;	/* literal */
};

/* Storage for one parsed head: fields and decoded path. */
struct head_store;
struct head_store *head_store_new(const struct head_limits *limits)
    __attribute__((warn_unused_result));
void head_store_free(struct head_store *store);

/* Looks for the end of the head in p[0..len).  On HEAD_BAD fills ret_refusal.
 * On HEAD_WHOLE the head is p[scan->skip .. scan->len). */
enum head_result head_find(struct head_scan *scan, const char *p, size_t len,
    const struct head_limits *limits, struct head_refusal *ret_refusal);

/*
 * Parses one whole head.  Returns the head, lent by `store` until its next
 * parse, with slices into `raw` (or the store, for a decoded path); or NULL
 * with ret_refusal filled.
 */
struct head *head_parse(struct head_store *store, struct str raw,
    const struct head_limits *limits, struct head_refusal *ret_refusal);

/* The first value of a known field; .p NULL: none. */
static inline struct str
head_get(const struct head *h, enum field_id id)
{
	return h->first[id] != 0 ? h->fields[h->first[id] - 1].value
	    : str_from(NULL, 0);
}

/* The first value of any field by name; .p NULL: none. */
struct str head_find_field(const struct head *h, struct str name);

/*
 * A copy of `h`, bytes included, in the arena, every slice pointing into the
 * copy; NULL when there is no memory.  For requests that outlive the read that
 * brought them.
 */
struct head *head_copy(const struct head *h, struct arena *a);

/* Makes every slice of `h` that points into `from` point to the same place of a
 * copy of those bytes at `to`. */
void head_rebase(struct head *h, struct str from, const char *to);

#endif
