/* SPDX-License-Identifier: MIT */
/*
 * Heads of HTTP/1.1 requests: found, parsed by http-parser, then held against
 * the rules that http-parser leaves to its user.
 *
 * Owns: the storage for one head; what it hands out is lent until the next.
 * Invariant: a head that comes out of here has exactly one reading.  Where two
 * servers could disagree about where a request ends or whom it is for, it is
 * refused.
 *
 * Here: RFC 9112 2, 3, 5, 6 and RFC 9110 7.2.  Not here: content, routes.
 * Context: a worker's loop.  conn.c -> http1.c -> [head.c] -> pipeline.c
 */
#include "server/head.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>

#include <http_parser.h>

#include "common/percent.h"

/* Empty lines before a request line (RFC 9112 2.2), in bytes. */
#define SKIP_BYTES_MAX 8

struct head_store {
	http_parser parser;
	struct head head;
	unsigned field_max;
	bool is_value_next;	/* a name has come, its value hasn't */
	bool is_full;		/* more fields than field_max */
	char *decoded;		/* room for target_bytes */
	struct field fields[];
};

static int
refuse(struct head_refusal *ret, int status, const char *reason)
{
	ret->status = status;
	ret->reason = reason;
	return -1;
}

/* The limits hold for what has come so far, whole lines or not. */
static int
scan_check_size(const struct head_scan *scan, size_t len,
    const struct head_limits *limits, struct head_refusal *ret)
{
	size_t bytes = len - scan->skip;

	size_t line = scan->target_end != 0 ? scan->target_end - scan->skip
	    : bytes;

	/* Method, two spaces and version go beside the target. */
	if (line > limits->target_bytes + 32)
		return refuse(ret, 414, "request target is too long");
	if (bytes > limits->head_bytes)
		return refuse(ret, 431, "header fields are too large");
	return 0;
}

/* One line has ended: the line feed is p[at]. */
static enum head_result
scan_line(struct head_scan *scan, const char *p, uint32_t at,
    struct head_refusal *ret)
{
	/* RFC 9112 2.2: only CRLF ends a line. */
	if (at == 0 || p[at - 1] != '\r')
		return refuse(ret, 400, "bare LF"), HEAD_BAD;
	if (at - 1 == scan->line) {
		if (scan->line != scan->skip) {
			scan->len = at + 1;
			return HEAD_WHOLE;
		}
		scan->skip = at + 1;
		if (scan->skip > SKIP_BYTES_MAX)
			return refuse(ret, 400, "empty lines"), HEAD_BAD;
	} else {
		if (p[at - 2] == '\r')
			return refuse(ret, 400, "bare CR"), HEAD_BAD;
		/* RFC 9112 5.2: obs-fold; and no field before the request. */
		if (p[scan->line] == ' ' || p[scan->line] == '\t')
			return refuse(ret, 400, "folded line"), HEAD_BAD;
		if (scan->target_end == 0)
			scan->target_end = at + 1;
	}
	scan->line = at + 1;
	return HEAD_MORE;
}

enum head_result
head_find(struct head_scan *scan, const char *p, size_t len,
    const struct head_limits *limits, struct head_refusal *ret_refusal)
{
	enum head_result res = HEAD_MORE;
	const char *lf;

	/* What can't start a request (a TLS hello, say) need not go on. */
	if (scan->seen == 0 && len > 0 && p[0] != '\r' && p[0] != '\n' &&
	    !is_token(str_from(p, 1)))
		return refuse(ret_refusal, 400, "not HTTP"), HEAD_BAD;
	while (res == HEAD_MORE && scan->seen < len) {
		lf = memchr(p + scan->seen, '\n', len - scan->seen);
		if (lf == NULL) {
			scan->seen = (uint32_t)len;
			break;
		}
		res = scan_line(scan, p, (uint32_t)(lf - p), ret_refusal);
		scan->seen = (uint32_t)(lf - p) + 1;
	}
	if (res == HEAD_BAD)
		return res;
	if (scan_check_size(scan, res == HEAD_WHOLE ? scan->len : scan->seen,
	    limits, ret_refusal) == -1)
		return HEAD_BAD;
	return res;
}

