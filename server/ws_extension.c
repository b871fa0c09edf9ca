/* SPDX-License-Identifier: MIT */
/*
 * Sec-WebSocket-Extensions (RFC 6455 9.1) and what permessage-deflate says in
 * it (RFC 7692 7.1).
 *
 *	offers  = offer *( "," offer )
 *	offer   = name *( ";" param [ "=" value ] )
 *
 * Owns nothing.  Invariant: an offer is taken as a whole or passed over; what
 * one of them says never reaches another.
 * Here: the field's syntax, which offer is taken, and the answer.  Not here:
 * streams (ws_deflate.c).
 * Context: pure functions.  ws.c -> [ws_extension.c]
 */
#include <stdio.h>

#include "server/http.h"
#include "server/ws_deflate.h"

#define WS_BITS_MIN 8		/* RFC 7692 7.1.2 */
#define WS_BITS_MAX 15
/* What zlib can't do without its own frame around it: it would take 9. */
#define WS_BITS_UNABLE 8

/* Longer values mean nothing to anyone here. */
#define WS_VALUE_MAX 16

enum ws_param {
	WS_SERVER_NO_TAKEOVER,
	WS_CLIENT_NO_TAKEOVER,
	WS_SERVER_BITS,
	WS_CLIENT_BITS,
	WS_PARAM_COUNT
};

static const struct str ws_param_names[WS_PARAM_COUNT] = {
	[WS_SERVER_NO_TAKEOVER] = STR_INIT("server_no_context_takeover"),
	[WS_CLIENT_NO_TAKEOVER] = STR_INIT("client_no_context_takeover"),
	[WS_SERVER_BITS] = STR_INIT("server_max_window_bits"),
	[WS_CLIENT_BITS] = STR_INIT("client_max_window_bits"),
};

struct ws_offer {
	bool has[WS_PARAM_COUNT];
	uint8_t bits[WS_PARAM_COUNT];	/* 0: without a value */
};

/* A parameter, unquoted. */
struct ws_pair {
	struct str name, value;		/* value.p NULL: none */
	char text[WS_VALUE_MAX];	/* where it was quoted */
};

/* Like str_cut(), but a separator inside quotes is none. */
static bool
ws_cut(struct str *rest, char sep, struct str *ret_head)
{
	bool is_quoted = false;
	size_t i;

	if (rest->p == NULL)
		return false;
	for (i = 0; i < rest->len; i++) {
		if (rest->p[i] == '"')
			is_quoted = !is_quoted;
		else if (is_quoted && rest->p[i] == '\\')
			i++;
		else if (!is_quoted && rest->p[i] == sep)
			break;
	}
	/* A backslash may be the last byte of all. */
	if (i >= rest->len) {
		*ret_head = *rest;
		*rest = str_from(NULL, 0);
		return true;
	}
	*ret_head = str_from(rest->p, i);
	*rest = str_from(rest->p + i + 1, rest->len - i - 1);
	return true;
}

/*
 * Reads the value that is quoted: RFC 6455 9.1 wants a token inside.  What is
 * beyond WS_VALUE_MAX is checked, and cut.
 */
static bool
ws_unquote(struct str quoted, struct ws_pair *pair)
{
	size_t i, n = 0;

	for (i = 1; i < quoted.len && quoted.p[i] != '"'; i++) {
		if (quoted.p[i] == '\\')
			i++;
		if (i >= quoted.len || !is_token(str_from(quoted.p + i, 1)))
			return false;
		if (n < sizeof(pair->text))
			pair->text[n++] = quoted.p[i];
	}
	pair->value = str_from(pair->text, n);
	return i + 1 == quoted.len && n > 0;
}

/* Reads "name", "name=value" or "name="value"".  Returns false where it is
 * none of them. */
static bool
ws_pair_read(struct str text, struct ws_pair *ret_pair)
{
	ret_pair->value = str_from(NULL, 0);
	ws_cut(&text, '=', &ret_pair->name);
	ret_pair->name = str_trim(ret_pair->name);
	if (!is_token(ret_pair->name))
		return false;
	if (text.p == NULL)
		return true;
	text = str_trim(text);
	if (text.len > 0 && text.p[0] == '"')
		return ws_unquote(text, ret_pair);
	ret_pair->value = text;
	return is_token(text);
}

bool
ws_extensions_are_valid(struct str offers)
{
	struct str offer, part;
	struct ws_pair pair;

	while (ws_cut(&offers, ',', &offer)) {
		/* RFC 9110 5.6.1.2: empty elements count as none. */
		if (str_trim(offer).len == 0)
			continue;
		if (!ws_cut(&offer, ';', &part) || !is_token(str_trim(part)))
			return false;
		while (ws_cut(&offer, ';', &part)) {
			if (!ws_pair_read(part, &pair))
				return false;
		}
	}
	return true;
}

