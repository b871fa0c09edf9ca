/* SPDX-License-Identifier: MIT */
/*
 * What texts of a configuration must look like.
 *
 * Owns nothing.
 *
 * Here: the syntax of single texts.  Not here: patterns (server/route.c),
 * origins and networks (server/), units (units.c), addresses (address.c).
 * Context: pure functions.  Reading order: table.c -> [syntax.c].
 */
#include "config/syntax.h"

#include <ctype.h>

#include <stddef.h>

#include "config/redis_url.h"

/* RFC 9110 5.6.2 tchar. */
static bool
is_token(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		char c = s.p[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z'))
			continue;
		if (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL)
			return false;
	}
	return s.len > 0;
}

static bool
has_control(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

static bool
is_media_type(struct str s)
{
	struct str type, rest;

	rest = str_from(s.p, str_find(s, ';'));
	rest = str_trim(rest);
	return str_cut(&rest, '/', &type) && is_token(type) && is_token(rest);
}

const char *
syntax_not_empty(struct str s)
{
	return s.len > 0 ? NULL : "a string that isn't empty";
}

const char *
syntax_field_name(struct str s)
{
	return is_token(s) ? NULL :
	    "the name of a header field, like \"X-Request-ID\"";
}

const char *
syntax_field_value(struct str s)
{
	return !has_control(s) ? NULL :
	    "the value of a header field, without control characters";
}

const char *
syntax_realm(struct str s)
{
	return s.len > 0 && !has_control(s) && str_find(s, '"') == s.len &&
	    str_find(s, '\\') == s.len ? NULL :
	    "a text without quotes and backslashes";
}

const char *
syntax_user(struct str s)
{
	return s.len > 0 && !has_control(s) && str_find(s, ':') == s.len ?
	    NULL : "a name without a colon";
}

const char *
syntax_method(struct str s)
{
	return is_token(s) ? NULL : "a method, like \"GET\"";
}

const char *
syntax_media_type(struct str s)
{
	return is_media_type(s) && !has_control(s) ? NULL :
	    "a media type, like \"text/html\"";
}

const char *
syntax_media_range(struct str s)
{
	return is_media_type(s) && str_find(s, ';') == s.len ? NULL :
	    "a media type without parameters, like \"text/html\" or \"text/*\"";
}

const char *
syntax_extension(struct str s)
{
	return s.len > 1 && s.p[0] == '.' && str_find(s, '/') == s.len ? NULL :
	    "a file's extension with its dot, like \".html\"";
}

const char *
syntax_route_path(struct str s)
{
	return s.len > 0 && s.p[0] == '/' && !has_control(s) ? NULL :
	    "a path that starts with \"/\", like \"/users/{id}\"";
}

/* [A-Za-z_][A-Za-z0-9_-]* */
static bool
is_name(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		char c = s.p[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    c == '_')
			continue;
		if (i == 0 || ((c < '0' || c > '9') && c != '-'))
			return false;
	}
	return s.len > 0;
}

const char *
syntax_module_name(struct str s)
{
	return is_name(s) ?
	    NULL :
	    "a name of letters, digits, \"_\" and \"-\", like \"api\"";
}

const char *
syntax_module_member(struct str s)
{
	struct str module;

	return str_cut(&s, '.', &module) && is_name(module) && is_token(s) ?
	    NULL :
	    "a module's name and one of its own, like \"api.users\"";
}

const char *
syntax_prefix(struct str s)
{
	bool is_good = s.len == 0 ||
	    (s.len > 1 && s.p[0] == '/' && s.p[s.len - 1] != '/' &&
		!has_control(s) && strcspn(s.p, "{}?#%") == s.len);

	return is_good ?
	    NULL :
	    "\"\", or a path without parameters that starts with \"/\" and "
	    "doesn't end with one, like \"/api\"";
}

const char *
syntax_database_name(struct str s)
{
	return is_name(s) ?
	    NULL :
	    "a name of letters, digits, \"_\" and \"-\", like \"main\"";
}

const char *
syntax_database_url(struct str s)
{
	static const struct str sqlite = STR_INIT("sqlite:");
	bool is_good = (str_has_prefix(s, sqlite) && s.len > sqlite.len) ||
	    str_has_prefix(s, STR("postgresql://")) ||
	    str_has_prefix(s, STR("postgres://"));

	return is_good && !has_control(s) ?
	    NULL :
	    "a database's URL: \"sqlite:PATH\" or "
	    "\"postgresql://USER@HOST/NAME\"";
}

/* RFC 6454 6.2, as a browser sends it. */
const char *
syntax_origin(struct str s)
{
	struct str rest = s, scheme;
	size_t i;
	bool is_good = str_eq(s, STR("*")) || str_eq(s, STR("null"));

	if (!is_good && str_cut(&rest, ':', &scheme) && scheme.len > 0 &&
	    str_has_prefix(rest, STR("//")) && rest.len > 2) {
		is_good = !has_control(s);
		for (i = 2; i < rest.len; i++)
			is_good &= strchr(" /?#@", rest.p[i]) == NULL;
	}
	return is_good ?
	    NULL :
	    "an origin like \"https://example.org\", without a path; or \"*\"";
}

const char *
syntax_channel_pattern(struct str s)
{
	size_t i, len = s.len;
	bool is_good;

	if (len > 0 && s.p[len - 1] == '*')
		len--;
	is_good = s.len > 0 && s.len <= 255;
	for (i = 0; i < len; i++)
		is_good &= isalnum((unsigned char)s.p[i]) ||
		    strchr("._:-", s.p[i]) != NULL;
	return is_good ?
	    NULL :
	    "a channel of at most 255 of A-Z a-z 0-9 . _ : -, with or without "
	    "a \"*\" at its end";
}

const char *
syntax_channel_permit(struct str s)
{
	return str_eq(s, STR("anyone")) || str_eq(s, STR("nobody")) ||
	    str_eq(s, STR("token")) || syntax_module_member(s) == NULL ?
	    NULL :
	    "\"anyone\", \"nobody\", \"token\", or a module's hook like "
	    "\"chat.may\"";
}

const char *
syntax_redis_url(struct str s)
{
	struct redis_url url;

	return redis_url_parse(s, &url) == 0 ? NULL :
	    "\"redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]\" or "
	    "\"redis+unix://[USER:PASSWORD@]/PATH[?database=N]\"";
}

const char *
syntax_response_field(struct str s)
{
	static const struct str framing[] = {
		STR_INIT("connection"),
		STR_INIT("content-length"),
		STR_INIT("date"),
		STR_INIT("keep-alive"),
		STR_INIT("trailer"),
		STR_INIT("transfer-encoding"),
		STR_INIT("upgrade"),
	};
	size_t i;

	for (i = 0; i < sizeof(framing) / sizeof(framing[0]); i++)
		if (str_eq_nocase(s, framing[i]))
			return "a header field that isn't the server's own";
	return syntax_field_name(s);
}
