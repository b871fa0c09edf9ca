/* SPDX-License-Identifier: MIT */
/*
 * The parts of a multipart form.
 *
 *	preamble CRLF --boundary CRLF head CRLF CRLF content
 *	         CRLF --boundary CRLF head CRLF CRLF content
 *	         CRLF --boundary-- epilogue
 *
 * Owns nothing.  Invariant: `rest` begins with a delimiter, or with the content
 * whose first delimiter may lack its CRLF; it is .p NULL at the end.
 * Here: syntax, and what names may be.  Not here: what is done with a part
 * (form.c).
 * Context: a worker's loop.
 */
#include "server/multipart.h"

#include "common/utf8.h"
#include "server/http.h"
#include "server/media_type.h"

/* RFC 2046 5.1.1: bchars, and no space at the end. */
static bool
is_boundary(struct str s)
{
	static const char others[] = "'()+_,-./:=? ";

	for (size_t i = 0; i < s.len; i++) {
		char low = (char)(s.p[i] | 0x20);

		if (!(low >= 'a' && low <= 'z') &&
		    !(s.p[i] >= '0' && s.p[i] <= '9') &&
		    memchr(others, s.p[i], sizeof(others) - 1) == NULL)
			return false;
	}
	return s.len > 0 && s.len <= MULTIPART_BOUNDARY_MAX &&
	    s.p[s.len - 1] != ' ';
}

void
multipart_init(struct multipart *m, struct str content_type,
    struct str content, struct arena *a)
{
	struct str boundary = media_param_find(content_type, STR("boundary"),
	    a);

	*m = (struct multipart){.arena = a,
	    .rest = content.p != NULL ? content : STR("")};
	if (!is_boundary(boundary)) {
		m->what = "the boundary is missing or malformed";
		return;
	}
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary.p, boundary.len);
	m->delimiter_len = 4 + boundary.len;
}

static enum multipart_result
multipart_fail(struct multipart *m, const char *what)
{
	m->what = what;
	return MULTIPART_BAD;
}

static struct str
str_behind(struct str s, size_t n)
{
	return str_from(s.p + n, s.len - n);
}

/*
 * What follows a delimiter's bytes says whether it is one: "--", or a line end
 * behind white space (RFC 2046 5.1.1).  Returns how many bytes that is, 0 where
 * it is none.
 */
static size_t
delimiter_tail(struct str s, bool *ret_is_last)
{
	size_t i = 0;

	*ret_is_last = s.len >= 2 && s.p[0] == '-' && s.p[1] == '-';
	if (*ret_is_last)
		return 2;
	while (i < s.len && (s.p[i] == ' ' || s.p[i] == '\t'))
		i++;
	return s.len - i >= 2 && s.p[i] == '\r' && s.p[i + 1] == '\n' ? i + 2
	    : 0;
}

/* The next delimiter in `s`: cuts what is in front of it into *ret_before and
 * moves `s` behind it. */
static bool
multipart_cut(const struct multipart *m, struct str *s,
    struct str *ret_before, bool *ret_is_last)
{
	struct str rest = *s;
	const char *hit;
	size_t tail;

	while ((hit = memmem(rest.p, rest.len, m->delimiter,
	    m->delimiter_len)) != NULL) {
		rest = str_behind(rest, (size_t)(hit - rest.p) +
		    m->delimiter_len);
		tail = delimiter_tail(rest, ret_is_last);
		if (tail == 0)
			continue;
		*ret_before = str_from(s->p, (size_t)(hit - s->p));
		*s = str_behind(rest, tail);
		return true;
	}
	return false;
}

/* The first delimiter, which may stand at the very beginning. */
static enum multipart_result
multipart_start(struct multipart *m)
{
	struct str bare = str_from(m->delimiter + 2, m->delimiter_len - 2);
	struct str before, rest;
	bool is_last;
	size_t tail;

	if (str_has_prefix(m->rest, bare)) {
		rest = str_behind(m->rest, bare.len);
		tail = delimiter_tail(rest, &is_last);
		if (tail > 0) {
			m->rest = is_last ? str_from(NULL, 0)
			    : str_behind(rest, tail);
			return is_last ? MULTIPART_END : MULTIPART_PART;
		}
	}
	if (!multipart_cut(m, &m->rest, &before, &is_last))
		return multipart_fail(m, "no boundary begins it");
	if (!is_last)
		return MULTIPART_PART;
	m->rest = str_from(NULL, 0);
	return MULTIPART_END;
}

static bool
is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return s.len <= MULTIPART_NAME_MAX && utf8_is_valid(s);
}

/* RFC 7578 4.2: a path in front of a file's name isn't the server's business.
 * What is left may be empty, and is no name of a directory. */
static struct str
last_component(struct str path)
{
	size_t i = path.len;

	while (i > 0 && path.p[i - 1] != '/' && path.p[i - 1] != '\\')
		i--;
	path = str_behind(path, i);
	if (str_eq(path, STR(".")) || str_eq(path, STR("..")))
		return STR("");
	return path;
}

static enum multipart_result
part_disposition(struct multipart *m, struct str value,
    struct multipart_part *part)
{
	struct str rest = value, name, text;
	enum media_result result;

