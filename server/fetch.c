/* SPDX-License-Identifier: MIT */
/*
 * lane_fetch(): one sub-request, from its arguments to its answer.
 *
 * Owns: the transfer, until it ends or its context does, and the answer's
 * content, until the context ends.  Invariant: an operation under way has a
 * transfer that is on the loop.
 * Here: what is sent and what comes back.  Not here: when (fetch_loop.c).
 * Context: a worker's loop.
 *	module code -> [fetch.c] -> fetch_loop.c
 */
#include <corelane/corelane.h>

#include <errno.h>

#include "common/buf.h"
#include "server/ctx.h"
#include "server/fetch_loop.h"
#include "server/http.h"
#include "server/internal.h"

#define FETCH_TIMEOUT_MS 10000
#define FETCH_CONNECT_MS 2000
#define FETCH_ANSWER_BYTES ((size_t)1 << 20)
#define FETCH_FIELD_BYTES ((size_t)64 << 10)

struct fetched_field {
	struct fetched_field *next;
	struct str name, value;
};

struct lane_fetched_fields {
	struct fetched_field *first, **last;
	size_t bytes;
};

struct fetch {
	struct op op; /* first */
	struct lane_ctx *ctx;
	struct fetcher *fetcher;
	CURL *easy; /* NULL: it has ended */
	struct curl_slist *headers;
	struct str body; /* of the request */
	struct buf content; /* of the answer */
	struct lane_fetched_fields fields;
	const char *error; /* found by a callback; NULL: none */
	struct lane_fetched answer;
	int (*done)(
	    struct lane_ctx *c, void *state, const struct lane_fetched *answer);
	void *state;
};

static const char fetch_too_large[] = "the answer is larger than max_bytes";
static const char fetch_no_memory[] = "out of memory";

/* libcurl takes what has no status line for HTTP/0.9, a protocol of its own. */
static bool
fetch_is_answered_oddly(CURL *easy, CURLcode code)
{
	long sent_bytes = 0, status = 0;

	curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent_bytes);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	return code == CURLE_UNSUPPORTED_PROTOCOL && sent_bytes > 0 &&
	    status == 0;
}

static const char *
fetch_error(const struct fetch *f, CURLcode code)
{
	static const struct {
		CURLcode code;
		const char *text;
	} texts[] = {
	    {CURLE_URL_MALFORMAT, "the URL can't be understood"},
	    {CURLE_UNSUPPORTED_PROTOCOL, "only http and https are fetched"},
	    {CURLE_COULDNT_RESOLVE_HOST, "the host name isn't known"},
	    {CURLE_COULDNT_CONNECT, "the connection was refused"},
	    {CURLE_OPERATION_TIMEDOUT, "it took too long"},
	    {CURLE_TOO_MANY_REDIRECTS, "too many redirects"},
	    {CURLE_GOT_NOTHING, "the server closed without an answer"},
	    {CURLE_RECV_ERROR, "the connection was lost"},
	    {CURLE_SEND_ERROR, "the connection was lost"},
	    {CURLE_PARTIAL_FILE, "the connection was lost"},
	    {CURLE_WEIRD_SERVER_REPLY, "the answer isn't HTTP"},
	    {CURLE_PEER_FAILED_VERIFICATION, "the certificate isn't trusted"},
	    {CURLE_SSL_CONNECT_ERROR, "TLS could not be agreed on"},
	    {CURLE_FILESIZE_EXCEEDED, fetch_too_large},
	    {CURLE_OUT_OF_MEMORY, fetch_no_memory},
	};
	size_t i;

	if (f->error != NULL)
		return f->error;
	if (fetch_is_answered_oddly(f->easy, code))
		code = CURLE_WEIRD_SERVER_REPLY;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].code == code)
			return texts[i].text;
	}
	return curl_easy_strerror(code);
}

/* What a callback returns when it has had enough of a piece, which is never
 * empty: libcurl gives up. */
static size_t
fetch_stop(struct fetch *f, const char *error)
{
	f->error = error;
	return 0;
}

static size_t
fetch_on_content(char *p, size_t size, size_t count, void *arg)
{
	struct fetch *f = arg;
	size_t len = size * count;

	if (len > f->content.max - f->content.len)
		return fetch_stop(f, fetch_too_large);
	buf_add(&f->content, str_from(p, len));
	return buf_failed(&f->content) ? fetch_stop(f, fetch_no_memory) : len;
}

/* A line of a head, with its CR LF: of redirects and 1xx, too, so that each
 * status line starts anew. */
