/* SPDX-License-Identifier: MIT */
/*
 * "rate_limit": how often a client may ask; who asks more often is told when to
 * come back.
 *
 * All workers share one table (common/rate.h), so that the limit is the
 * server's and not a worker's, and a reload forgets nobody.  In it a client is
 * the hash of which limit, and who.
 *
 * Owns: what identifies this limit.  Without a shared table, where one process
 * is all there is, a table of its own.
 * Here: clients and fields (RFC 6585 4, and the drafts of RateLimit).  Not
 * here: counting.
 * Context: the loop's thread.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/rate.h"
#include "server/attr.h"
#include "server/internal.h"
#include "server/middleware.h"

#define SECOND_NS UINT64_C(1000000000)
/* From empty to full again. */
#define RATE_FULL_DAYS_MAX UINT64_C(366)
/* A table where none is shared: checks and tests. */
#define RATE_CELLS_OWN 1024

struct rate {
	const struct config_middleware *cfg;	/* the configuration's */
	struct rate_limit limit;
	struct rate_table *table;
	struct rate_table *own;		/* owned; NULL: it is shared */
	uint64_t id;			/* of this limit */
	char policy[96];		/* RateLimit-Policy */
};

/* What tells this limit from others, and is the same after a reload: where it
 * stands, and what it says. */
struct rate_name {
	uint64_t route, index;
	int64_t requests, per_ms, burst, by, prefix;
	uint64_t name;
};

static void
rate_teardown(void *state)
{
	struct rate *st = state;

	if (st != NULL)
		free(st->own);
	free(st);
}

static bool
list_has(const struct config_middlewares *list,
    const struct config_middleware *m, uint64_t *ret_index)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (&list->item[i] == m) {
			*ret_index = i;
			return true;
		}
	return false;
}

/* Where in the file it stands, told by what doesn't move when a line does. */
static void
rate_place(const struct config *cfg, const struct config_middleware *m,
    struct rate_name *name)
{
	const struct config_route *route;
	const struct config_module *module;
	size_t i;

	if (list_has(&cfg->middleware, m, &name->index))
		return;
	for (i = 0; i < cfg->routes.count; i++) {
		route = &cfg->routes.item[i];
		if (!list_has(&route->middleware, m, &name->index))
			continue;
		name->route = str_hash(route->path) ^ 3 * str_hash(route->host)
		    ^ route->methods;
		return;
	}
	for (i = 0; i < cfg->modules.count; i++) {
		module = &cfg->modules.item[i];
		if (list_has(&module->middleware, m, &name->index))
			name->route = 5 * str_hash(module->name);
	}
}

static void
rate_identify(struct rate *st, const struct config *cfg)
{
	const struct config_middleware *m = st->cfg;
	struct rate_name name = {
		.requests = m->rate_limit.requests,
		.per_ms = m->rate_limit.per_ms,
		.burst = m->rate_limit.burst,
		.by = m->rate_limit.by,
		.prefix = m->rate_limit.ipv6_prefix,
		.name = str_hash(m->rate_limit.name),
	};

	rate_place(cfg, m, &name);
	st->id = rate_key(st->table, str_from((const char *)&name,
	    sizeof(name)));
}

static int
rate_set_limit(struct rate *st, struct error *err)
{
	const struct config_middleware *m = st->cfg;
	uint64_t per_ns = (uint64_t)m->rate_limit.per_ms * 1000000;
	uint64_t most = RATE_FULL_DAYS_MAX * 86400 * SECOND_NS;

	st->limit.interval_ns = per_ns / (uint64_t)m->rate_limit.requests;
	st->limit.burst = (uint64_t)(m->rate_limit.burst == CONFIG_AUTO ?
	    m->rate_limit.requests : m->rate_limit.burst);
	if (st->limit.burst > most / st->limit.interval_ns)
		return error_set(err, ERROR_INVALID, "burst: %" PRIu64 " at "
		    "this rate take more than a year to come back: write less",
		    st->limit.burst);
	return 0;
}

static int
rate_take_table(struct rate *st, struct server *srv, struct error *err)
{
	st->table = srv->rate;
	if (st->table != NULL)
		return 0;
	if (posix_memalign((void **)&st->own, 64,
	    rate_table_bytes(RATE_CELLS_OWN)) != 0) {
		st->own = NULL;
		return error_nomem(err, "a table of rates");
	}
	memset(st->own, 0, rate_table_bytes(RATE_CELLS_OWN));
	rate_table_init(st->own, RATE_CELLS_OWN);
	st->table = st->own;
	return 0;
}

static uint64_t
seconds_up(uint64_t ns)
{
	return ns / SECOND_NS + (ns % SECOND_NS != 0);
}

static int
rate_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct rate *st = calloc(1, sizeof(*st));

	if (st == NULL)
		return error_nomem(err, "middleware");
	st->cfg = cfg;
	if (rate_set_limit(st, err) == -1 ||
	    rate_take_table(st, srv, err) == -1) {
		rate_teardown(st);
		return -1;
	}
	rate_identify(st, server_config(srv));
	/* draft-ietf-httpapi-ratelimit-headers-10 3 */
	snprintf(st->policy, sizeof(st->policy), "\"default\";q=%" PRIu64
	    ";w=%" PRIu64, st->limit.burst,
	    seconds_up(st->limit.burst * st->limit.interval_ns));
	*ret_state = st;
	return 0;
}