	if (part->name.p != NULL)
		return multipart_fail(m, "two Content-Disposition fields");
	if (!str_eq_nocase(media_type(&rest), STR("form-data")))
		return multipart_fail(m, "a part is no form-data");
	while ((result = media_param_next(&rest, m->arena, &name, &text)) ==
	    MEDIA_PARAM) {
		/* RFC 7578 4.2: filename* must not be used, nor looked at. */
		if (str_eq_nocase(name, STR("name")) && part->name.p == NULL)
			part->name = text;
		else if (str_eq_nocase(name, STR("filename")) &&
		    part->filename.p == NULL)
			part->filename = text;
	}
	if (result == MEDIA_NO_MEMORY)
		return MULTIPART_NO_MEMORY;
	if (result == MEDIA_BAD)
		return multipart_fail(m, "malformed Content-Disposition");
	if (part->name.p == NULL)
		return multipart_fail(m, "a part has no name");
	if (!is_name(part->name))
		return multipart_fail(m, "bad bytes in a part's name, or too "
		    "many");
	if (part->filename.p != NULL && !is_name(part->filename))
		return multipart_fail(m, "bad bytes in a file's name, or too "
		    "many");
	if (part->filename.p != NULL)
		part->filename = last_component(part->filename);
	return MULTIPART_PART;
}

/* RFC 7578 4.7: deprecated; what it names isn't undone here, so that what would
 * come out wrong is refused. */
static bool
is_plain_encoding(struct str value)
{
	return str_eq_nocase(value, STR("binary")) ||
	    str_eq_nocase(value, STR("8bit")) ||
	    str_eq_nocase(value, STR("7bit"));
}

static enum multipart_result
part_field(struct multipart *m, struct str line, struct multipart_part *part)
{
	struct str name, value = line;

	if (!str_cut(&value, ':', &name) || value.p == NULL ||
	    !is_token(name) || !is_field_value(value))
		return multipart_fail(m, "malformed field in a part's head");
	value = str_trim(value);
	if (str_eq_nocase(name, STR("Content-Disposition")))
		return part_disposition(m, value, part);
	if (str_eq_nocase(name, STR("Content-Type")))
		part->type = value;
	else if (str_eq_nocase(name, STR("Content-Transfer-Encoding")) &&
	    !is_plain_encoding(value))
		return multipart_fail(m, "a part's transfer encoding isn't "
		    "taken");
	return MULTIPART_PART;
}

/* Fields up to the blank line; moves `s` behind it. */
static enum multipart_result
part_head(struct multipart *m, struct str *s, struct multipart_part *part)
{
	struct str window = *s, line;
	enum multipart_result result;
	const char *end;

	if (window.len > MULTIPART_HEAD_MAX)
		window.len = MULTIPART_HEAD_MAX;
	for (;;) {
		end = memmem(window.p, window.len, "\r\n", 2);
		if (end == NULL)
			return multipart_fail(m,
			    s->len > MULTIPART_HEAD_MAX
			    ? "a part's head is too large"
			    : "a part's head doesn't end");
		line = str_from(window.p, (size_t)(end - window.p));
		window = str_behind(window, line.len + 2);
		if (line.len == 0)
			break;
		result = part_field(m, line, part);
		if (result != MULTIPART_PART)
			return result;
	}
	*s = str_behind(*s, (size_t)(window.p - s->p));
	return MULTIPART_PART;
}

/* The content ends in front of the next delimiter. */
static enum multipart_result
part_content(struct multipart *m, struct str *s, struct multipart_part *part)
{
	/* An empty one may end right behind the head, whose last CRLF is then
	 * the delimiter's too. */
	struct str rest = str_from(s->p - 2, s->len + 2);
	bool is_last;

	if (!multipart_cut(m, &rest, &part->content, &is_last))
		return multipart_fail(m, "the last boundary is missing");
	if (part->content.len >= 2)
		part->content = str_behind(part->content, 2);
	else
		part->content = STR("");
	*s = is_last ? str_from(NULL, 0) : rest;
	return MULTIPART_PART;
}

enum multipart_result
multipart_next(struct multipart *m, struct multipart_part *ret_part)
{
	struct multipart_part part = {.type = STR("")};
	enum multipart_result result = MULTIPART_PART;
	struct str rest;

	if (m->what != NULL)
		return MULTIPART_BAD;
	if (m->count == 0 && m->rest.p != NULL)
		result = multipart_start(m);
	if (result != MULTIPART_PART)
		return result;
	if (m->rest.p == NULL)
		return MULTIPART_END;
	if (++m->count > MULTIPART_PARTS_MAX)
		return multipart_fail(m, "too many parts");
	rest = m->rest;
	result = part_head(m, &rest, &part);
	if (result != MULTIPART_PART)
		return result;
	if (part.name.p == NULL)
		return multipart_fail(m, "a part has no Content-Disposition");
	result = part_content(m, &rest, &part);
	if (result != MULTIPART_PART)
		return result;
	m->rest = rest;
	*ret_part = part;
	return MULTIPART_PART;
}
