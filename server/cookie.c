/* SPDX-License-Identifier: MIT */
/*
 * Cookies, both ways.
 *
 * Owns nothing.  Invariant: no byte of a cookie that is written can end its
 * value, an attribute, or the field.
 * Here: syntax.  Not here: which field it is in (api_request.c,
 * api_response.c).
 * Context: a worker's loop.
 */
#include "server/cookie.h"

#include <errno.h>

#include "common/buf.h"
#include "common/clock.h"
#include "server/http.h"

static struct str
cookie_unquote(struct str value)
{
	if (value.len >= 2 && value.p[0] == '"' &&
	    value.p[value.len - 1] == '"')
		return str_from(value.p + 1, value.len - 2);
	return value;
}

struct str
cookie_find(struct str field, struct str name)
{
	struct str item, key;

	while (str_cut(&field, ';', &item)) {
		/* Without "=" it has no name, or no value: nobody's. */
		if (!str_cut(&item, '=', &key) || item.p == NULL)
			continue;
		if (str_eq(str_trim(key), name))
			return cookie_unquote(str_trim(item));
	}
	return str_from(NULL, 0);
}

/* RFC 6265 4.1.1: cookie-octet = %x21 / %x23-2B / %x2D-3A / %x3C-5B / %x5D-7E
 */
static bool
is_cookie_value(struct str value)
{
	value = cookie_unquote(value);
	for (size_t i = 0; i < value.len; i++) {
		char byte = value.p[i];

		if (byte < 0x21 || byte > 0x7e || byte == '"' ||
		    byte == ',' || byte == ';' || byte == '\\')
			return false;
	}
	return true;
}

/* RFC 6265 4.1.1: av-octet = any CHAR but CTLs and ";" */
static bool
is_attribute_value(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < 0x20 || *text > 0x7e || *text == ';')
			return false;
	}
	return true;
}

static bool
is_domain(const char *text)
{
	size_t i, len = strlen(text);

	for (i = 0; i < len; i++) {
		char low = (char)(text[i] | 0x20);

		if (!(low >= 'a' && low <= 'z') && text[i] != '.' &&
		    text[i] != '-' && !(text[i] >= '0' && text[i] <= '9'))
			return false;
	}
	return len > 0;
}

/* What the name promises, or an attribute needs, and browsers hold it to. */
static bool
cookie_is_kept(const struct lane_cookie *c)
{
	struct str name = str_of(c->name);

	if (str_has_prefix(name, STR("__Host-")) &&
	    (c->path == NULL || strcmp(c->path, "/") != 0 ||
	    c->domain != NULL))
		return false;
	return c->secure || (c->same_site != LANE_SAME_SITE_NONE &&
	    !c->partitioned && !str_has_prefix(name, STR("__Secure-")) &&
	    !str_has_prefix(name, STR("__Host-")));
}

static bool
cookie_is_valid(const struct lane_cookie *c)
{
	return is_token(str_of(c->name)) &&
	    is_cookie_value(str_from(c->value.p, c->value.len)) &&
	    (c->path == NULL || is_attribute_value(c->path)) &&
	    (c->domain == NULL || is_domain(c->domain)) && cookie_is_kept(c);
}

static void
cookie_add_end(const struct lane_cookie *c, struct buf *out)
{
	int64_t expires_s = c->expires_s;
	char date[CLOCK_DATE_BYTES + 1];

	if (c->max_age_s != 0)
		buf_printf(out, "; Max-Age=%lld", c->max_age_s > 0
		    ? (long long)c->max_age_s : 0LL);
	/* For those who don't know Max-Age: long ago. */
	if (c->max_age_s < 0)
		expires_s = 1;
	if (expires_s == 0)
		return;
	clock_format_date(expires_s, date);
	buf_printf(out, "; Expires=%s", date);
}

static void
cookie_add_flags(const struct lane_cookie *c, struct buf *out)
{
	static const char *const same_site[] = {
		[LANE_SAME_SITE_LAX] = "Lax",
		[LANE_SAME_SITE_STRICT] = "Strict",
		[LANE_SAME_SITE_NONE] = "None",
	};

	if (c->secure)
		buf_add(out, STR("; Secure"));
	if (c->http_only)
		buf_add(out, STR("; HttpOnly"));
	if (c->partitioned)
		buf_add(out, STR("; Partitioned"));
	if (c->same_site != LANE_SAME_SITE_DEFAULT)
		buf_printf(out, "; SameSite=%s", same_site[c->same_site]);
}

int
cookie_format(const struct lane_cookie *c, struct arena *a,
    struct str *ret_value)
{
	struct str value;
	struct buf out;

	if (c->name == NULL || c->same_site > LANE_SAME_SITE_NONE ||
	    !cookie_is_valid(c))
		return -EINVAL;
	buf_init(&out, 0);
	buf_printf(&out, "%s=%.*s", c->name, (int)c->value.len,
	    c->value.len > 0 ? c->value.p : "");
	if (c->path != NULL)
		buf_printf(&out, "; Path=%s", c->path);
	if (c->domain != NULL)
		buf_printf(&out, "; Domain=%s", c->domain);
	cookie_add_end(c, &out);
	cookie_add_flags(c, &out);
	value = buf_failed(&out) ? str_from(NULL, 0)
	    : arena_copy(a, buf_str(&out));
	buf_done(&out);
	if (value.p == NULL)
		return -ENOMEM;
	*ret_value = value;
	return 0;
}