static int
head_on_url(http_parser *hp, const char *p, size_t len)
{
	struct head_store *st = hp->data;

	st->head.target = str_from(p, len);
	return 0;
}

static int
head_on_field(http_parser *hp, const char *p, size_t len)
{
	struct head_store *st = hp->data;
	struct head *h = &st->head;
	struct field *f;

	if (h->field_count == st->field_max) {
		st->is_full = true;
		return -1;
	}
	f = &h->fields[h->field_count++];
	f->name = str_from(p, len);
	f->value = str_from(p + len, 0);
	f->id = field_id_of(f->name);
	if (h->first[f->id] == 0)
		h->first[f->id] = h->field_count;
	return 0;
}

static int
head_on_value(http_parser *hp, const char *p, size_t len)
{
	struct head_store *st = hp->data;

	st->head.fields[st->head.field_count - 1].value =
	    str_trim(str_from(p, len));
	return 0;
}

/* 1: whatever the fields say, there is no body here: body.c reads it. */
static int
head_on_complete(http_parser *hp)
{
	return 1;
}

static const http_parser_settings head_settings = {
	.on_url = head_on_url,
	.on_header_field = head_on_field,
	.on_header_value = head_on_value,
	.on_headers_complete = head_on_complete,
};

static enum method
method_of(unsigned hp_method)
{
	switch (hp_method) {
	case HTTP_GET:
		return METHOD_GET;
	case HTTP_HEAD:
		return METHOD_HEAD;
	case HTTP_POST:
		return METHOD_POST;
	case HTTP_PUT:
		return METHOD_PUT;
	case HTTP_DELETE:
		return METHOD_DELETE;
	case HTTP_PATCH:
		return METHOD_PATCH;
	case HTTP_OPTIONS:
		return METHOD_OPTIONS;
	default:
		return METHOD_OTHER;
	}
}

/*
 * RFC 9112 3: method SP target SP version CRLF, one space each; http-parser
 * takes several, and protocols of other names.
 */
static int
check_line(struct head *h, const http_parser *hp, struct head_refusal *ret)
{
	const char *end = h->target.p + h->target.len;
	const char *last = h->raw.p + h->raw.len;

	if (hp->http_major != 1)
		return refuse(ret, 505, "HTTP version is not 1.0 or 1.1");
	if (last - end < 11 || memcmp(end, " HTTP/1.", 8) != 0 ||
	    end[9] != '\r')
		return refuse(ret, 400, "malformed request line");
	h->method_name.p = h->raw.p;
	h->method_name.len = (size_t)(h->target.p - h->raw.p) - 1;
	if (!is_token(h->method_name))
		return refuse(ret, 400, "malformed request line");
	/* RFC 9110 2.5: a higher minor version is read as the one we know. */
	h->minor = hp->http_minor == 0 ? 0 : 1;
	h->method = method_of(hp->method);
	if (h->method == METHOD_OTHER)
		return refuse(ret, 501, "method is not implemented");
	return 0;
}

/* RFC 9110 5.5: no control bytes but HTAB.  Every LF has its CR, head_find()
 * has seen to that; a CR without its LF ends a head for some readers.  No early
 * way out, so that the compiler makes vectors of it. */
static int
check_bytes(struct str raw, struct head_refusal *ret)
{
	unsigned char bad = 0, c;
	unsigned cr = 0, lf = 0;
	size_t i;

	for (i = 0; i < raw.len; i++) {
		c = (unsigned char)raw.p[i];
		bad |= (unsigned char)((c < 0x20) & (c != '\t') &
		    (c != '\r') & (c != '\n'));
		bad |= (unsigned char)(c == 0x7f);
		cr += c == '\r';
		lf += c == '\n';
	}
	if (cr != lf)
		return refuse(ret, 400, "bare CR");
	return bad == 0 ? 0 : refuse(ret, 400, "control byte in the head");
}

