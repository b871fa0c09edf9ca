/* SPDX-License-Identifier: MIT */
/*
 * What a client must send to open a WebSocket, and what it is told.
 *
 * Owns nothing: texts are in the request's arena.  Invariant: a request that is
 * answered with 101 has passed every check of RFC 6455 4.2.1, and comes from an
 * origin that the route allows.
 * Here: the fields of the handshake.  Not here: the connection after it (ws.c),
 * parameters of the extension (ws_deflate.c).
 * Context: a worker's loop.  ws.c -> [ws_handshake.c]
 */
#include "server/ws_handshake.h"

#include <errno.h>

#include "common/base64.h"
#include "common/sha1.h"
#include "server/request.h"

/* 16 bytes in base64 (RFC 6455 4.1). */
#define KEY_BYTES 24
#define KEY_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/* The fields that count.  Lists are all fields of that name, joined. */
struct ws_asked {
	struct str key, version, protocols, extensions;
	unsigned key_count, version_count;
	bool has_upgrade;		/* Upgrade lists "websocket" */
	bool has_failed;		/* no memory to join */
};

/* RFC 9110 5.3: fields of a list are one list. */
static void
ws_ask_join(struct request *r, struct ws_asked *asked, struct str *list,
    struct str value)
{
	if (list->p == NULL) {
		*list = value;
		return;
	}
	*list = arena_printf(&r->arena, "%.*s, %.*s", STR_FMT(*list),
	    STR_FMT(value));
	asked->has_failed |= list->p == NULL;
}

static void
ws_ask_field(struct request *r, struct ws_asked *asked, struct str name,
    struct str value)
{
	if (str_eq_nocase(name, STR("Key"))) {
		asked->key = value;
		asked->key_count++;
	} else if (str_eq_nocase(name, STR("Version"))) {
		asked->version = value;
		asked->version_count++;
	} else if (str_eq_nocase(name, STR("Protocol"))) {
		ws_ask_join(r, asked, &asked->protocols, value);
	} else if (str_eq_nocase(name, STR("Extensions"))) {
		ws_ask_join(r, asked, &asked->extensions, value);
	}
}

/* What follows "Sec-WebSocket-" in a name; .p NULL: another field. */
static struct str
ws_field_suffix(const struct field *f)
{
	static const struct str prefix = STR_INIT("Sec-WebSocket-");

	if (f->id != FIELD_OTHER || f->name.len < prefix.len ||
	    !str_eq_nocase(str_from(f->name.p, prefix.len), prefix))
		return str_from(NULL, 0);
	return str_from(f->name.p + prefix.len, f->name.len - prefix.len);
}

static void
ws_ask(struct request *r, struct ws_asked *ret_asked)
{
	const struct head *h = r->head;
	unsigned i;

	*ret_asked = (struct ws_asked){0};
	for (i = 0; i < h->field_count; i++) {
		const struct field *f = &h->fields[i];
		struct str suffix = ws_field_suffix(f);

		if (f->id == FIELD_UPGRADE)
			ret_asked->has_upgrade |=
			    str_list_has(f->value, STR("websocket"));
		else if (suffix.p != NULL)
			ws_ask_field(r, ret_asked, suffix, f->value);
	}
}

bool
ws_is_asked(const struct request *r)
{
	const struct head *h = r->head;
	bool has_upgrade = false;
	unsigned i;

	if (h->method != METHOD_GET)
		return false;
	for (i = 0; i < h->field_count; i++) {
		const struct field *f = &h->fields[i];

		/* Whoever sends it wants nothing else, and where the rest was
		 * lost, in a proxy maybe, should be told. */
		if (str_eq_nocase(ws_field_suffix(f), STR("Key")))
			return true;
		if (f->id == FIELD_UPGRADE)
			has_upgrade |= str_list_has(f->value, STR("websocket"));
	}
	/* RFC 9110 7.8: without its option, and in 1.0, it says nothing. */
	return has_upgrade && h->has_upgrade && h->minor == 1;
}

