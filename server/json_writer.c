/* SPDX-License-Identifier: MIT */
/*
 * The JSON writer.
 *
 * Owns nothing: the text is the arena's, and so is what it has grown out of.
 * Invariant: [start, at) is JSON that may go on; after a mistake, or want of
 * memory, nothing is added any more.
 * Here: nesting, strings, numbers.  Not here: how it is sent (api_response.c).
 * Context: a worker's loop.
 */
#include "server/json_writer.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "common/base64.h"
#include "common/utf8.h"
#include "common/word.h"
#include "server/ctx.h"

#define WRITER_FIRST_BYTES 512
/* "-9223372036854775808", "-1.7976931348623157e+308" */
#define NUMBER_BYTES 32

void
json_writer_init(struct lane_json_writer *w, struct lane_ctx *c)
{
	w->ctx = c;
	w->start = w->at = arena_alloc(c->arena, WRITER_FIRST_BYTES);
	w->end = w->start != NULL ? w->start + WRITER_FIRST_BYTES : NULL;
	w->mistake = NULL;
	w->is_no_memory = w->start == NULL;
	w->is_object = w->has_key = w->needs_comma = false;
	w->depth = 0;
}

static bool
writer_mistake(struct lane_json_writer *w, const char *what)
{
	w->mistake = what;
	return false;
}

static __attribute__((noinline)) bool
writer_grow(struct lane_json_writer *w, size_t bytes)
{
	size_t used = (size_t)(w->at - w->start);
	size_t cap = (size_t)(w->end - w->start) * 2;
	char *bigger = NULL;

	if (bytes < SIZE_MAX / 4) {
		while (cap - used < bytes)
			cap *= 2;
		bigger = arena_alloc(w->ctx->arena, cap);
	}
	if (bigger == NULL) {
		w->is_no_memory = true;
		return false;
	}
	memcpy(bigger, w->start, used);
	w->start = bigger;
	w->at = bigger + used;
	w->end = bigger + cap;
	return true;
}

static inline bool
writer_reserve(struct lane_json_writer *w, size_t bytes)
{
	return (size_t)(w->end - w->at) >= bytes || writer_grow(w, bytes);
}

static inline bool
writer_has_failed(const struct lane_json_writer *w)
{
	return w == NULL || w->mistake != NULL || w->is_no_memory;
}

/* In front of a value of at most `bytes`: its place, and its comma. */
static inline bool
writer_value(struct lane_json_writer *w, size_t bytes)
{
	if (writer_has_failed(w))
		return false;
	if (w->is_object && !w->has_key)
		return writer_mistake(w, "a value without a key");
	if (w->depth == 0 && w->needs_comma)
		return writer_mistake(w, "a second value at the top");
	if (!writer_reserve(w, bytes + 1))
		return false;
	if (w->needs_comma && !w->has_key)
		*w->at++ = ',';
	w->needs_comma = true;
	w->has_key = false;
	return true;
}

static inline void
writer_put(struct lane_json_writer *w, struct str s)
{
	memcpy(w->at, s.p, s.len);
	w->at += s.len;
}

/* Nesting. */

static void
writer_open(struct lane_json_writer *w, char bracket)
{
	uint64_t bit;

	if (!writer_value(w, 1))
		return;
	if (w->depth == JSON_WRITER_DEPTH) {
		writer_mistake(w, "nested too deep");
		return;
	}
	bit = UINT64_C(1) << w->depth % 64;
	w->is_object = bracket == '{';
	if (w->is_object)
		w->objects[w->depth / 64] |= bit;
	else
		w->objects[w->depth / 64] &= ~bit;
	w->depth++;
	w->needs_comma = false;
	*w->at++ = bracket;
}

void
lane_json_object(struct lane_json_writer *w)
{
	writer_open(w, '{');
}

void
lane_json_array(struct lane_json_writer *w)
{
	writer_open(w, '[');
}

