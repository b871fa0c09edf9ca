/* SPDX-License-Identifier: MIT */
/*
 * Base64 in both alphabets.
 *
 * Owns nothing.  Invariant: decode(encode(x)) is x, and nothing else decodes.
 * Here: the codec.  Not here: lines, white space, anything lenient.
 * Context: pure; any thread.
 */
#include "common/base64.h"

static const char base64_digits[2][65] = {
    [BASE64_PLAIN] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789+/",
    [BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789-_",
};

/* Without a table: what is decoded may be a secret, and a table's cache lines
 * tell which part of it was read. */
static int
base64_value(char byte, enum base64_kind kind)
{
	if (byte >= 'A' && byte <= 'Z')
		return byte - 'A';
	if (byte >= 'a' && byte <= 'z')
		return byte - 'a' + 26;
	if (byte >= '0' && byte <= '9')
		return byte - '0' + 52;
	if (byte == base64_digits[kind][62])
		return 62;
	return byte == base64_digits[kind][63] ? 63 : -1;
}

size_t
base64_encode(struct str data, enum base64_kind kind, char *out)
{
	const char *digits = base64_digits[kind];
	const unsigned char *p = (const unsigned char *)data.p;
	unsigned bits;
	size_t i, at = 0;

	for (i = 0; i + 2 < data.len; i += 3) {
		bits =
		    (unsigned)p[i] << 16 | (unsigned)p[i + 1] << 8 | p[i + 2];
		out[at++] = digits[bits >> 18];
		out[at++] = digits[bits >> 12 & 63];
		out[at++] = digits[bits >> 6 & 63];
		out[at++] = digits[bits & 63];
	}
	if (i == data.len)
		return at;
	bits = (unsigned)p[i] << 16;
	if (i + 1 < data.len)
		bits |= (unsigned)p[i + 1] << 8;
	out[at++] = digits[bits >> 18];
	out[at++] = digits[bits >> 12 & 63];
	if (i + 1 < data.len)
		out[at++] = digits[bits >> 6 & 63];
	else if (kind == BASE64_PLAIN)
		out[at++] = '=';
	if (kind == BASE64_PLAIN)
		out[at++] = '=';
	return at;
}

/* Takes the padding off, where there is to be one. */
static int
base64_trim(struct str *text, enum base64_kind kind)
{
	if (kind == BASE64_URL)
		return text->len % 4 == 1 ? -1 : 0;
	if (text->len % 4 != 0)
		return -1;
	if (text->len > 0 && text->p[text->len - 1] == '=')
		text->len--;
	if (text->len % 4 == 3 && text->p[text->len - 1] == '=')
		text->len--;
	return 0;
}

ptrdiff_t
base64_decode(struct str text, enum base64_kind kind, char *out)
{
	unsigned bits = 0, count = 0;
	ptrdiff_t at = 0;
	size_t i;

	if (base64_trim(&text, kind) == -1)
		return -1;
	for (i = 0; i < text.len; i++) {
		int value = base64_value(text.p[i], kind);

		if (value == -1)
			return -1;
		bits = (bits << 6 | (unsigned)value) & 0xffffff;
		count += 6;
		if (count >= 8) {
			count -= 8;
			out[at++] = (char)(bits >> count & 0xff);
		}
	}
	/* RFC 4648 3.5: the bits that no byte took are zero. */
	return (bits & ((1u << count) - 1)) == 0 ? at : -1;
}
