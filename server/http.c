/* SPDX-License-Identifier: MIT */
/*
 * HTTP's own tables, and the questions that are asked of them for every field
 * of every request.
 *
 * Owns nothing: all of it is constant.
 * Here: statuses, names of fields, which bytes they may have.  Not here: heads
 * (head.c), responses (response.c).
 * Context: any process, any thread.
 */
#include "server/http.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define STATUS_MIN 100
#define STATUS_MAX 599

struct status {
	struct str line, reason, word;
};

enum status_slot {
	STATUS_UNLISTED,
#define X(code, reason, word) STATUS_##code,
	STATUSES(X)
#undef X
	STATUS_SLOT_COUNT
};

static const struct status status_table[STATUS_SLOT_COUNT] = {
#define X(code, reason, word)                                                  \
	[STATUS_##code] = {STR_INIT("HTTP/1.1 " #code " " reason "\r\n"),      \
	    STR_INIT(reason), STR_INIT(word)},
	STATUSES(X)
#undef X
};

/* From a code to its place in the table: a byte each, not three slices. */
static const uint8_t status_slot[STATUS_MAX + 1 - STATUS_MIN] = {
#define X(code, reason, word) [code - STATUS_MIN] = STATUS_##code,
	STATUSES(X)
#undef X
};

/* An unlisted code keeps its number and has an empty phrase, which clients
 * ignore anyway (RFC 9112 4). */
#define LINE(code) "HTTP/1.1 " code " \r\n",
#define TEN(cc)                                                                \
	LINE(cc "0") LINE(cc "1") LINE(cc "2") LINE(cc "3") LINE(cc "4")       \
	LINE(cc "5") LINE(cc "6") LINE(cc "7") LINE(cc "8") LINE(cc "9")
#define HUNDRED(c)                                                             \
	TEN(c "0") TEN(c "1") TEN(c "2") TEN(c "3") TEN(c "4")                 \
	TEN(c "5") TEN(c "6") TEN(c "7") TEN(c "8") TEN(c "9")
#define UNLISTED_BYTES (sizeof("HTTP/1.1 100 \r\n") - 1)

static const char status_unlisted[][UNLISTED_BYTES + 1] = {
	HUNDRED("1") HUNDRED("2") HUNDRED("3") HUNDRED("4") HUNDRED("5")
};

static const struct str field_table[FIELD_COUNT] = {
	[FIELD_OTHER] = STR_INIT(""),
#define X(id, name) [FIELD_##id] = STR_INIT(name),
	FIELDS(X)
#undef X
};