void
lane_json_end(struct lane_json_writer *w)
{
	unsigned above;

	if (writer_has_failed(w))
		return;
	if (w->depth == 0) {
		writer_mistake(w, "an end without a beginning");
		return;
	}
	if (w->has_key) {
		writer_mistake(w, "a key without a value");
		return;
	}
	if (!writer_reserve(w, 1))
		return;
	*w->at++ = w->is_object ? '}' : ']';
	w->depth--;
	above = w->depth - 1;
	w->is_object = w->depth > 0 && (w->objects[above / 64] >> above % 64 &
	    1);
	w->needs_comma = true;
}

/* Strings. */

/* Which bytes of a word can't be copied as they are: quote, backslash, control
 * and non-ASCII bytes. */
static inline uint64_t
word_special(uint64_t w)
{
	/* Below 0x20: a borrow can only mark a byte behind a true one. */
	return word_match(w, '"') | word_match(w, '\\') |
	    ((w - WORD_OF(0x20)) & WORD_HIGH) | (w & WORD_HIGH);
}

static inline bool
is_special(char byte)
{
	return (signed char)byte < 0x20 || byte == '"' || byte == '\\';
}

/* The last bytes of a text, fewer than a word, together with some in front of
 * them that are known to be plain; or the text, of less than a word, by its two
 * halves, which may overlap.  Returns false when it isn't all plain. */
static inline bool
plain_copy_tail(char *out, struct str s)
{
	uint32_t half[2];
	uint64_t word;
	size_t at;

	if (s.len >= WORD_BYTES) {
		at = s.len - WORD_BYTES;
		word = word_load(s.p + at);
		if (word_special(word) != 0)
			return false;
		memcpy(out + at, &word, sizeof(word));
		return true;
	}
	if (s.len < sizeof(half[0]))
		return false;
	at = s.len - sizeof(half[1]);
	memcpy(&half[0], s.p, sizeof(half[0]));
	memcpy(&half[1], s.p + at, sizeof(half[1]));
	if (word_special((uint64_t)half[0] << 32 | half[1]) != 0)
		return false;
	memcpy(out, &half[0], sizeof(half[0]));
	memcpy(out + at, &half[1], sizeof(half[1]));
	return true;
}

/* Copies what needs no escape from the beginning of `s`; returns how much.
 * `out` has room for all of it. */
static inline size_t
plain_copy(char *out, struct str s)
{
	size_t i = 0;
	uint64_t word;

	for (; i + WORD_BYTES <= s.len; i += WORD_BYTES) {
		word = word_load(s.p + i);
		if (word_special(word) != 0)
			break;
		memcpy(out + i, &word, sizeof(word));
	}
	if (i + WORD_BYTES > s.len && plain_copy_tail(out, s))
		return s.len;
	while (i < s.len && !is_special(s.p[i])) {
		out[i] = s.p[i];
		i++;
	}
	return i;
}

static char *
put_control(char *p, char byte)
{
	static const char hex[] = "0123456789abcdef";

	*p++ = '\\';
	switch (byte) {
	case '"':
	case '\\':
		*p++ = byte;
		break;
	case '\n':
		*p++ = 'n';
		break;
	case '\r':
		*p++ = 'r';
		break;
	case '\t':
		*p++ = 't';
		break;
	default:
		memcpy(p, "u00", 3);
		p[3] = hex[(unsigned char)byte >> 4];
		p[4] = hex[byte & 0xf];
		p += 5;
	}
	return p;
}

/* One character that isn't copied as it is; returns its length. */
static size_t
writer_special(struct lane_json_writer *w, struct str s)
{
	size_t n;

	if ((unsigned char)s.p[0] < 0x80) {
		w->at = put_control(w->at, s.p[0]);
		return 1;
	}
	n = utf8_length(s);
	if (n == 0) {
		writer_put(w, STR("\xef\xbf\xbd")); /* U+FFFD */
		return 1;
	}
	writer_put(w, str_from(s.p, n));
	return n;
}

/* With its quotes.  There is room for s.len + 2. */
static inline void
writer_string(struct lane_json_writer *w, struct str s)
{
	size_t n;

	*w->at++ = '"';
	for (;;) {
		n = plain_copy(w->at, s);
		w->at += n;
		s = str_from(s.p + n, s.len - n);
		if (s.len == 0)
			break;
		/* Six bytes at most for this one, as many as there are for the
		 * others, until one of them wants more. */
		if (!writer_reserve(w, 6 + s.len + 1))
			return;
		n = writer_special(w, s);
		s = str_from(s.p + n, s.len - n);
	}
	*w->at++ = '"';
}

