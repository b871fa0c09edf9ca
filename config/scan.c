/* SPDX-License-Identifier: MIT */
/*
 * The strict pass over a configuration's text: JSON of RFC 8259 plus comments
 * and trailing commas.  cJSON, which reads the text afterwards, takes much that
 * JSON doesn't allow (01, 1., 1e400, raw control bytes, bytes that aren't
 * UTF-8, \u0000), and has no idea of lines; both are made good here.
 *
 * Owns the clean copy of the text and the chain of places.  A broken value is
 * told, marked and replaced, so that the rest of the file is still checked; a
 * broken structure ends the pass.
 *
 * Here: grammar and places.  Not here: values (node.c), meaning (read.c).
 * Context: one thread.  Reading order: config.c -> node.c -> [scan.c].
 */
#include "config/scan.h"

#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

struct scan {
	struct str text;
	char *clean;
	size_t at;
	unsigned depth;
	struct arena *arena;
	struct report *report;
	struct node *first, **last;
	/* The last place that was asked for: they come in order. */
	size_t seen_at;
	struct config_pos seen;
};

static int scan_value(struct scan *s, struct config_pos key_pos, bool key_bad);

/* Columns count characters, as editors do. */
static struct config_pos
scan_pos(struct scan *s, size_t at)
{
	unsigned char c;

	if (at < s->seen_at || s->seen.line == 0) {
		s->seen_at = 0;
		s->seen = (struct config_pos){1, 1};
	}
	for (; s->seen_at < at; s->seen_at++) {
		c = (unsigned char)s->text.p[s->seen_at];
		if (c == '\n') {
			s->seen.line++;
			s->seen.column = 1;
		} else if ((c & 0xc0) != 0x80) {
			s->seen.column++;
		}
	}
	return s->seen;
}

static int
scan_fail(struct scan *s, size_t at, const char *what)
{
	report_at(s->report, scan_pos(s, at), NULL, "%s", what);
	return -1;
}

/* The byte at the cursor; 0 at the end, where cJSON finds its NUL too. */
static char
scan_peek(const struct scan *s)
{
	return s->at < s->text.len ? s->text.p[s->at] : '\0';
}

static bool
scan_is_end(const struct scan *s)
{
	return s->at >= s->text.len;
}

static bool
scan_has(const struct scan *s, const char *word)
{
	return str_has_prefix(str_from(s->text.p + s->at,
	    s->text.len - s->at), str_of(word));
}

/* Overwrites what was read from `from` to the cursor, keeping its lines. */
static void
scan_blank(struct scan *s, size_t from)
{
	for (; from < s->at; from++)
		if (s->clean[from] != '\n')
			s->clean[from] = ' ';
}

/* The value that was read from `from` to the cursor is wrong: reading goes on
 * with `instead` in its place. */
static void
scan_replace(struct scan *s, size_t from, const char *instead)
{
	scan_blank(s, from);
	memcpy(s->clean + from, instead, strlen(instead));
}

static int
scan_comment(struct scan *s)
{
	size_t from = s->at;
	bool is_line = s->text.p[s->at + 1] == '/';

	s->at += 2;
	while (!scan_is_end(s)) {
		if (is_line && scan_peek(s) == '\n')
			break;
		if (!is_line && scan_has(s, "*/")) {
			s->at += 2;
			scan_blank(s, from);
			return 0;
		}
		s->at++;
	}
	if (!is_line)
		return scan_fail(s, from, "this comment never ends: close it "
		    "with */");
	scan_blank(s, from);
	return 0;
}

static int
scan_space(struct scan *s)
{
	for (;;) {
		switch (scan_peek(s)) {
		case ' ':
		case '\t':
		case '\r':
		case '\n':
			s->at++;
			continue;
		case '/':
			if (!scan_has(s, "//") && !scan_has(s, "/*"))
				return scan_fail(s, s->at, "a comment starts "
				    "with // or /*");
			if (scan_comment(s) == -1)
				return -1;
			continue;
		case '#':
			return scan_fail(s, s->at, "a comment starts with // "
			    "or /*, not with #");
		default:
			return 0;
		}
	}
}