static bool
ws_key_is_good(struct str key)
{
	size_t i;

	/* RFC 6455 4.2.1: which bytes they are is no server's business. */
	if (key.len != KEY_BYTES || key.p[22] != '=' || key.p[23] != '=')
		return false;
	for (i = 0; i < 22; i++) {
		char b = key.p[i];

		if (!(b >= 'A' && b <= 'Z') && !(b >= 'a' && b <= 'z') &&
		    !(b >= '0' && b <= '9') && b != '+' && b != '/')
			return false;
	}
	return true;
}

/* Which version it speaks is told, so that the client can try that. */
static int
ws_refuse_version(struct request *r)
{
	int res = response_error(r, 426, "only version 13 of WebSocket");

	/* RFC 9110 15.5.22, RFC 6455 4.4 */
	if (response_add_checked(r, STR("Upgrade"), STR("websocket")) == -1 ||
	    response_add_checked(r, STR("Connection"), STR("Upgrade")) == -1 ||
	    response_add_checked(r, STR("Sec-WebSocket-Version"),
	    STR("13")) == -1)
		return -ENOMEM;
	return res;
}

/* RFC 6455 4.2.1; returns 0, or what to answer. */
static int
ws_check(struct request *r, const struct ws_asked *asked)
{
	const struct head *h = r->head;

	if (h->method != METHOD_GET)
		return response_error(r, 400, "a WebSocket begins with GET");
	if (h->minor == 0)
		return response_error(r, 400, "a WebSocket needs HTTP/1.1");
	if (!asked->has_upgrade)
		return response_error(r, 400,
		    "a WebSocket needs \"Upgrade: websocket\"");
	if (!h->has_upgrade)
		return response_error(r, 400,
		    "a WebSocket needs \"Connection: Upgrade\"");
	/* What follows would be content to us and frames to others. */
	if (h->framing != BODY_NONE)
		return response_error(r, 400,
		    "a WebSocket's handshake has no content");
	if (asked->version_count != 1 || !str_eq(asked->version, STR("13")))
		return ws_refuse_version(r);
	if (asked->key_count != 1 || !ws_key_is_good(asked->key))
		return response_error(r, 400,
		    "Sec-WebSocket-Key must be 16 bytes in base64, once");
	if (asked->has_failed)
		return -ENOMEM;
	/* RFC 6455 9.1 */
	if (asked->extensions.p != NULL &&
	    !ws_extensions_are_valid(asked->extensions))
		return response_error(r, 400,
		    "malformed Sec-WebSocket-Extensions");
	return 0;
}

/* host[:port]; the port of an IPv6 address stands behind its bracket. */
static void
ws_split_port(struct str authority, struct str *ret_host, struct str *ret_port)
{
	size_t i = authority.len;

	*ret_host = authority;
	*ret_port = str_from(NULL, 0);
	while (i > 0 && authority.p[i - 1] >= '0' && authority.p[i - 1] <= '9')
		i--;
	if (i == 0 || authority.p[i - 1] != ':')
		return;
	*ret_host = str_from(authority.p, i - 1);
	*ret_port = str_from(authority.p + i, authority.len - i);
}

/*
 * Whether the page comes from where the request goes to.  TLS may end in front
 * of us, so either scheme may be its own; a port that is left out is the
 * scheme's.
 */
static bool
ws_origin_is_host(struct str origin, struct str authority)
{
	struct str host, port, own_host, own_port, usual = STR("80");

	if (str_has_prefix(origin, STR("https://"))) {
		usual = STR("443");
		origin = str_from(origin.p + 8, origin.len - 8);
	} else if (str_has_prefix(origin, STR("http://"))) {
		origin = str_from(origin.p + 7, origin.len - 7);
	} else {
		return false;
	}
	ws_split_port(origin, &host, &port);
	ws_split_port(authority, &own_host, &own_port);
	return host.len > 0 && str_eq_nocase(host, own_host) &&
	    str_eq(port.len > 0 ? port : usual,
	    own_port.len > 0 ? own_port : usual);
}