void
lane_json_str(struct lane_json_writer *w, struct lane_str s)
{
	if (writer_value(w, s.len + 2))
		writer_string(w, str_from(s.len > 0 ? s.p : "", s.len));
}

void
lane_json_key(struct lane_json_writer *w, const char *key)
{
	size_t len;

	if (writer_has_failed(w))
		return;
	if (!w->is_object || w->has_key) {
		writer_mistake(w, "a key where none can be");
		return;
	}
	len = strlen(key);
	if (!writer_reserve(w, len + 4))
		return;
	if (w->needs_comma)
		*w->at++ = ',';
	writer_string(w, str_from(key, len));
	if (!writer_reserve(w, 1))
		return;
	*w->at++ = ':';
	w->needs_comma = w->has_key = true;
}

/* Numbers. */

static char *
put_u64(char *p, uint64_t v)
{
	char digits[20];
	size_t n = sizeof(digits);

	do
		digits[--n] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	memcpy(p, digits + n, sizeof(digits) - n);
	return p + sizeof(digits) - n;
}

static char *
put_i64(char *p, int64_t v)
{
	if (v >= 0)
		return put_u64(p, (uint64_t)v);
	*p++ = '-';
	return put_u64(p, -(uint64_t)v);
}

void
lane_json_int(struct lane_json_writer *w, int64_t i)
{
	if (writer_value(w, NUMBER_BYTES))
		w->at = put_i64(w->at, i);
}

void
lane_json_uint(struct lane_json_writer *w, uint64_t i)
{
	if (writer_value(w, NUMBER_BYTES))
		w->at = put_u64(w->at, i);
}

/* Integers below this, and these divided by a power of ten up to 10^22, are
 * exact doubles, so that one division rounds as a reader does. */
#define EXACT_MAX 9007199254740992.0

/* A number with few digits behind its point, which most are: the fewest that
 * read back as the same.  NULL: it needs more. */
