/* SPDX-License-Identifier: MIT */
/*
 * Base64 (RFC 4648), read as strictly as it is written: exactly one text stands
 * for given bytes, so that nothing can be smuggled in spellings.
 *
 *	BASE64_PLAIN	section 4, padded: Basic credentials
 *	BASE64_URL	section 5, without padding: JOSE
 *
 * Context: pure; any thread.
 */
#ifndef CORELANE_COMMON_BASE64_H
#define CORELANE_COMMON_BASE64_H

#include <stddef.h>

#include "common/str.h"

enum base64_kind { BASE64_PLAIN, BASE64_URL };

/* Room for the text of n bytes, and for the bytes of a text of n. */
#define BASE64_TEXT_BYTES(n) (((n) + 2) / 3 * 4)
#define BASE64_DATA_BYTES(n) ((n) / 4 * 3 + 3)

/* Writes the text, no NUL; returns its length. */
size_t base64_encode(struct str data, enum base64_kind kind, char *out);

/* Writes the bytes; returns their number, or -1 for what base64_encode() would
 * not have written.  `out` may be the text itself. */
ptrdiff_t base64_decode(struct str text, enum base64_kind kind, char *out);

#endif