/* RFC 9110 5.1: a name is a token, and the colon follows at once (RFC 9112 5.1:
 * white space there has been used for smuggling). */
static int
check_fields(const struct head *h, struct head_refusal *ret)
{
	const struct field *f;

	for (f = h->fields; f < h->fields + h->field_count; f++) {
		if (!is_token(f->name) || f->name.p[f->name.len] != ':')
			return refuse(ret, 400, "malformed field name");
	}
	return 0;
}

static unsigned
count_fields(const struct head *h, enum field_id id)
{
	unsigned i, n = 0;

	if (h->first[id] == 0)
		return 0;
	for (i = h->first[id] - 1u; i < h->field_count; i++)
		n += h->fields[i].id == id;
	return n;
}

/* RFC 9112 6.1: anything but "chunked" to the letter.  Chunked once and last
 * behind other codings means something, which this server has not. */
static int
refuse_coding(struct str list, struct head_refusal *ret)
{
	unsigned items = 0, chunked = 0;
	bool is_last = false;
	struct str item;

	while (str_list_next(&list, &item)) {
		is_last = str_eq_nocase(item, STR("chunked"));
		chunked += is_last;
		items++;
	}
	if (chunked == 1 && is_last && items > 1)
		return refuse(ret, 501, "unknown transfer coding");
	return refuse(ret, 400, "malformed Transfer-Encoding");
}

/* RFC 9112 6.1, 6.3: one way to say where the content ends, or none. */
static int
check_framing(struct head *h, struct head_refusal *ret)
{
	unsigned lengths = count_fields(h, FIELD_CONTENT_LENGTH);
	unsigned codings = count_fields(h, FIELD_TRANSFER_ENCODING);
	struct str coding = head_get(h, FIELD_TRANSFER_ENCODING);

	h->framing = BODY_NONE;
	h->content_length = 0;
	if (lengths == 0 && codings == 0)
		return 0;
	if (lengths > 0 && codings > 0)
		return refuse(ret, 400,
		    "both Content-Length and Transfer-Encoding");
	if (lengths > 1)
		return refuse(ret, 400, "two Content-Length fields");
	if (lengths == 1) {
		h->framing = BODY_LENGTH;
		if (str_to_u64(head_get(h, FIELD_CONTENT_LENGTH),
		    &h->content_length) == -1 || h->content_length > INT64_MAX)
			return refuse(ret, 400, "malformed Content-Length");
		return 0;
	}
	if (h->minor == 0)
		return refuse(ret, 400, "Transfer-Encoding in HTTP/1.0");
	if (codings > 1)
		return refuse(ret, 400, "two Transfer-Encoding fields");
	if (!str_eq_nocase(coding, STR("chunked")))
		return refuse_coding(coding, ret);
	h->framing = BODY_CHUNKED;
	return 0;
}

/* RFC 9110 7.6.1: options of the connection, in any of its fields. */
static int
check_connection(struct head *h, struct head_refusal *ret)
{
	bool close = false, keep = false, upgrade = false;
	struct str value;
	unsigned i;

	for (i = h->first[FIELD_CONNECTION]; i > 0 && i <= h->field_count;
	    i++) {
		if (h->fields[i - 1].id != FIELD_CONNECTION)
			continue;
		value = h->fields[i - 1].value;
		close |= str_list_has(value, STR("close"));
		keep |= str_list_has(value, STR("keep-alive"));
		upgrade |= str_list_has(value, STR("upgrade"));
	}
	h->keep_alive = !close && (h->minor == 1 || keep);
	h->has_upgrade = upgrade && h->first[FIELD_UPGRADE] != 0;
	value = head_get(h, FIELD_EXPECT);
	h->expect_continue = false;
	if (!str_is_null(value)) {
		/* RFC 9110 10.1.1: only 100-continue is defined. */
		if (!str_eq_nocase(value, STR("100-continue")))
			return refuse(ret, 417, "unknown expectation");
		h->expect_continue = h->minor == 1 && h->framing != BODY_NONE;
	}
	return 0;
}

