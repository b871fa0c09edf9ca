/* SPDX-License-Identifier: MIT */
/*
 * Percent-encoding of RFC 3986 2.1, decoded once and never twice.
 *
 * Context: pure functions.
 */
#ifndef CORELANE_COMMON_PERCENT_H
#define CORELANE_COMMON_PERCENT_H

#include <stddef.h>

#include "common/str.h"

/*
 * Decodes %XX in `in` into `out`, which has room for in.len bytes and may be
 * in.p itself.  With PERCENT_KEEP_SLASH an encoded slash stays "%2F" (upper or
 * lower case as it came): it is data, not a separator.  With PERCENT_PLUS a
 * '+' becomes a space (form and query values).  Encoded NUL is refused.
 * Returns the length written, or -1 on a bad or NUL escape.
 */
enum percent_flags {
	PERCENT_KEEP_SLASH = 1,
	PERCENT_PLUS = 2
};

ptrdiff_t percent_decode(struct str in, unsigned flags, char *out);

/* Whether percent_decode() would change anything: '%', or '+' if asked. */
int percent_is_encoded(struct str in, unsigned flags);

/*
 * Removes "." and ".." segments and empty ones ("//") from an absolute path
 * that has been decoded, in place (RFC 3986 5.2.4, and no way above the root).
 * A trailing slash stays.  Returns the new length, or -1 when ".." would climb
 * above the root: such a request is refused, not repaired.
 */
ptrdiff_t path_normalize(char *path, size_t len);

/* Whether path_normalize() would change or refuse anything. */
int path_is_normal(struct str path);

#endif
