/* SPDX-License-Identifier: MIT */
/*
 * "ip_filter": who may ask, by address: not who is denied, and, where there is
 * a list of the allowed, nobody else.  The others get a 403.
 *
 * An IPv4 address counts as its mapped IPv6 form, so that a list means the same
 * on a dual-stack listener.  Clients of a unix socket have no address: the
 * file's permissions decide about them.
 *
 * Owns the lists, parsed.  Here: the peer.  Not here: forwarded addresses.
 * Context: the loop's thread.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "server/middleware.h"

/* An IPv6 address and how many of its leading bits count. */
struct network {
	struct in6_addr addr;
	unsigned bits;
};

struct ip_filter {
	size_t allow_count, deny_count;
	struct network network[];	/* the allowed, then the denied */
};

static void
addr_map_v4(struct in_addr v4, struct in6_addr *ret_addr)
{
	memset(ret_addr, 0, sizeof(*ret_addr));
	ret_addr->s6_addr[10] = ret_addr->s6_addr[11] = 0xff;
	memcpy(&ret_addr->s6_addr[12], &v4, sizeof(v4));
}

/* "10.0.0.0/8", "::1" */
static int
network_parse(struct str text, struct network *ret_network)
{
	struct str rest = text, host = STR("");
	char cstr[INET6_ADDRSTRLEN];
	struct in_addr v4;
	uint64_t bits, most = 128;

	str_cut(&rest, '/', &host);
	if (host.len >= sizeof(cstr))
		return -1;
	memcpy(cstr, host.p, host.len);
	cstr[host.len] = '\0';
	if (inet_pton(AF_INET, cstr, &v4) == 1) {
		addr_map_v4(v4, &ret_network->addr);
		most = 32;
	} else if (inet_pton(AF_INET6, cstr, &ret_network->addr) != 1) {
		return -1;
	}
	bits = most;
	if (!str_is_null(rest) && str_to_u64(rest, &bits) == -1)
		return -1;
	if (bits > most)
		return -1;
	ret_network->bits = (unsigned)(128 - most + bits);
	return 0;
}

static int
ip_filter_parse(const struct config_strings *list, const char *key,
    struct network *out, struct error *err)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (network_parse(list->item[i], &out[i]) == -1)
			return error_set(err, ERROR_INVALID,
			    "%s: '%.*s' must be an address or a network like "
			    "\"10.0.0.0/8\" or \"fd00::/8\"", key,
			    STR_FMT(list->item[i]));
	return 0;
}

static int
ip_filter_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	const struct config_strings *allow = &cfg->ip_filter.allow;
	const struct config_strings *deny = &cfg->ip_filter.deny;
	struct ip_filter *st = calloc(1, sizeof(*st) +
	    (allow->count + deny->count) * sizeof(st->network[0]));

	if (st == NULL)
		return error_nomem(err, "middleware");
	st->allow_count = allow->count;
	st->deny_count = deny->count;
	if (ip_filter_parse(allow, "allow", st->network, err) == -1 ||
	    ip_filter_parse(deny, "deny", st->network + allow->count,
		err) == -1) {
		free(st);
		return -1;
	}
	*ret_state = st;
	return 0;
}

static bool
network_has(const struct network *n, const struct in6_addr *addr)
{
	unsigned whole = n->bits / 8, rest = n->bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	return memcmp(n->addr.s6_addr, addr->s6_addr, whole) == 0 &&
	    (rest == 0 ||
	    ((n->addr.s6_addr[whole] ^ addr->s6_addr[whole]) & mask) == 0);
}

static bool
list_has(const struct network *list, size_t count, const struct in6_addr *addr)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (network_has(&list[i], addr))
			return true;
	return false;
}

static int
ip_filter_before(struct request *r, const void *state)
{
	const struct ip_filter *st = state;
	struct sockaddr_storage peer;
	struct in6_addr addr;

	request_peer_addr(r, &peer);
	if (peer.ss_family == AF_INET)
		addr_map_v4(((struct sockaddr_in *)&peer)->sin_addr, &addr);
	else if (peer.ss_family == AF_INET6)
		addr = ((struct sockaddr_in6 *)&peer)->sin6_addr;
	else
		return REQUEST_NEXT;
	if (list_has(st->network + st->allow_count, st->deny_count, &addr) ||
	    (st->allow_count > 0 &&
	    !list_has(st->network, st->allow_count, &addr)))
		return response_error(r, 403, "this address is not allowed");
	return REQUEST_NEXT;
}

const struct middleware middleware_ip_filter = {
	.name = "ip_filter",
	.setup = ip_filter_setup,
	.teardown = free,
	.before = ip_filter_before,
};
