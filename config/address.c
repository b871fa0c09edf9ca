/* SPDX-License-Identifier: MIT */
/*
 * The address of a listener, from its text to what bind(2) takes.
 *
 * Owns nothing.
 *
 * Here: the syntax.  Not here: names, sockets (workers/listener.c).
 * Context: pure functions.  Reading order: read.c -> [address.c].
 */
#include "config/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

static const struct str unix_prefix = STR_INIT("unix:");

static int
address_parse_unix(struct str path, struct address *ret, struct error *err)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	if (path.len == 0 || memchr(path.p, '\0', path.len) != NULL)
		return error_set(err, ERROR_INVALID,
		    "a path must follow \"unix:\"");
	/* sockaddr_un keeps room for a NUL that not every reader adds. */
	if (path.len >= sizeof(un.sun_path))
		return error_set(err, ERROR_INVALID,
		    "the path of a unix socket has at most %zu bytes, this "
		    "one has %zu", sizeof(un.sun_path) - 1, path.len);
	memcpy(un.sun_path, path.p, path.len);
	memset(&ret->storage, 0, sizeof(ret->storage));
	memcpy(&ret->storage, &un, sizeof(un));
	ret->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    path.len + 1);
	return 0;
}

static int
address_parse_port(struct str text, in_port_t *ret_port, struct error *err)
{
	uint64_t port;

	if (str_to_u64(text, &port) == -1 || port > 65535)
		return error_set(err, ERROR_INVALID,
		    "the port must be a number from 0 to 65535");
	*ret_port = htons((uint16_t)port);
	return 0;
}

static int
address_parse_v6(struct str host, in_port_t port, struct address *ret,
    struct error *err)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};
	char text[INET6_ADDRSTRLEN];

	if (host.len >= sizeof(text))
		goto fail;
	memcpy(text, host.p, host.len);
	text[host.len] = '\0';
	if (strlen(text) != host.len ||
	    inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
		goto fail;
	memset(&ret->storage, 0, sizeof(ret->storage));
	memcpy(&ret->storage, &in6, sizeof(in6));
	ret->len = sizeof(in6);
	return 0;
fail:
	return error_set(err, ERROR_INVALID,
	    "between [ and ] must stand an IPv6 address");
}

static int
address_parse_v4(struct str host, in_port_t port, struct address *ret,
    struct error *err)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
	char text[INET_ADDRSTRLEN];

	if (host.len == 0 || str_eq(host, STR("*")))
		host = STR("0.0.0.0");
	else if (str_eq(host, STR("localhost")))
		host = STR("127.0.0.1");
	if (memchr(host.p, ':', host.len) != NULL)
		return error_set(err, ERROR_INVALID,
		    "an IPv6 address needs brackets: \"[::1]:8080\"");
	if (host.len >= sizeof(text))
		goto fail;
	memcpy(text, host.p, host.len);
	text[host.len] = '\0';
	if (strlen(text) != host.len ||
	    inet_pton(AF_INET, text, &in.sin_addr) != 1)
		goto fail;
	memset(&ret->storage, 0, sizeof(ret->storage));
	memcpy(&ret->storage, &in, sizeof(in));
	ret->len = sizeof(in);
	return 0;
fail:
	return error_set(err, ERROR_INVALID,
	    "the host must be a numeric address, \"*\" or \"localhost\"");
}

int
address_parse(struct str text, struct address *ret, struct error *err)
{
	in_port_t port = 0;
	size_t colon = text.len;

	if (str_has_prefix(text, unix_prefix))
		return address_parse_unix(str_from(text.p + unix_prefix.len,
		    text.len - unix_prefix.len), ret, err);
	while (colon > 0 && text.p[colon - 1] != ':' &&
	    text.p[colon - 1] != ']')
		colon--;
	if (colon == 0 || text.p[colon - 1] != ':')
		return error_set(err, ERROR_INVALID, "a port is missing");
	if (address_parse_port(str_from(text.p + colon, text.len - colon),
	    &port, err) == -1)
		return -1;
	text.len = colon - 1;
	if (text.len >= 2 && text.p[0] == '[' && text.p[text.len - 1] == ']')
		return address_parse_v6(str_from(text.p + 1, text.len - 2),
		    port, ret, err);
	return address_parse_v4(text, port, ret, err);
}

bool
address_is_same(const struct address *a, const struct address *b)
{
	in_port_t port = 1;

	if (a->storage.ss_family == AF_INET)
		port = ((const struct sockaddr_in *)&a->storage)->sin_port;
	else if (a->storage.ss_family == AF_INET6)
		port = ((const struct sockaddr_in6 *)&a->storage)->sin6_port;
	return port != 0 && a->len == b->len &&
	    memcmp(&a->storage, &b->storage, a->len) == 0;
}
