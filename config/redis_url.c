/* SPDX-License-Identifier: MIT */
/*
 * The URL of a Redis server, taken apart: see redis_url.h.
 *
 * Owns nothing.
 * Here: its syntax.  Not here: connecting (workers/bridge_link.c).
 * Context: pure functions.
 */
#include "config/redis_url.h"

#include <string.h>

#include "common/percent.h"

static int
url_copy(struct str text, char out[REDIS_URL_TEXT_BYTES])
{
	if (text.len >= REDIS_URL_TEXT_BYTES)
		return -1;
	if (text.len > 0)
		memcpy(out, text.p, text.len);
	out[text.len] = '\0';
	return 0;
}

static int
url_decode(struct str text, char out[REDIS_URL_TEXT_BYTES])
{
	ptrdiff_t len;

	if (text.len >= REDIS_URL_TEXT_BYTES)
		return -1;
	len = text.len > 0 ? percent_decode(text, 0, out) : 0;
	if (len == -1)
		return -1;
	out[len] = '\0';
	return 0;
}

/* "user:password"; the last "@" ends it, so that one in a password that should
 * be encoded, and isn't, does no harm. */
static int
url_take_user(struct str *rest, struct redis_url *url)
{
	size_t at = rest->len, colon;
	struct str all;

	while (at > 0 && rest->p[at - 1] != '@')
		at--;
	if (at == 0)
		return 0;
	all = str_from(rest->p, at - 1);
	*rest = str_from(rest->p + at, rest->len - at);
	colon = str_find(all, ':');
	if (colon == all.len || colon + 1 == all.len)
		return -1; /* a user without a password means nothing */
	if (url_decode(str_from(all.p, colon), url->user) == -1)
		return -1;
	return url_decode(
	    str_from(all.p + colon + 1, all.len - colon - 1), url->password);
}

static int
url_take_database(struct str text, struct redis_url *url)
{
	uint64_t n;

	if (text.len == 0)
		return 0;
	if (str_to_u64(text, &n) == -1 || n > REDIS_URL_DATABASE_MAX)
		return -1;
	url->database = (unsigned)n;
	return 0;
}

/* "host", "host:port", "[::1]:port". */
static int
url_take_host(struct str text, struct redis_url *url)
{
	struct str host, port;
	uint64_t n = REDIS_URL_PORT;
	size_t end;

	if (text.len > 0 && text.p[0] == '[') {
		end = str_find(text, ']');
		if (end == text.len)
			return -1;
		host = str_from(text.p + 1, end - 1);
		port = str_from(text.p + end + 1, text.len - end - 1);
	} else {
		end = str_find(text, ':');
		host = str_from(text.p, end);
		port = str_from(text.p + end, text.len - end);
	}
	if (port.len > 0 && (port.p[0] != ':' ||
	    str_to_u64(str_from(port.p + 1, port.len - 1), &n) == -1))
		return -1;
	if (host.len == 0 || n == 0 || n > 65535)
		return -1;
	url->port = (int)n;
	return url_copy(host, url->host);
}

static int
url_parse_tcp(struct str rest, struct redis_url *url)
{
	size_t slash;

	if (url_take_user(&rest, url) == -1)
		return -1;
	slash = str_find(rest, '/');
	if (slash < rest.len && url_take_database(str_from(rest.p + slash + 1,
	    rest.len - slash - 1), url) == -1)
		return -1;
	return url_take_host(str_from(rest.p, slash), url);
}

static int
url_parse_unix(struct str rest, struct redis_url *url)
{
	static const struct str key = STR_INIT("database=");
	struct str query = {NULL, 0};
	size_t question;

	if (url_take_user(&rest, url) == -1)
		return -1;
	question = str_find(rest, '?');
	if (question < rest.len) {
		query = str_from(rest.p + question + 1,
		    rest.len - question - 1);
		rest.len = question;
		if (!str_has_prefix(query, key) ||
		    url_take_database(str_from(query.p + key.len,
		    query.len - key.len), url) == -1)
			return -1;
	}
	if (rest.len < 2 || rest.p[0] != '/')
		return -1;
	return url_copy(rest, url->path);
}

int
redis_url_parse(struct str text, struct redis_url *ret_url)
{
	static const struct str tcp = STR_INIT("redis://");
	static const struct str local = STR_INIT("redis+unix://");

	memset(ret_url, 0, sizeof(*ret_url));
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 0x7f)
			return -1;
	if (str_has_prefix(text, tcp))
		return url_parse_tcp(
		    str_from(text.p + tcp.len, text.len - tcp.len), ret_url);
	if (str_has_prefix(text, local))
		return url_parse_unix(str_from(text.p + local.len,
		    text.len - local.len), ret_url);
	return -1;
}
