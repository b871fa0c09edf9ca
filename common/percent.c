/* SPDX-License-Identifier: MIT */
/*
 * Percent-encoding and dot segments: from a request target's path to the path
 * that routes are looked up by.
 *
 * Owns nothing.
 * Here: decoding once, and the segments.  Not here: splitting a target
 * (server), matching (server/route.c).
 * Context: pure functions; request bytes come straight from the client, so
 * every input is expected to be hostile.
 */
#include "common/percent.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/word.h"

/* The byte that an escape stands for, or -1 when it is none or NUL. */
static int
percent_escape(struct str in, size_t at)
{
	int high, low;

	if (in.len - at < 3)
		return -1;
	high = str_hex_digit(in.p[at + 1]);
	low = str_hex_digit(in.p[at + 2]);
	if (high == -1 || low == -1 || (high | low) == 0)
		return -1;
	return high << 4 | low;
}

ptrdiff_t
percent_decode(struct str in, unsigned flags, char *out)
{
	size_t at = 0, len = 0;

	while (at < in.len) {
		int byte = (uint8_t)in.p[at];
		size_t used = 1;

		if (byte == '%') {
			byte = percent_escape(in, at);
			if (byte == -1)
				return -1;
			used = 3;
		} else if (byte == '+' && (flags & PERCENT_PLUS) != 0) {
			byte = ' ';
		}
		if (used == 3 && byte == '/' &&
		    (flags & PERCENT_KEEP_SLASH) != 0) {
			memmove(out + len, in.p + at, used);
			len += used;
		} else {
			out[len++] = (char)byte;
		}
		at += used;
	}
	return (ptrdiff_t)len;
}

int
percent_is_encoded(struct str in, unsigned flags)
{
	if (in.len == 0)
		return 0;
	if (memchr(in.p, '%', in.len) != NULL)
		return 1;
	return (flags & PERCENT_PLUS) != 0 && memchr(in.p, '+', in.len) != NULL;
}

/* The length of the segment that starts at `at`: up to a slash or the end. */
static size_t
path_segment(const char *path, size_t len, size_t at)
{
	return str_find(str_from(path + at, len - at), '/');
}

/* Where the last segment of path[0..len), which ends in a slash, begins. */
static size_t
path_parent(const char *path, size_t len)
{
	len--;
	while (path[len - 1] != '/')
		len--;
	return len;
}

/* `to` is always just behind a slash of what is kept, and never past `at`. */
ptrdiff_t
path_normalize(char *path, size_t len)
{
	size_t at = 1, to = 1;

	if (len == 0 || path[0] != '/')
		return -1;
	while (at < len) {
		size_t n = path_segment(path, len, at);
		struct str segment = str_from(path + at, n);

		if (str_eq(segment, STR(".."))) {
			if (to == 1)
				return -1;
			to = path_parent(path, to);
		} else if (n > 0 && !str_eq(segment, STR("."))) {
			memmove(path + to, path + at, n);
			to += n;
			if (at + n < len)
				path[to++] = '/';
		}
		at += n + 1;
	}
	return (ptrdiff_t)to;
}

/* Whether the slash at `at` is followed by a segment that normalizing removes:
 * "", "." or "..". */
static bool
path_is_removed_at(struct str path, size_t at)
{
	size_t rest = path.len - at - 1;
	const char *p = path.p + at + 1;

	if (rest == 0)
		return false;
	if (p[0] == '/')
		return true;
	if (p[0] != '.')
		return false;
	if (rest == 1 || p[1] == '/')
		return true;
	return p[1] == '.' && (rest == 2 || p[2] == '/');
}

/* Whether a slash with a slash or a dot behind it begins in the eight bytes at
 * `p`, of which nine are readable. */
static bool
path_is_suspect(const char *p)
{
	uint64_t here = word_load(p), next = word_load(p + 1);

	return (word_match(here, '/') &
	    (word_match(next, '/') | word_match(next, '.'))) != 0;
}

int
path_is_normal(struct str path)
{
	size_t at = 0;

	if (path.len == 0 || path.p[0] != '/')
		return 0;
	while (at < path.len) {
		if (path.len - at > WORD_BYTES &&
		    !path_is_suspect(path.p + at)) {
			at += WORD_BYTES;
			continue;
		}
		for (size_t end = at + WORD_BYTES; at < end && at < path.len;
		    at++) {
			if (path.p[at] == '/' && path_is_removed_at(path, at))
				return 0;
		}
	}
	return 1;
}