static size_t
fetch_on_field(char *p, size_t size, size_t count, void *arg)
{
	struct fetch *f = arg;
	struct str line = str_from(p, size * count), name;
	struct arena *arena = f->ctx->arena;
	struct fetched_field *field;

	if (line.len > FETCH_FIELD_BYTES - f->fields.bytes)
		return fetch_stop(f, "the answer's header is too large");
	f->fields.bytes += line.len;
	if (str_has_prefix(line, STR("HTTP/"))) {
		f->fields.first = NULL;
		f->fields.last = &f->fields.first;
	}
	while (line.len > 0 && strchr("\r\n", line.p[line.len - 1]) != NULL)
		line.len--;
	if (memchr(line.p, ':', line.len) == NULL ||
	    !str_cut(&line, ':', &name) || !is_token(name))
		return size * count;
	field = arena_zalloc(arena, sizeof(*field));
	if (field == NULL)
		return fetch_stop(f, fetch_no_memory);
	field->name = arena_copy(arena, name);
	field->value = arena_copy(arena, str_trim(line));
	if (field->name.p == NULL || field->value.p == NULL)
		return fetch_stop(f, fetch_no_memory);
	*f->fields.last = field;
	f->fields.last = &field->next;
	return size * count;
}

/* Ends the transfer; its connection stays with the fetcher. */
static void
fetch_cleanup(struct fetch *f)
{
	curl_easy_cleanup(f->easy);
	f->easy = NULL;
	curl_slist_free_all(f->headers);
	f->headers = NULL;
}

static void
fetch_on_defer(void *ptr)
{
	struct fetch *f = ptr;

	fetch_cleanup(f);
	buf_done(&f->content);
}

static void
fetch_on_cancel(struct op *op)
{
	struct fetch *f = (struct fetch *)op;

	fetcher_stop(f->fetcher, f->easy);
	fetch_cleanup(f);
}

static void
fetch_on_end(CURL *easy, CURLcode code)
{
	struct fetch *f;
	struct lane_ctx *c;
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &f);
	c = f->ctx;
	if (code == CURLE_OK)
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	else
		c->srv->stats->fetch_errors++;
	f->answer.status = (int)status;
	f->answer.error = code != CURLE_OK ? fetch_error(f, code) : NULL;
	if (code == CURLE_OK)
		f->answer.body = lane_of(
		    f->content.len > 0 ? buf_str(&f->content) : STR(""));
	f->answer.fields = &f->fields;
	fetch_cleanup(f);
	op_finish(&f->op);
	CTX_CALL(c, f->done(c, f->state, &f->answer));
}

/* Appends a line; the list stays as it is when there is no memory. */
static int
fetch_add_line(struct fetch *f, const char *line)
{
	struct curl_slist *longer = curl_slist_append(f->headers, line);

	if (longer == NULL)
		return -ENOMEM;
	f->headers = longer;
	return 0;
}

/* One field of the caller's: nothing in it may end it, or the head, early. */
static int
fetch_add_field(struct fetch *f, const char *text)
{
	struct str value = str_of(text), name = STR("");

	if (memchr(value.p, ':', value.len) == NULL ||
	    !str_cut(&value, ':', &name) || !is_token(name) ||
	    !is_field_value(str_trim(value)) || field_is_reserved(name)) {
		lane_log(f->ctx, LANE_ERROR,
		    "lane_fetch(): the header field "
		    "'%s' can't be sent",
		    text);
		return -EINVAL;
	}
	value = str_trim(value);
	/* A colon with nothing behind it means something else to libcurl. */
	value = arena_printf(f->ctx->arena, "%.*s%s%.*s", STR_FMT(name),
	    value.len > 0 ? ": " : ";", STR_FMT(value));
	return value.p != NULL ? fetch_add_line(f, value.p) : -ENOMEM;
}

static int
fetch_set_headers(struct fetch *f, const char *const *header)
{
	bool has_type = false;
	int rc = fetch_add_line(f, "Expect:");

	for (; rc == 0 && header != NULL && *header != NULL; header++) {
		has_type |= strncasecmp(*header, "Content-Type:", 13) == 0;
		rc = fetch_add_field(f, *header);
	}
	/* libcurl would say that it is a form. */
	if (rc == 0 && !has_type)
		rc = fetch_add_line(f, "Content-Type:");
	if (rc == 0 &&
	    curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->headers) !=
		CURLE_OK)
		rc = -ENOMEM;
	return rc;
}