/* RFC 3986 3.2.2: an IPv6 address in brackets.  Returns its length, or -1. */
static ptrdiff_t
check_ip_literal(struct str a)
{
	size_t end = str_find(a, ']');
	struct in6_addr unused;
	char text[INET6_ADDRSTRLEN];

	if (end == a.len || end > sizeof(text))
		return -1;
	memcpy(text, a.p + 1, end - 1);
	text[end - 1] = '\0';
	return inet_pton(AF_INET6, text, &unused) == 1 ? (ptrdiff_t)end + 1
	    : -1;
}

/* RFC 3986 3.2.2: a reg-name or an IPv4 address, up to a port.  Returns what
 * follows it, or -1. */
static ptrdiff_t
check_reg_name(struct str a)
{
	static const char extra[] = "-._~!$&'()*+,;=";
	char decoded[3];
	size_t i;

	for (i = 0; i < a.len && a.p[i] != ':'; i++) {
		unsigned char c = (unsigned char)a.p[i];

		if (c == '%') {
			if (a.len - i < 3 || percent_decode(
			    str_from(a.p + i, 3), 0, decoded) != 1)
				return -1;
			i += 2;
		} else if (c >= 0x80 || !(isalnum(c) ||
		    (c != '\0' && strchr(extra, c) != NULL))) {
			return -1;
		}
	}
	return i > 0 ? (ptrdiff_t)i : -1;
}

/* host [":" port], the port of at most five digits. */
static bool
is_authority(struct str a)
{
	ptrdiff_t end;
	size_t i;

	end = a.len > 0 && a.p[0] == '[' ? check_ip_literal(a)
	    : check_reg_name(a);
	if (end == -1)
		return false;
	i = (size_t)end;
	if (i == a.len)
		return true;
	if (a.p[i] != ':' || a.len - i > 6)
		return false;
	for (i++; i < a.len; i++) {
		if (a.p[i] < '0' || a.p[i] > '9')
			return false;
	}
	return true;
}

/* RFC 9112 3.2: exactly one Host in 1.1, at most one in 1.0, and valid. */
static int
check_host(struct head *h, struct head_refusal *ret)
{
	unsigned hosts = count_fields(h, FIELD_HOST);

	if (hosts > 1)
		return refuse(ret, 400, "two Host fields");
	if (hosts == 0 && h->minor == 1)
		return refuse(ret, 400, "no Host field");
	h->authority = head_get(h, FIELD_HOST);
	if (hosts == 1 && !is_authority(h->authority))
		return refuse(ret, 400, "malformed Host");
	return 0;
}

/* Every byte of a target is a visible ASCII one and no fragment; every escape
 * is whole and isn't NUL (RFC 9112 3.2, RFC 3986 2). */
static int
check_target_bytes(struct str t, struct head_refusal *ret)
{
	size_t i;

	for (i = 0; i < t.len; i++) {
		unsigned char c = (unsigned char)t.p[i];

		if (c <= 0x20 || c >= 0x7f || c == '#')
			return refuse(ret, 400, "bad byte in request target");
		if (c == '%') {
			char out[3];

			if (t.len - i < 3 ||
			    percent_decode(str_from(t.p + i, 3), 0, out) != 1)
				return refuse(ret, 400,
				    "bad escape in request target");
		}
	}
	return 0;
}

/* RFC 9112 3.2.2: "http://authority/path?query"; the authority replaces Host.
 * Leaves the rest, from the path on, in ret_rest. */
