/* SPDX-License-Identifier: MIT */
/*
 * Percent-encodes paths for Location.
 *
 * Owns nothing.  Here: encoding.  Not here: decoding (common/percent.c).
 * Context: any thread.
 */
#include "server/handlers/location.h"

#include <stdbool.h>

static bool
location_is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	    c == '~' || c == '/';
}

static bool
location_is_kept_slash(struct str in, size_t at)
{
	return in.len - at >= 3 && in.p[at] == '%' && in.p[at + 1] == '2' &&
	    (in.p[at + 2] | 0x20) == 'f';
}

size_t
location_escape(struct str in, char *out)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t i, len = 0;

	for (i = 0; i < in.len; i++) {
		unsigned char c = (unsigned char)in.p[i];
		bool plain = location_is_plain(in.p[i]) ||
		    location_is_kept_slash(in, i);

		if (out != NULL && plain) {
			out[len] = in.p[i];
		} else if (out != NULL) {
			out[len] = '%';
			out[len + 1] = hex[c >> 4];
			out[len + 2] = hex[c & 15];
		}
		len += plain ? 1 : 3;
	}
	return len;
}