/* RFC 9110 5.6.2, a row for each sixteen bytes; above 0x7f there are none. */
static const bool token_table[128] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0, /*  !"#$%&'()*+,-./ */
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, /* 0-9 :;<=>? */
	0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* @ A-O */
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, /* P-Z [\]^_ */
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* ` a-o */
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0, /* p-z {|}~ */
};

static int
status_clamp(int status)
{
	return status < STATUS_MIN || status > STATUS_MAX ? 500 : status;
}

/* The entry of a status, or of its class. */
static const struct status *
status_get(int status)
{
	unsigned slot;

	status = status_clamp(status);
	slot = status_slot[status - STATUS_MIN];
	if (slot == STATUS_UNLISTED)
		slot = status_slot[status / 100 * 100 - STATUS_MIN];
	return &status_table[slot];
}

struct str
status_line(int status)
{
	unsigned slot;

	status = status_clamp(status);
	slot = status_slot[status - STATUS_MIN];
	if (slot == STATUS_UNLISTED)
		return str_from(status_unlisted[status - STATUS_MIN],
		    UNLISTED_BYTES);
	return status_table[slot].line;
}

struct str
status_reason(int status)
{
	return status_get(status)->reason;
}

struct str
status_word(int status)
{
	return status_get(status)->word;
}

/*
 * Whether the eight (or four) bytes at p are those of `name` but for the case
 * of letters.  The names of the table have letters and '-' alone, and of these
 * only letters have bit 0x40: there, and nowhere else, may bit 0x20 differ.
 */
static bool
field_is_same8(const char *p, const char *name)
{
	uint64_t a, b;

	memcpy(&a, p, sizeof(a));
	memcpy(&b, name, sizeof(b));
	return ((a ^ b) & ~((b & 0x4040404040404040u) >> 1)) == 0;
}

static bool
field_is_same4(const char *p, const char *name)
{
	uint32_t a, b;

	memcpy(&a, p, sizeof(a));
	memcpy(&b, name, sizeof(b));
	return ((a ^ b) & ~((b & 0x40404040u) >> 1)) == 0;
}

/* The last step overlaps the one before, so that no length needs a loop over
 * bytes.  No name is shorter than four. */
static bool
field_is(struct str name, struct str known)
{
	size_t at, len = known.len;

	if (name.len != len)
		return false;
	if (len < 8)
		return field_is_same4(name.p, known.p) &&
		    field_is_same4(name.p + len - 4, known.p + len - 4);
	for (at = 0; at + 8 < len; at += 8)
		if (!field_is_same8(name.p + at, known.p + at))
			return false;
	return field_is_same8(name.p + len - 8, known.p + len - 8);
}

/* Length and first letter tell all known names apart. */
#define KEY(len, letter) ((len) << 8 | (letter))

static enum field_id
field_guess(struct str name)
{
	if (name.len < 4 || name.len > 30)
		return FIELD_OTHER;
	switch (KEY(name.len, (unsigned char)name.p[0] | 0x20)) {
	case KEY(4, 'h'): return FIELD_HOST;
	case KEY(5, 'r'): return FIELD_RANGE;
	case KEY(6, 'a'): return FIELD_ACCEPT;
	case KEY(6, 'c'): return FIELD_COOKIE;
	case KEY(6, 'e'): return FIELD_EXPECT;
	case KEY(6, 'o'): return FIELD_ORIGIN;
	case KEY(7, 'r'): return FIELD_REFERER;
	case KEY(7, 'u'): return FIELD_UPGRADE;
	case KEY(10, 'c'): return FIELD_CONNECTION;
	case KEY(10, 'u'): return FIELD_USER_AGENT;
	case KEY(11, 't'): return FIELD_TRACEPARENT;
	case KEY(12, 'c'): return FIELD_CONTENT_TYPE;
	case KEY(12, 'x'): return FIELD_X_REQUEST_ID;
	case KEY(13, 'a'): return FIELD_AUTHORIZATION;
	case KEY(13, 'i'): return FIELD_IF_NONE_MATCH;
	case KEY(14, 'c'): return FIELD_CONTENT_LENGTH;
	case KEY(15, 'a'): return FIELD_ACCEPT_ENCODING;
	case KEY(17, 'i'): return FIELD_IF_MODIFIED_SINCE;
	case KEY(17, 't'): return FIELD_TRANSFER_ENCODING;
	case KEY(29, 'a'): return FIELD_CORS_METHOD;
	case KEY(30, 'a'): return FIELD_CORS_HEADERS;
	default: return FIELD_OTHER;
	}
}

enum field_id
field_id_of(struct str name)
{
	enum field_id id = field_guess(name);

	if (id != FIELD_OTHER && !field_is(name, field_table[id]))
		return FIELD_OTHER;
	return id;
}

struct str
field_name(enum field_id id)
{
	return field_table[id];
}

bool
field_is_reserved(struct str name)
{
	return str_eq_nocase(name, STR("Content-Length")) ||
	    str_eq_nocase(name, STR("Transfer-Encoding")) ||
	    str_eq_nocase(name, STR("Connection")) ||
	    str_eq_nocase(name, STR("Keep-Alive")) ||
	    str_eq_nocase(name, STR("Date"));
}

bool
is_token(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c > 127 || !token_table[c])
			return false;
	}
	return s.len > 0;
}

static bool
is_value_byte(unsigned char c)
{
	return (c >= 0x20 || c == '\t') && c != 0x7f;
}

/* Whether one of eight bytes is below 0x20 or 0x7f: a tab is, too. */
static bool
has_control(uint64_t w)
{
	const uint64_t ones = 0x0101010101010101u, tops = ones << 7;
	uint64_t del = w ^ (ones * 0x7f);

	return (((w - ones * 0x20) & ~w) | ((del - ones) & ~del)) & tops;
}

bool
is_field_value(struct str s)
{
	size_t i = 0, j;
	uint64_t w;

	for (; s.len - i >= sizeof(w); i += sizeof(w)) {
		memcpy(&w, s.p + i, sizeof(w));
		for (j = i; has_control(w) && j < i + sizeof(w); j++)
			if (!is_value_byte((unsigned char)s.p[j]))
				return false;
	}
	for (; i < s.len; i++)
		if (!is_value_byte((unsigned char)s.p[i]))
			return false;
	return true;
}