/* The number behind \u at the cursor, or -1. */
static int
scan_unicode(const struct scan *s)
{
	int value = 0, digit;
	size_t i;

	if (!scan_has(s, "\\u") || s->text.len - s->at < 6)
		return -1;
	for (i = 2; i < 6; i++) {
		digit = str_hex_digit(s->text.p[s->at + i]);
		if (digit == -1)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* Reads one \ sequence.  Returns what is wrong with it, or NULL. */
static const char *
scan_escape(struct scan *s)
{
	int high, low;

	if (!scan_has(s, "\\u")) {
		char c = s->at + 1 < s->text.len ? s->text.p[s->at + 1] : '\0';

		if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL) {
			s->at++;
			return "after \\ comes one of \" \\ / b f n r t u";
		}
		s->at += 2;
		return NULL;
	}
	high = scan_unicode(s);
	if (high == -1) {
		s->at += 2;
		return "after \\u come four hexadecimal digits";
	}
	s->at += 6;
	if (high == 0)
		return "\\u0000 can't be part of a string";
	if (high >= 0xdc00 && high <= 0xdfff)
		return "half a surrogate pair: \\uD800 to \\uDBFF comes first";
	if (high < 0xd800 || high > 0xdbff)
		return NULL;
	low = scan_unicode(s);
	if (low < 0xdc00 || low > 0xdfff)
		return "half a surrogate pair: \\uDC00 to \\uDFFF must follow";
	s->at += 6;
	return NULL;
}

/* Reads one character.  Returns what is wrong with it, or NULL. */
static const char *
scan_char(struct scan *s)
{
	unsigned char c = (unsigned char)scan_peek(s);
	size_t length;

	if (c == '\\')
		return scan_escape(s);
	if (c < 0x20) {
		s->at++;
		return c == '\t' ? "a raw tab in a string: write \\t" :
		    "a raw control character in a string: write \\u00XX";
	}
	length = utf8_length(str_from(s->text.p + s->at,
	    s->text.len - s->at));
	s->at += length == 0 ? 1 : length;
	return length == 0 ? "this byte isn't UTF-8" : NULL;
}

/* Reads a string with its quotes.  ret_bad: something in it is wrong. */
static int
scan_string(struct scan *s, bool *ret_bad)
{
	size_t from = s->at++, at;
	const char *wrong;
	bool bad = false;

	while (!scan_is_end(s) && scan_peek(s) != '\n') {
		if (scan_peek(s) == '"') {
			s->at++;
			if (bad)
				scan_replace(s, from, "\"\"");
			*ret_bad = bad;
			return 0;
		}
		at = s->at;
		wrong = scan_char(s);
		if (wrong != NULL) {
			scan_fail(s, at, wrong);
			bad = true;
		}
	}
	return scan_fail(s, from, "this string doesn't end on its line");
}

static size_t
count_digits(struct str s)
{
	size_t n = 0;

	while (n < s.len && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return n;
}

/* RFC 8259 6, one step more than cJSON: not 01, 1. or 1e400. */
static const char *
number_check(struct str s)
{
	char text[32];
	size_t n;

	if (s.len >= sizeof(text))
		return "this number has too many digits";
	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	if (s.len > 0 && s.p[0] == '-')
		s = str_from(s.p + 1, s.len - 1);
	n = count_digits(s);
	if (n == 0)
		return "a number starts with a digit";
	if (n > 1 && s.p[0] == '0')
		return "a number doesn't start with 0";
	s = str_from(s.p + n, s.len - n);
	if (s.len > 0 && s.p[0] == '.') {
		n = count_digits(str_from(s.p + 1, s.len - 1));
		if (n == 0)
			return "digits must follow the decimal point";
		s = str_from(s.p + n + 1, s.len - n - 1);
	}
	if (s.len > 0 && (s.p[0] == 'e' || s.p[0] == 'E')) {
		n = s.len > 1 && (s.p[1] == '+' || s.p[1] == '-') ? 2 : 1;
		s = str_from(s.p + n, s.len - n);
		n = count_digits(s);
		if (n == 0)
			return "digits must follow the exponent's letter";
		s = str_from(s.p + n, s.len - n);
	}
	if (s.len > 0)
		return "this isn't a number; a string takes double quotes";
	if (__builtin_isinf(strtod(text, NULL)))
		return "this number is too large";
	return NULL;
}

static bool
is_word_byte(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '+' ||
	    c == '-' || (unsigned char)c >= 0x80;
}

/* true, false, null, or a number: everything without quotes or brackets. */
static int
scan_word(struct scan *s, struct node *n)
{
	size_t from = s->at;
	const char *wrong = NULL;
	struct str word;

	while (is_word_byte(scan_peek(s)))
		s->at++;
	word = str_from(s->text.p + from, s->at - from);
	if (word.len == 0)
		return scan_fail(s, from, scan_is_end(s) ?
		    "the file ends where a value is due" :
		    scan_peek(s) == '\'' ? "a string takes double quotes" :
		    "a value is missing here");
	n->kind = NODE_NUMBER;
	n->text = word;
	if (str_eq(word, STR("null"))) {
		n->kind = NODE_NULL;
	} else if (str_eq(word, STR("true")) || str_eq(word, STR("false"))) {
		n->kind = NODE_BOOL;
		n->is_true = word.p[0] == 't';
	} else if ((word.p[0] >= '0' && word.p[0] <= '9') ||
	    strchr("+-.", word.p[0]) != NULL) {
		wrong = number_check(word);
	} else {
		wrong = "a string takes double quotes; without them there are "
		    "numbers, true, false and null";
	}
	if (wrong == NULL)
		return 0;
	scan_fail(s, from, wrong);
	scan_replace(s, from, "0");
	n->is_bad = true;
	return 0;
}

/* A comma, or the closing bracket: a comma before it becomes a space. */
static int
scan_separator(struct scan *s, char close, bool *ret_done)
{
	size_t comma;

	if (scan_space(s) == -1)
		return -1;
	if (scan_peek(s) == ',') {
		comma = s->at++;
		if (scan_space(s) == -1)
			return -1;
		if (scan_peek(s) != close) {
			*ret_done = false;
			return 0;
		}
		s->clean[comma] = ' ';
	}
	if (scan_is_end(s))
		return scan_fail(s, s->at, close == '}' ?
		    "the file ends within an object: } is missing" :
		    "the file ends within a list: ] is missing");
	if (scan_peek(s) != close)
		return scan_fail(s, s->at, close == '}' ?
		    "a comma or } is missing here" :
		    "a comma or ] is missing here");
	s->at++;
	*ret_done = true;
	return 0;
}

static int
scan_member(struct scan *s)
{
	struct config_pos key_pos = scan_pos(s, s->at);
	bool key_bad;

	if (scan_peek(s) != '"')
		return scan_fail(s, s->at, scan_is_end(s) ?
		    "the file ends within an object: } is missing" :
		    "a key in double quotes is missing here");
	if (scan_string(s, &key_bad) == -1 || scan_space(s) == -1)
		return -1;
	if (scan_peek(s) != ':')
		return scan_fail(s, s->at, "a colon is missing after the key");
	s->at++;
	return scan_value(s, key_pos, key_bad);
}

static int
scan_members(struct scan *s, char close)
{
	const struct config_pos none = {0, 0};
	bool done = false;

	s->at++;
	if (scan_space(s) == -1)
		return -1;
	if (scan_peek(s) == close) {
		s->at++;
		return 0;
	}
	while (!done) {
		if (close == '}' ? scan_member(s) == -1 :
		    scan_value(s, none, false) == -1)
			return -1;
		if (scan_separator(s, close, &done) == -1)
			return -1;
	}
	return 0;
}

static struct node *
scan_add_node(struct scan *s)
{
	struct node *n = arena_zalloc(s->arena, sizeof(*n));

	if (n == NULL) {
		s->report->out_of_memory = true;
		return NULL;
	}
	n->pos = scan_pos(s, s->at);
	*s->last = n;
	s->last = &n->next;
	return n;
}

static int
scan_value(struct scan *s, struct config_pos key_pos, bool key_bad)
{
	struct node *n;
	bool bad;
	int result;

	if (scan_space(s) == -1 || (n = scan_add_node(s)) == NULL)
		return -1;
	n->key_pos = key_pos;
	n->is_bad = key_bad;
	switch (scan_peek(s)) {
	case '"':
		n->kind = NODE_STRING;
		if (scan_string(s, &bad) == -1)
			return -1;
		n->is_bad = n->is_bad || bad;
		return 0;
	case '{':
	case '[':
		n->kind = scan_peek(s) == '{' ? NODE_OBJECT : NODE_LIST;
		if (++s->depth > SCAN_DEPTH_MAX)
			return scan_fail(s, s->at, "nested too deep");
		result = scan_members(s, n->kind == NODE_OBJECT ? '}' : ']');
		s->depth--;
		return result;
	default:
		return scan_word(s, n);
	}
}

/* The byte order mark that some editors put in front is no part of the text. */
static void
scan_skip_mark(struct scan *s)
{
	if (!scan_has(s, "\xef\xbb\xbf"))
		return;
	s->at = 3;
	scan_blank(s, 0);
	s->seen_at = 3;
	s->seen = (struct config_pos){1, 1};
}

int
scan_text(struct arena *a, struct str text, struct report *r,
    struct scanned *ret)
{
	const struct config_pos none = {0, 0};
	struct scan s = {.text = text, .arena = a, .report = r};

	s.last = &s.first;
	s.clean = arena_alloc(a, text.len + 1);
	if (s.clean == NULL) {
		r->out_of_memory = true;
		return -1;
	}
	if (text.len > 0)
		memcpy(s.clean, text.p, text.len);
	s.clean[text.len] = '\0';
	scan_skip_mark(&s);
	if (scan_value(&s, none, false) == -1 || scan_space(&s) == -1)
		return -1;
	if (!scan_is_end(&s))
		return scan_fail(&s, s.at, "there is more after the end of the "
		    "configuration");
	ret->clean = s.clean;
	ret->first = s.first;
	return 0;
}