static bool
ws_origin_is_allowed(const struct request *r, struct str origin,
    const struct config_strings *origins)
{
	size_t i;

	if (origins->count == 0)
		return ws_origin_is_host(origin, r->head->authority);
	for (i = 0; i < origins->count; i++)
		if (str_eq(origins->item[i], STR("*")) ||
		    str_eq_nocase(origins->item[i], origin))
			return true;
	return false;
}

bool
ws_check_origin(const struct request *r, const struct config_strings *origins)
{
	const struct head *h = r->head;
	unsigned i;

	for (i = 0; i < h->field_count; i++)
		if (h->fields[i].id == FIELD_ORIGIN &&
		    !ws_origin_is_allowed(r, h->fields[i].value, origins))
			return false;
	return true;
}

/* The best of ours that the client offers, 1 + its index; 0: none. */
static uint16_t
ws_choose_protocol(const struct ws_options *options, struct str offered)
{
	size_t i;

	for (i = 0; i < options->protocols.count; i++)
		if (str_list_has(offered, options->protocols.item[i]))
			return (uint16_t)(i + 1);
	return 0;
}

/* RFC 6455 4.2.2, 5.4 */
static struct str
ws_accept_text(struct request *r, struct str key)
{
	struct str text = arena_printf(&r->arena, "%.*s" KEY_GUID,
	    STR_FMT(key));
	char *answer = arena_alloc(&r->arena, BASE64_TEXT_BYTES(SHA1_BYTES));
	union {
		uint8_t digest[SHA1_BYTES];
		char bytes[SHA1_BYTES];
	} hash;

	if (text.p == NULL || answer == NULL)
		return str_from(NULL, 0);
	sha1(text, hash.digest);
	return str_from(answer, base64_encode(str_from(hash.bytes, SHA1_BYTES),
	    BASE64_PLAIN, answer));
}

/* Returns 0, or -ENOMEM. */
static int
ws_negotiate(struct request *r, const struct ws_options *options,
    struct str offers, struct ws_deflate *ret_agreed)
{
	const struct config_websocket *cfg = options->config;
	const struct ws_deflate_options own = {
		.takeover = cfg->deflate.takeover,
		.window_bits = (uint8_t)cfg->deflate.window_bits,
		.level = cfg->deflate.level,
	};
	char *answer;
	size_t len;

	if (!cfg->deflate.enabled || offers.p == NULL)
		return 0;
	answer = arena_alloc(&r->arena, WS_DEFLATE_ANSWER_MAX);
	if (answer == NULL)
		return -ENOMEM;
	if (!ws_deflate_negotiate(offers, &own, ret_agreed, answer, &len)) {
		*ret_agreed = (struct ws_deflate){0};
		return 0;
	}
	return response_add_checked(r, STR("Sec-WebSocket-Extensions"),
	    str_from(answer, len)) == -1 ? -ENOMEM : 0;
}

int
ws_handshake(struct request *r, const struct ws_options *options,
    struct ws_agreed *ret_agreed)
{
	struct ws_asked asked;
	struct str accept;
	int res;

	*ret_agreed = (struct ws_agreed){.protocol = 0};
	ws_ask(r, &asked);
	res = ws_check(r, &asked);
	if (res != 0)
		return res;
	if (!ws_check_origin(r, &options->origins))
		return response_error(r, 403,
		    "pages of this origin may not open a WebSocket here");
	accept = ws_accept_text(r, asked.key);
	if (accept.p == NULL ||
	    response_add_checked(r, STR("Upgrade"), STR("websocket")) == -1 ||
	    response_add_checked(r, STR("Connection"), STR("Upgrade")) == -1 ||
	    response_add_checked(r, STR("Sec-WebSocket-Accept"), accept) == -1)
		return -ENOMEM;
	ret_agreed->protocol = ws_choose_protocol(options, asked.protocols);
	if (ret_agreed->protocol > 0 &&
	    response_add_checked(r, STR("Sec-WebSocket-Protocol"),
	    options->protocols.item[ret_agreed->protocol - 1]) == -1)
		return -ENOMEM;
	res = ws_negotiate(r, options, asked.extensions, &ret_agreed->deflate);
	return res != 0 ? res : 101;
}
