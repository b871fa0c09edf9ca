/* SPDX-License-Identifier: MIT */
/*
 * Host names to addresses, by libevent's resolver: libpq's own would block the
 * loop.  Each attempt to connect asks anew, so that a name may move.
 *
 *	host=a,/run/pg port=5432  ->  host=a,a,/run/pg
 *				      hostaddr=192.0.2.1,2001:db8::1,
 *				      port=5432,5432,5432
 *
 * Owns the lookup under way; pg owns the resolver.  Invariant: a lookup whose
 * connection is NULL was cancelled, and ends with the resolver's call.
 * Here: names.  Not here: connecting (postgres_conn.c).
 * Context: the loop's thread.
 *	postgres_conn.c -> [postgres_address.c] -> pg_conn_start()
 */
#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/db/postgres.h"

#define PG_HOST_BYTES 1024

struct pg_lookup {
	struct pg_conn *conn; /* NULL: cancelled */
	struct evdns_getaddrinfo_request *request;
	struct str hosts, ports; /* what is left of the lists */
	struct str host, port; /* what is looked up */
	struct buf host_list, address_list, port_list;
	const char *why; /* the last name was not found */
};

static void pg_lookup_next(struct pg_lookup *l);

const char *
pg_option(const struct pg *pg, const char *keyword)
{
	const PQconninfoOption *o;

	for (o = pg->options; o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val;
	return NULL;
}

/* A folder of sockets, an abstract one, or an address. */
static bool
pg_host_is_name(struct str host)
{
	char text[PG_HOST_BYTES], address[sizeof(struct in6_addr)];

	if (host.len == 0 || host.len >= sizeof(text) || host.p[0] == '/' ||
	    host.p[0] == '@')
		return false;
	memcpy(text, host.p, host.len);
	text[host.len] = '\0';
	return inet_pton(AF_INET, text, address) != 1 &&
	    inet_pton(AF_INET6, text, address) != 1;
}

static size_t
pg_list_count(struct str list)
{
	size_t count = 0;
	struct str item;

	while (str_cut(&list, ',', &item))
		count++;
	return count;
}

/* What has to be looked up, or {NULL, 0}: libpq may have it as it is. */
static struct str
pg_hosts(const struct pg *pg)
{
	struct str host, hosts = str_of(pg_option(pg, "host")), list;

	if (pg_option(pg, "hostaddr") != NULL || getenv("PGHOSTADDR") != NULL)
		return (struct str){0};
	if (hosts.len == 0)
		hosts = str_of(getenv("PGHOST"));
	list = hosts;
	while (str_cut(&list, ',', &host))
		if (pg_host_is_name(host))
			return hosts;
	return (struct str){0};
}

static void
pg_list_add(struct buf *list, struct str item, bool is_first)
{
	if (!is_first)
		buf_add_byte(list, ',');
	buf_add(list, item);
}

static void
pg_lookup_add(struct pg_lookup *l, struct str address)
{
	bool is_first = l->host_list.len == 0;

	pg_list_add(&l->address_list, address, is_first);
	pg_list_add(&l->port_list, l->port, is_first);
	pg_list_add(&l->host_list, l->host, is_first);
}

static void
pg_lookup_free(struct pg_lookup *l)
{
	buf_done(&l->host_list);
	buf_done(&l->address_list);
	buf_done(&l->port_list);
	free(l);
}

static void
pg_lookup_finish(struct pg_lookup *l)
{
	struct pg_conn *c = l->conn;

	c->lookup = NULL;
	if (buf_failed(&l->host_list) || buf_failed(&l->address_list) ||
	    buf_failed(&l->port_list))
		pg_connect_failed(c, "no memory");
	else if (l->host_list.len == 0)
		pg_connect_failed(c, l->why);
	else
		pg_conn_start(
		    c, l->host_list.p, l->address_list.p, l->port_list.p);
	pg_lookup_free(l);
}

static void
pg_lookup_on_found(int result, struct evutil_addrinfo *list, void *arg)
{
	struct pg_lookup *l = arg;
	const struct evutil_addrinfo *ai;
	char text[NI_MAXHOST];

	l->request = NULL;
	if (l->conn == NULL) {
		pg_lookup_free(l);
	} else {
		if (result != 0)
			l->why = evutil_gai_strerror(result);
		for (ai = list; ai != NULL; ai = ai->ai_next)
			if (getnameinfo(ai->ai_addr, (socklen_t)ai->ai_addrlen,
				text, sizeof(text), NULL, 0,
				NI_NUMERICHOST) == 0)
				pg_lookup_add(l, str_of(text));
		pg_lookup_next(l);
	}
	if (list != NULL)
		evutil_freeaddrinfo(list);
}

static void
pg_lookup_ask(struct pg_lookup *l)
{
	const struct evutil_addrinfo hints = {
	    .ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM,
	    .ai_protocol = IPPROTO_TCP,
	};
	struct evdns_getaddrinfo_request *request;
	char host[PG_HOST_BYTES];

	snprintf(host, sizeof(host), "%.*s", STR_FMT(l->host));
	request = evdns_getaddrinfo(
	    l->conn->pg->dns, host, NULL, &hints, pg_lookup_on_found, l);
	/* NULL: it has called back already, and the lookup may be gone. */
	if (request != NULL)
		l->request = request;
}

static void
pg_lookup_next(struct pg_lookup *l)
{
	struct str port;

	while (str_cut(&l->hosts, ',', &l->host)) {
		/* One port is for all. */
		if (str_cut(&l->ports, ',', &port))
			l->port = port;
		if (pg_host_is_name(l->host)) {
			pg_lookup_ask(l);
			return;
		}
		pg_lookup_add(l, str_from("", 0));
	}
	pg_lookup_finish(l);
}

/* Returns 0 or -1.  Without a resolv.conf there still is /etc/hosts. */
static int
pg_dns_open(struct pg *pg)
{
	if (pg->dns != NULL)
		return 0;
	pg->dns = evdns_base_new(pg->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (pg->dns == NULL)
		return -1;
	evdns_base_resolv_conf_parse(
	    pg->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
	return 0;
}

void
pg_lookup_start(struct pg_conn *c)
{
	struct str hosts = pg_hosts(c->pg);
	struct str ports = str_of(pg_option(c->pg, "port"));
	struct pg_lookup *l;

	/* libpq refuses lists that don't fit together. */
	if (hosts.len == 0 ||
	    (pg_list_count(ports) > 1 &&
		pg_list_count(ports) != pg_list_count(hosts))) {
		pg_conn_start(c, NULL, NULL, NULL);
		return;
	}
	l = calloc(1, sizeof(*l));
	if (l == NULL || pg_dns_open(c->pg) == -1) {
		free(l);
		pg_connect_failed(c, "no memory");
		return;
	}
	*l = (struct pg_lookup){.conn = c,
	    .hosts = hosts,
	    .ports = ports,
	    .port = STR(""),
	    .why = "no address"};
	buf_init(&l->host_list, 0);
	buf_init(&l->address_list, 0);
	buf_init(&l->port_list, 0);
	c->lookup = l;
	pg_lookup_next(l);
}

void
pg_lookup_cancel(struct pg_conn *c)
{
	struct pg_lookup *l = c->lookup;

	if (l == NULL)
		return;
	c->lookup = NULL;
	l->conn = NULL;
	if (l->request != NULL)
		evdns_getaddrinfo_cancel(l->request);
}