static int
check_absolute(struct head *h, struct str *ret_rest, struct head_refusal *ret)
{
	struct str t = h->target;
	size_t at, end;

	if (t.len > 7 && str_eq_nocase(str_from(t.p, 7), STR("http://")))
		at = 7;
	else if (t.len > 8 && str_eq_nocase(str_from(t.p, 8), STR("https://")))
		at = 8;
	else
		return refuse(ret, 400, "malformed request target");
	for (end = at; end < t.len && t.p[end] != '/' && t.p[end] != '?';)
		end++;
	h->authority = str_from(t.p + at, end - at);
	if (!is_authority(h->authority))	/* userinfo's "@" isn't one */
		return refuse(ret, 400, "malformed authority in target");
	*ret_rest = str_from(t.p + end, t.len - end);
	if (end == t.len && h->method == METHOD_OPTIONS)
		h->is_asterisk = true;		/* RFC 9112 3.2.4 */
	return 0;
}

/* Decodes the path once and resolves its dot segments. */
static int
check_path(struct head_store *st, struct head_refusal *ret)
{
	struct head *h = &st->head;
	ptrdiff_t len;

	h->is_path_decoded = false;
	if (!percent_is_encoded(h->path, 0) && path_is_normal(h->path))
		return 0;
	len = percent_decode(h->path, PERCENT_KEEP_SLASH, st->decoded);
	if (len >= 0)
		len = path_normalize(st->decoded, (size_t)len);
	if (len < 0)
		return refuse(ret, 400, "path leads above the root");
	h->path = str_from(st->decoded, (size_t)len);
	h->is_path_decoded = true;
	return 0;
}

static int
check_target(struct head_store *st, const struct head_limits *limits,
    struct head_refusal *ret)
{
	struct head *h = &st->head;
	struct str rest = h->target;
	size_t mark;

	if (h->target.len > limits->target_bytes)
		return refuse(ret, 414, "request target is too long");
	if (check_target_bytes(h->target, ret) == -1)
		return -1;
	h->is_asterisk = false;
	if (str_eq(h->target, STR("*")) && h->method == METHOD_OPTIONS) {
		h->is_asterisk = true;
	} else if (h->target.p[0] != '/') {
		if (check_absolute(h, &rest, ret) == -1)
			return -1;
	}
	mark = str_find(rest, '?');
	h->query = mark == rest.len ? str_from(NULL, 0)
	    : str_from(rest.p + mark + 1, rest.len - mark - 1);
	h->path = str_from(rest.p, mark);
	if (h->path.len == 0)
		h->path = STR("/");
	if (h->is_asterisk)
		return 0;
	return check_path(st, ret);
}

struct head_store *
head_store_new(const struct head_limits *limits)
{
	struct head_store *st;

	st = calloc(1, sizeof(*st) +
	    limits->field_count * sizeof(struct field));
	if (st == NULL)
		return NULL;
	st->field_max = limits->field_count;
	st->decoded = malloc(limits->target_bytes + 1);
	if (st->decoded == NULL) {
		free(st);
		return NULL;
	}
	/* head_find() has held the head to its limit before http-parser sees
	 * it; its own, for the whole process, must only be out of the way. */
	http_parser_set_max_header_size(UINT32_MAX / 2);
	return st;
}

void
head_store_free(struct head_store *store)
{
	if (store == NULL)
		return;
	free(store->decoded);
	free(store);
}

/* What http-parser refuses: most of it is a 400. */
static int
refuse_parse(const struct head_store *st, struct str raw,
    struct head_refusal *ret)
{
	struct str method = str_from(raw.p, str_find(raw, ' '));