static int
fetch_set_method(struct fetch *f, const struct lane_fetch_args *args)
{
	const char *method = args->method;
	CURLcode rc = CURLE_OK;
	bool has_body = args->body.p != NULL;

	if (method == NULL)
		method = has_body ? "POST" : "GET";
	if (!is_token(str_of(method))) {
		lane_log(f->ctx, LANE_ERROR, "lane_fetch(): no method: '%s'",
		    method);
		return -EINVAL;
	}
	if (has_body || strcmp(method, "POST") == 0 ||
	    strcmp(method, "PUT") == 0) {
		f->body = arena_copy(f->ctx->arena,
		    has_body ? str_of_lane(args->body) : STR(""));
		if (f->body.p == NULL)
			return -ENOMEM;
		rc |= curl_easy_setopt(f->easy, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)f->body.len);
		rc |= curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS, f->body.p);
	} else if (strcmp(method, "HEAD") == 0)
		rc |= curl_easy_setopt(f->easy, CURLOPT_NOBODY, 1L);
	rc |= curl_easy_setopt(f->easy, CURLOPT_CUSTOMREQUEST, method);
	return rc == CURLE_OK ? 0 : -ENOMEM;
}

/* How far it may go, and for how long. */
static int
fetch_set_limits(CURL *e, const struct lane_fetch_args *args)
{
	long timeout =
	    args->timeout_ms > 0 ? (long)args->timeout_ms : FETCH_TIMEOUT_MS;
	long connect =
	    args->connect_ms > 0 ? (long)args->connect_ms : FETCH_CONNECT_MS;
	CURLcode rc = CURLE_OK;

	rc |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	rc |= curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	rc |= curl_easy_setopt(
	    e, CURLOPT_FOLLOWLOCATION, args->redirects > 0 ? 1L : 0L);
	rc |= curl_easy_setopt(e, CURLOPT_MAXREDIRS, (long)args->redirects);
	rc |= curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, timeout);
	rc |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, connect);
	/* Neither the environment nor a signal may change what happens. */
	rc |= curl_easy_setopt(e, CURLOPT_PROXY, "");
	rc |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	return rc == CURLE_OK ? 0 : -ENOMEM;
}

static int
fetch_set_up(struct fetch *f, const struct lane_fetch_args *args)
{
	CURL *e = f->easy;
	CURLcode rc = CURLE_OK;
	int set;

	rc |= curl_easy_setopt(e, CURLOPT_PRIVATE, f);
	rc |= curl_easy_setopt(e, CURLOPT_URL, args->url);
	rc |= curl_easy_setopt(
	    e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	rc |= curl_easy_setopt(
	    e, CURLOPT_USERAGENT, "corelane/" CORELANE_VERSION);
	rc |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, fetch_on_content);
	rc |= curl_easy_setopt(e, CURLOPT_WRITEDATA, f);
	rc |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, fetch_on_field);
	rc |= curl_easy_setopt(e, CURLOPT_HEADERDATA, f);
	/* Refused by its Content-Length already, where it has one. */
	rc |= curl_easy_setopt(
	    e, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)f->content.max);
	set = rc == CURLE_OK ? fetch_set_limits(e, args) : -ENOMEM;
	if (set == 0)
		set = fetch_set_method(f, args);
	return set == 0 ? fetch_set_headers(f, args->headers) : set;
}

/* A fetch in the arena, with all that ends with it; NULL: no memory. */
static struct fetch *
fetch_new(struct lane_ctx *c, const struct lane_fetch_args *args)
{
	struct fetch *f = lane_alloc(c, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->ctx = c;
	f->done = args->done;
	f->state = args->state;
	f->fields.last = &f->fields.first;
	buf_init(&f->content,
	    args->max_bytes > 0 ? args->max_bytes : FETCH_ANSWER_BYTES);
	f->fetcher = fetcher_of(c->srv);
	f->easy = curl_easy_init();
	if (lane_defer(c, fetch_on_defer, f) < 0 || f->fetcher == NULL ||
	    f->easy == NULL)
		return NULL;
	return f;
}

int
lane_fetch(struct lane_ctx *c, const struct lane_fetch_args *args)
{
	struct fetch *f;
	int rc;

	if (!ctx_may_wait(c))
		return -ECANCELED;
	f = fetch_new(c, args);
	rc = f != NULL ? fetch_set_up(f, args) : -ENOMEM;
	if (rc == 0)
		rc = fetcher_start(f->fetcher, f->easy, fetch_on_end);
	if (rc < 0) {
		if (f != NULL)
			fetch_cleanup(f);
		if (rc == -EAGAIN)
			rc = ctx_busy(c, "too many sub-requests");
		return rc;
	}
	c->srv->stats->fetches++;
	op_start(c, &f->op, fetch_on_cancel);
	return LANE_ASYNC;
}

struct lane_str
lane_fetched_header(const struct lane_fetched *answer, const char *name)
{
	const struct fetched_field *field =
	    answer->fields != NULL ? answer->fields->first : NULL;

	while (field != NULL && !str_eq_nocase(field->name, str_of(name)))
		field = field->next;
	return lane_of(field != NULL ? field->value : str_from(NULL, 0));
}