/* Who is asking, as bytes that differ between clients. */
struct rate_client {
	uint64_t limit;
	char kind;		/* so that no header spells an address */
	unsigned char addr[16];
	uint64_t text;		/* the hash of what can be long */
};

static void
client_mask(unsigned char addr[16], unsigned bits)
{
	unsigned i;

	for (i = 0; i < 16; i++) {
		if (bits >= 8)
			bits -= 8;
		else {
			addr[i] &= (unsigned char)(0xff00 >> bits);
			bits = 0;
		}
	}
}

/* One of an IPv6 network has as many addresses as it likes. */
static void
client_by_address(struct rate_client *client, const struct request *r,
    unsigned ipv6_prefix)
{
	struct sockaddr_storage peer;
	const struct sockaddr_in *v4 = (const void *)&peer;
	const struct sockaddr_in6 *v6 = (const void *)&peer;

	request_peer_addr(r, &peer);
	client->kind = 'a';
	if (peer.ss_family == AF_INET) {
		client->addr[10] = client->addr[11] = 0xff;
		memcpy(client->addr + 12, &v4->sin_addr, 4);
	} else if (peer.ss_family == AF_INET6) {
		memcpy(client->addr, &v6->sin6_addr, 16);
		if (!IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
			client_mask(client->addr, ipv6_prefix);
	}
}

/* The text that tells clients apart; .p NULL: this one has none. */
static struct str
client_text(struct request *r, const struct rate *st)
{
	struct str name = st->cfg->rate_limit.name, text;
	struct lane_value v = {.kind = LANE_NULL};

	switch (st->cfg->rate_limit.by) {
	case RATE_BY_HEADER:
		return request_field(r, name);
	case RATE_BY_CLAIM:
		name = arena_printf(&r->arena, "jwt.%.*s", STR_FMT(name));
		if (name.p != NULL)
			v = attr_get(r->attrs, name);
		break;
	case RATE_BY_USER:
		v = attr_get(r->attrs, STR("user"));
		break;
	case RATE_BY_ROUTE:
		return r->route != NULL ? r->route->config->path : STR("");
	case RATE_BY_IP:
		break;
	}
	text = str_from(NULL, 0);
	if (v.kind == LANE_TEXT)
		text = str_from(v.u.s.p, v.u.s.len);
	else if (v.kind == LANE_INT)
		text = arena_printf(&r->arena, "%" PRId64, v.u.i);
	return text;
}

static uint64_t
rate_client_key(struct request *r, const struct rate *st)
{
	struct str text = client_text(r, st);
	struct rate_client client;

	memset(&client, 0, sizeof(client));
	client.limit = st->id;
	if (text.p != NULL) {
		client.kind = 't';
		client.text = rate_key(st->table, text);
	} else {
		client_by_address(&client, r,
		    (unsigned)st->cfg->rate_limit.ipv6_prefix);
	}
	return rate_key(st->table, str_from((const char *)&client,
	    sizeof(client)));
}

static int
rate_add(struct request *r, const char *name, uint64_t value)
{
	struct str text = arena_printf(&r->arena, "%" PRIu64, value);

	if (text.p == NULL)
		return -1;
	/* The closest of several limits has the last word. */
	response_remove(r, str_of(name));
	return response_add_checked(r, str_of(name), text);
}

static int
rate_tell(struct request *r, const struct rate *st,
    const struct rate_verdict *v)
{
	uint64_t reset_s = seconds_up(v->reset_ns);
	struct str now = arena_printf(&r->arena, "\"default\";r=%" PRIu64
	    ";t=%" PRIu64, v->remaining, reset_s);

	response_remove(r, STR("RateLimit"));
	response_remove(r, STR("RateLimit-Policy"));
	if (now.p == NULL ||
	    rate_add(r, "RateLimit-Limit", st->limit.burst) == -1 ||
	    rate_add(r, "RateLimit-Remaining", v->remaining) == -1 ||
	    rate_add(r, "RateLimit-Reset", reset_s) == -1 ||
	    response_add_checked(r, STR("RateLimit"), now) == -1 ||
	    response_add_checked(r, STR("RateLimit-Policy"),
		str_of(st->policy)) == -1)
		return -ENOMEM;
	return 0;
}

static int
rate_before(struct request *r, const void *state)
{
	const struct rate *st = state;
	struct rate_verdict v = rate_take(st->table, rate_client_key(r, st),
	    &st->limit, r->srv->clock.mono_ns);
	int rc = rate_tell(r, st, &v);

	if (rc < 0 || v.is_allowed)
		return rc < 0 ? rc : REQUEST_NEXT;
	r->srv->stats->rate_limited++;
	if (rate_add(r, "Retry-After", seconds_up(v.retry_ns)) == -1)
		return -ENOMEM;
	return response_error(r, st->cfg->rate_limit.status,
	    "too many requests: wait as Retry-After says");
}

const struct middleware middleware_rate_limit = {
	.name = "rate_limit",
	.setup = rate_setup,
	.teardown = rate_teardown,
	.before = rate_before,
};
