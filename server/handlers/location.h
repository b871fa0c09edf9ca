/* SPDX-License-Identifier: MIT */
/*
 * Paths on their way back to a client: decoded text made safe for a Location
 * field.
 *
 * Context: pure functions.
 */
#ifndef CORELANE_SERVER_HANDLERS_LOCATION_H
#define CORELANE_SERVER_HANDLERS_LOCATION_H

#include <stddef.h>

#include "common/str.h"

/*
 * Writes `in` with everything but unreserved characters (RFC 3986 2.3) and '/'
 * percent-encoded; a "%2F" that decoding has left alone stays.  A backslash is
 * encoded too: browsers take it for a slash, and "/\host" for another server.
 * out: room for 3 * in.len bytes, or NULL to measure.  Returns the length.
 */
size_t location_escape(struct str in, char *out);

#endif