static char *
put_short_float(char *p, double f)
{
	static const double ten[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
	double whole = fabs(f);
	uint64_t scaled, unit = 1;

	for (size_t i = 0; i < sizeof(ten) / sizeof(ten[0]); i++, unit *= 10) {
		if (whole * ten[i] >= EXACT_MAX)
			return NULL;
		scaled = (uint64_t)nearbyint(whole * ten[i]);
		if ((double)scaled / ten[i] != whole)
			continue;
		if (signbit(f))
			*p++ = '-';
		p = put_u64(p, scaled / unit);
		if (i == 0)
			return p;
		/* The fraction with its leading zeros: put as 1xxx. */
		p = put_u64(p, unit + scaled % unit);
		p[-(ptrdiff_t)i - 1] = '.';
		return p;
	}
	return NULL;
}

/* The fewest digits that read back as the same; 15 always stand for
 * themselves. */
static char *
put_long_float(char *p, double f)
{
	int len = 0;

	/* Those near zero have fewer digits than others. */
	for (int digits = fabs(f) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
		len = snprintf(p, NUMBER_BYTES, "%.*g", digits, f);
		if (strtod(p, NULL) == f)
			break;
	}
	/* A library may have set a locale in which a point is a comma. */
	for (int i = 0; i < len; i++)
		if (p[i] == ',')
			p[i] = '.';
	return p + len;
}

void
lane_json_float(struct lane_json_writer *w, double f)
{
	char *end;

	if (!isfinite(f)) {
		lane_json_null(w);
		return;
	}
	if (!writer_value(w, NUMBER_BYTES))
		return;
	end = put_short_float(w->at, f);
	w->at = end != NULL ? end : put_long_float(w->at, f);
}

/* Everything else. */

static void
writer_text(struct lane_json_writer *w, struct str text)
{
	if (writer_value(w, text.len))
		writer_put(w, text);
}

void
lane_json_bool(struct lane_json_writer *w, bool b)
{
	writer_text(w, b ? STR("true") : STR("false"));
}

void
lane_json_null(struct lane_json_writer *w)
{
	writer_text(w, STR("null"));
}

void
lane_json_raw(struct lane_json_writer *w, struct lane_str json)
{
	if (writer_has_failed(w))
		return;
	if (json.len == 0)
		writer_mistake(w, "an empty raw value");
	else
		writer_text(w, str_of_lane(json));
}

static void
writer_base64(struct lane_json_writer *w, struct str data)
{
	if (!writer_value(w, BASE64_TEXT_BYTES(data.len) + 2))
		return;
	*w->at++ = '"';
	w->at += base64_encode(data, BASE64_PLAIN, w->at);
	*w->at++ = '"';
}

void
lane_json_value(struct lane_json_writer *w, struct lane_value v)
{
	switch (v.kind) {
	case LANE_NULL:
		lane_json_null(w);
		return;
	case LANE_BOOL:
		lane_json_bool(w, v.u.b);
		return;
	case LANE_INT:
		lane_json_int(w, v.u.i);
		return;
	case LANE_FLOAT:
		lane_json_float(w, v.u.f);
		return;
	case LANE_TEXT:
		lane_json_str(w, v.u.s);
		return;
	case LANE_BLOB:
		writer_base64(w, str_of_lane(v.u.s));
		return;
	case LANE_POINTER:
		break;
	}
	if (!writer_has_failed(w))
		writer_mistake(w, "a value that JSON can't say");
}

void
lane_json_add_str(struct lane_json_writer *w, const char *key,
    struct lane_str s)
{
	lane_json_key(w, key);
	lane_json_str(w, s);
}

void
lane_json_add_int(struct lane_json_writer *w, const char *key, int64_t i)
{
	lane_json_key(w, key);
	lane_json_int(w, i);
}

void
lane_json_add_float(struct lane_json_writer *w, const char *key, double f)
{
	lane_json_key(w, key);
	lane_json_float(w, f);
}

void
lane_json_add_bool(struct lane_json_writer *w, const char *key, bool b)
{
	lane_json_key(w, key);
	lane_json_bool(w, b);
}

static void
writer_leaf(struct lane_json_writer *w, const cJSON *item)
{
	switch (item->type & 0xff) {
	case cJSON_False:
	case cJSON_True:
		lane_json_bool(w, cJSON_IsTrue(item));
		break;
	case cJSON_NULL:
		lane_json_null(w);
		break;
	case cJSON_Number:
		lane_json_float(w, item->valuedouble);
		break;
	case cJSON_String:
		lane_json_str(w, lane_of(str_of(item->valuestring)));
		break;
	case cJSON_Raw:
		lane_json_raw(w, lane_of(str_of(item->valuestring)));
		break;
	default:
		if (!writer_has_failed(w))
			writer_mistake(w, "a tree with an invalid item");
	}
}

/* Recursion ends with the writer's depth. */
void
json_write_tree(struct lane_json_writer *w, const struct cJSON *tree)
{
	const cJSON *item;

	if (writer_has_failed(w))
		return;
	if (!cJSON_IsArray(tree) && !cJSON_IsObject(tree)) {
		writer_leaf(w, tree);
		return;
	}
	writer_open(w, cJSON_IsObject(tree) ? '{' : '[');
	for (item = tree->child; item != NULL; item = item->next) {
		if (w->is_object)
			lane_json_key(w, item->string != NULL
			    ? item->string : "");
		json_write_tree(w, item);
	}
	lane_json_end(w);
}

struct str
json_writer_end(const struct lane_json_writer *w, const char **ret_mistake)
{
	*ret_mistake = NULL;
	if (w != NULL && w->mistake != NULL)
		*ret_mistake = w->mistake;
	else if (w != NULL && !w->is_no_memory && w->depth > 0)
		*ret_mistake = "an object or array without an end";
	else if (w != NULL && !w->is_no_memory && !w->needs_comma)
		*ret_mistake = "nothing was written";
	else if (w != NULL && !w->is_no_memory)
		return str_from(w->start, (size_t)(w->at - w->start));
	return str_from(NULL, 0);
}

struct lane_str
lane_json_text(struct lane_json_writer *w)
{
	const char *mistake;

	return lane_of(json_writer_end(w, &mistake));
}