/* RFC 7692 7.1.2: 8 to 15, without leading zeros.  Returns 0 otherwise. */
static uint8_t
ws_bits_read(struct str value)
{
	uint64_t bits;

	if (value.len == 0 || value.p[0] == '0' ||
	    str_to_u64(value, &bits) == -1 || bits < WS_BITS_MIN ||
	    bits > WS_BITS_MAX)
		return 0;
	return (uint8_t)bits;
}

/* RFC 7692 7.1: a name that isn't known, or twice there, or a value that it
 * can't have declines the whole offer. */
static bool
ws_param_take(struct ws_offer *o, const struct ws_pair *pair)
{
	bool has_value = pair->value.p != NULL;
	size_t i = 0;

	while (i < WS_PARAM_COUNT && !str_eq(pair->name, ws_param_names[i]))
		i++;
	if (i == WS_PARAM_COUNT || o->has[i])
		return false;
	o->has[i] = true;
	switch ((enum ws_param)i) {
	case WS_SERVER_BITS:
	case WS_CLIENT_BITS:
		if (!has_value)
			return i == WS_CLIENT_BITS;
		o->bits[i] = ws_bits_read(pair->value);
		return o->bits[i] != 0;
	case WS_SERVER_NO_TAKEOVER:
	case WS_CLIENT_NO_TAKEOVER:
	case WS_PARAM_COUNT:
		break;
	}
	return !has_value;
}

/* Whether `text` is an offer of permessage-deflate that can be taken. */
static bool
ws_offer_read(struct str text, struct ws_offer *ret_offer)
{
	struct str part;
	struct ws_pair pair;

	*ret_offer = (struct ws_offer){0};
	if (!ws_cut(&text, ';', &part) ||
	    !str_eq(str_trim(part), STR("permessage-deflate")))
		return false;
	while (ws_cut(&text, ';', &part)) {
		if (!ws_pair_read(part, &pair) ||
		    !ws_param_take(ret_offer, &pair))
			return false;
	}
	return ret_offer->bits[WS_SERVER_BITS] != WS_BITS_UNABLE;
}

static uint8_t
ws_bits_min(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

/* The client's window is only worth a word where it is kept here. */
static bool
ws_offer_bounds_client(const struct ws_offer *o,
    const struct ws_deflate *agreed)
{
	return agreed->client_takeover && o->has[WS_CLIENT_BITS];
}

static struct ws_deflate
ws_offer_agree(const struct ws_offer *o,
    const struct ws_deflate_options *options)
{
	uint8_t server_bits = o->bits[WS_SERVER_BITS];
	uint8_t client_bits = o->bits[WS_CLIENT_BITS];
	struct ws_deflate agreed = {
		.server_bits = ws_bits_min(options->window_bits,
		    server_bits != 0 ? server_bits : WS_BITS_MAX),
		.client_bits = client_bits != 0 ? client_bits : WS_BITS_MAX,
		.server_takeover = options->takeover &&
		    !o->has[WS_SERVER_NO_TAKEOVER],
		.client_takeover = options->takeover &&
		    !o->has[WS_CLIENT_NO_TAKEOVER],
	};

	if (ws_offer_bounds_client(o, &agreed))
		agreed.client_bits = ws_bits_min(agreed.client_bits,
		    options->window_bits);
	return agreed;
}

/* RFC 7692 7.1.1.2, 7.1.2.1: the server may name what it wasn't asked for, but
 * the client's window. */
static size_t
ws_answer_write(const struct ws_offer *o, const struct ws_deflate *agreed,
    char *answer)
{
	char server[40] = "", client[40] = "";

	if (o->has[WS_SERVER_BITS] || agreed->server_bits < WS_BITS_MAX)
		snprintf(server, sizeof(server), "; server_max_window_bits=%u",
		    agreed->server_bits);
	if (ws_offer_bounds_client(o, agreed))
		snprintf(client, sizeof(client), "; client_max_window_bits=%u",
		    agreed->client_bits);
	return (size_t)snprintf(answer, WS_DEFLATE_ANSWER_MAX,
	    "permessage-deflate%s%s%s%s",
	    agreed->server_takeover ? "" : "; server_no_context_takeover",
	    agreed->client_takeover ? "" : "; client_no_context_takeover",
	    server, client);
}

bool
ws_deflate_negotiate(struct str offers,
    const struct ws_deflate_options *options, struct ws_deflate *ret_agreed,
    char *answer, size_t *ret_answer_len)
{
	struct ws_offer o;
	struct str offer;

	*ret_agreed = (struct ws_deflate){0};
	*ret_answer_len = 0;
	while (ws_cut(&offers, ',', &offer)) {
		if (!ws_offer_read(offer, &o))
			continue;
		*ret_agreed = ws_offer_agree(&o, options);
		*ret_answer_len = ws_answer_write(&o, ret_agreed, answer);
		return true;
	}
	return false;
}