	if (st->is_full)
		return refuse(ret, 431, "too many header fields");
	switch (HTTP_PARSER_ERRNO(&st->parser)) {
	case HPE_INVALID_METHOD:
		if (method.len < raw.len && is_token(method))
			return refuse(ret, 501, "method is not implemented");
		return refuse(ret, 400, "malformed method");
	case HPE_INVALID_VERSION:
		return refuse(ret, 400, "malformed HTTP version");
	case HPE_INVALID_CONTENT_LENGTH:
	case HPE_UNEXPECTED_CONTENT_LENGTH:
		return refuse(ret, 400, "contradictory Content-Length");
	case HPE_INVALID_TRANSFER_ENCODING:
		return refuse(ret, 400, "malformed Transfer-Encoding");
	case HPE_INVALID_URL:
		return refuse(ret, 400, "malformed request target");
	case HPE_INVALID_HEADER_TOKEN:
		return refuse(ret, 400, "bad byte in a header field");
	default:
		return refuse(ret, 400, "malformed head");
	}
}

struct head *
head_parse(struct head_store *st, struct str raw,
    const struct head_limits *limits, struct head_refusal *ret_refusal)
{
	struct head *h = &st->head;

	http_parser_init(&st->parser, HTTP_REQUEST);
	st->parser.data = st;
	st->is_full = false;
	h->raw = raw;
	h->fields = st->fields;
	h->field_count = 0;
	h->target = str_from(NULL, 0);
	memset(h->first, 0, sizeof(h->first));
	h->is_routed = false;
	h->memo_id = 0;
	if (check_bytes(raw, ret_refusal) == -1)
		return NULL;
	if (http_parser_execute(&st->parser, &head_settings, raw.p, raw.len) !=
	    raw.len || HTTP_PARSER_ERRNO(&st->parser) != HPE_OK ||
	    h->target.len == 0) {
		refuse_parse(st, raw, ret_refusal);
		return NULL;
	}
	h->first[FIELD_OTHER] = 0;
	if (check_line(h, &st->parser, ret_refusal) == -1 ||
	    check_fields(h, ret_refusal) == -1 ||
	    check_framing(h, ret_refusal) == -1 ||
	    check_connection(h, ret_refusal) == -1 ||
	    check_host(h, ret_refusal) == -1 ||
	    check_target(st, limits, ret_refusal) == -1)
		return NULL;
	return h;
}

struct str
head_find_field(const struct head *h, struct str name)
{
	enum field_id id = field_id_of(name);
	unsigned i;

	if (id != FIELD_OTHER)
		return head_get(h, id);
	for (i = 0; i < h->field_count; i++) {
		if (str_eq_nocase(h->fields[i].name, name))
			return h->fields[i].value;
	}
	return str_from(NULL, 0);
}

/* Moves a slice of `from` to the same place in the copy at `to`. */
static void
slice_move(struct str *s, struct str from, const char *to)
{
	if (s->p != NULL && s->p >= from.p && s->p <= from.p + from.len)
		s->p = to + (s->p - from.p);
}

void
head_rebase(struct head *h, struct str from, const char *to)
{
	unsigned i;

	slice_move(&h->method_name, from, to);
	slice_move(&h->target, from, to);
	slice_move(&h->authority, from, to);
	slice_move(&h->path, from, to);
	slice_move(&h->query, from, to);
	for (i = 0; i < h->field_count; i++) {
		slice_move(&h->fields[i].name, from, to);
		slice_move(&h->fields[i].value, from, to);
	}
	for (i = 0; h->is_routed && i < h->match.param_count; i++)
		slice_move(&h->match.value[i], from, to);
}

struct head *
head_copy(const struct head *h, struct arena *a)
{
	struct head *copy = arena_alloc(a, sizeof(*copy));
	struct field *fields = arena_alloc(a,
	    h->field_count * sizeof(*fields));
	struct str raw = arena_copy(a, h->raw), path;

	if (copy == NULL || fields == NULL || raw.p == NULL)
		return NULL;
	*copy = *h;
	memcpy(fields, h->fields, h->field_count * sizeof(*fields));
	copy->fields = fields;
	copy->raw = raw;
	head_rebase(copy, h->raw, raw.p);
	if (h->is_path_decoded) {
		path = arena_copy(a, h->path);
		if (path.p == NULL)
			return NULL;
		copy->path = path;
		head_rebase(copy, h->path, path.p);
	}
	return copy;
}
