/* SPDX-License-Identifier: MIT */
/*
 * One connection to a PostgreSQL server: made, read, written, closed, all
 * without blocking.
 *
 * Owns the PGconn and its events.  Invariant: no event is pending while libpq
 * may close its socket (PQconnectPoll() goes from one address to the next);
 * READY means pipeline mode, and that the socket is read.
 * Here: one connection.  Not here: how many there are (postgres_pool.c).
 * Context: the loop's thread.
 *	postgres_pool.c -> [postgres_conn.c] -> postgres_item.c
 */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/log.h"
#include "server/db/postgres.h"

/* More than libpq has keywords, with those that are added. */
#define PG_KEYWORDS_MAX 80

struct pg_keywords {
	unsigned count;
	const char *keyword[PG_KEYWORDS_MAX], *value[PG_KEYWORDS_MAX];
};

static void pg_conn_on_readable(int fd, short what, void *arg);
static void pg_conn_on_writable(int fd, short what, void *arg);

int
pg_conn_init(struct pg_conn *c, struct pg *pg)
{
	c->pg = pg;
	TAILQ_INIT(&c->unsent);
	TAILQ_INIT(&c->sent);
	pg_statements_init(&c->statements);
	c->readable = event_new(pg->base, -1, 0, pg_conn_on_readable, c);
	c->writable = event_new(pg->base, -1, 0, pg_conn_on_writable, c);
	return c->readable != NULL && c->writable != NULL ? 0 : -1;
}

void
pg_conn_close(struct pg_conn *c)
{
	pg_lookup_cancel(c);
	event_del(c->readable);
	event_del(c->writable);
	PQfinish(c->pq);
	c->pq = NULL;
	pg_statements_done(&c->statements);
	if (c->state == PG_READY && !c->is_control)
		c->pg->ready_count--;
	c->state = PG_OFF;
	c->is_slow = c->is_dying = false;
	c->cancelled_ms = 0;
}

void
pg_conn_done(struct pg_conn *c)
{
	if (c->readable != NULL && c->writable != NULL)
		pg_conn_close(c);
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
}

/* The first line of what libpq has to say. */
static void
pg_conn_fail(struct pg_conn *c, void (*fail)(struct pg_conn *, const char *))
{
	struct str text = str_of(PQerrorMessage(c->pq));
	char why[256];

	text.len = str_find(text, '\n');
	if (text.len == 0)
		text = STR("the server has closed it");
	snprintf(why, sizeof(why), "%.*s", STR_FMT(text));
	fail(c, why);
}

static void
pg_conn_on_notice(void *arg, const PGresult *res)
{
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	log_debug("database: %s", text != NULL ? text : "a notice");
}

static bool
pg_conn_is_tcp(const struct pg_conn *c)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);

	return getsockname(PQsocket(c->pq), (struct sockaddr *)&ss, &len) ==
	    0 &&
	    ss.ss_family != AF_UNIX;
}

/* No memory for it is no reason to do without the connection. */
static void
pg_conn_setup(struct pg_conn *c)
{
	struct pg_item *item = pg_item_new(c->pg, PG_SETUP, NULL);

	if (item != NULL)
		pg_item_put(item, PG_UNSENT, c);
}

static void
pg_conn_become_ready(struct pg_conn *c)
{
	if (PQsetnonblocking(c->pq, 1) == -1 ||
	    PQenterPipelineMode(c->pq) == 0) {
		pg_conn_fail(c, pg_connect_failed);
		return;
	}
	event_assign(c->readable, c->pg->base, PQsocket(c->pq),
	    EV_READ | EV_PERSIST, pg_conn_on_readable, c);
	event_assign(c->writable, c->pg->base, PQsocket(c->pq), EV_WRITE,
	    pg_conn_on_writable, c);
	if (event_add(c->readable, NULL) == -1) {
		pg_connect_failed(c, "no memory");
		return;
	}
	c->is_tcp = pg_conn_is_tcp(c);
	c->state = PG_READY;
	c->ready_ms = pg_now();
	pg_conn_setup(c);
	pg_connected(c);
}

static void
pg_conn_on_poll(int fd, short what, void *arg)
{
	struct pg_conn *c = arg;
	short want = EV_READ;

	switch (PQconnectPoll(c->pq)) {
	case PGRES_POLLING_OK:
		pg_conn_become_ready(c);
		return;
	case PGRES_POLLING_WRITING:
		want = EV_WRITE;
		break;
	case PGRES_POLLING_READING:
		break;
	default:
		pg_conn_fail(c, pg_connect_failed);
		return;
	}
	event_assign(c->readable, c->pg->base, PQsocket(c->pq), want,
	    pg_conn_on_poll, c);
	if (event_add(c->readable, NULL) == -1)
		pg_connect_failed(c, "no memory");
}

static void
pg_keyword_add(struct pg_keywords *k, const char *keyword, const char *value)
{
	if (value == NULL || k->count == PG_KEYWORDS_MAX - 1)
		return;
	k->keyword[k->count] = keyword;
	k->value[k->count++] = value;
}

/* What the URL doesn't say. */
static void
pg_keyword_default(struct pg_keywords *k, const struct pg *pg,
    const char *keyword, const char *value)
{
	if (pg_option(pg, keyword) == NULL)
		pg_keyword_add(k, keyword, value);
}

static void
pg_keywords_of_url(struct pg_keywords *k, const struct pg *pg, bool is_found)
{
	const PQconninfoOption *o;

	for (o = pg->options; o->keyword != NULL; o++) {
		if (is_found &&
		    (strcmp(o->keyword, "host") == 0 ||
			strcmp(o->keyword, "hostaddr") == 0 ||
			strcmp(o->keyword, "port") == 0))
			continue;
		pg_keyword_add(k, o->keyword, o->val);
	}
}

void
pg_conn_start(
    struct pg_conn *c, const char *host, const char *hostaddr, const char *port)
{
	const struct pg *pg = c->pg;
	struct pg_keywords k = {0};
	char name[48], timeout[24];

	snprintf(name, sizeof(name), "corelane worker %u", pg->db->worker);
	snprintf(
	    timeout, sizeof(timeout), "%" PRId64, pg->db->config->connect_ms);
	pg_keywords_of_url(&k, pg, host != NULL);
	pg_keyword_add(&k, "host", host);
	pg_keyword_add(&k, "hostaddr", hostaddr);
	pg_keyword_add(&k, "port", port);
	pg_keyword_default(&k, pg, "fallback_application_name", name);
	pg_keyword_default(&k, pg, "client_encoding", "UTF8");
	pg_keyword_default(&k, pg, "tcp_user_timeout", timeout);
	/* "prefer" asks Kerberos first, whose library blocks. */
	pg_keyword_default(&k, pg, "gssencmode", "disable");
	c->state = PG_CONNECTING;
	c->pq = PQconnectStartParams(k.keyword, k.value, 0);
	if (c->pq == NULL || PQstatus(c->pq) == CONNECTION_BAD) {
		pg_conn_fail(c, pg_connect_failed);
		return;
	}
	PQsetNoticeReceiver(c->pq, pg_conn_on_notice, NULL);
	event_assign(c->readable, pg->base, PQsocket(c->pq), EV_WRITE,
	    pg_conn_on_poll, c);
	if (event_add(c->readable, NULL) == -1)
		pg_connect_failed(c, "no memory");
}

void
pg_conn_connect(struct pg_conn *c)
{
	c->connect_due_ms = pg_now() + (uint64_t)c->pg->db->config->connect_ms;
	c->state = PG_RESOLVING;
	pg_tick_start(c->pg);
	pg_lookup_start(c);
}

/* Returns 0, or -1 when the connection is lost. */
static int
pg_conn_flush(struct pg_conn *c)
{
	int rc = PQflush(c->pq);

	if (rc == 1)
		return event_add(c->writable, NULL);
	return rc;
}

/* Until PostgreSQL 17 every PQpipelineSync() sends: so the kernel is told to
 * keep small segments together, or each would wake the server. */
static void
pg_conn_cork(struct pg_conn *c, int on)
{
	setsockopt(PQsocket(c->pq), IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

void
pg_conn_send(struct pg_conn *c)
{
	bool is_corked = c->is_tcp && c->unsent_count > 1;
	struct pg_item *item;
	int rc = 0;

	if (is_corked)
		pg_conn_cork(c, 1);
	while (rc == 0 && c->sent_count < PG_DEPTH &&
	    (item = TAILQ_FIRST(&c->unsent)) != NULL)
		rc = pg_item_send(item);
	if (rc == 0)
		rc = pg_conn_flush(c);
	if (is_corked)
		pg_conn_cork(c, 0);
	if (rc == -1)
		pg_conn_fail(c, pg_lost);
}

/* Somebody has said LISTEN: nothing here hears it. */
static void
pg_conn_drop_notifies(struct pg_conn *c)
{
	PGnotify *n;

	while ((n = PQnotifies(c->pq)) != NULL)
		PQfreemem(n);
}

/* A SET or a function may leave a transaction open that nobody ends. */
static bool
pg_conn_is_stuck(const struct pg_conn *c)
{
	PGTransactionStatusType status = PQtransactionStatus(c->pq);

	return c->sent_count == 0 && !c->is_reserved &&
	    (status == PQTRANS_INTRANS || status == PQTRANS_INERROR);
}

/* False: the connection is lost. */
static bool
pg_conn_receive(struct pg_conn *c)
{
	bool is_open = PQconsumeInput(c->pq) == 1;

	/* What came before the end counts. */
	return pg_items_receive(c) && is_open;
}

void
pg_conn_read(struct pg_conn *c)
{
	bool is_open = pg_conn_receive(c);

	/* Half of a TLS record may be left in OpenSSL, where no socket is
	 * readable for it. */
	if (is_open && c->sent_count > 0 && PQsslInUse(c->pq))
		is_open = pg_conn_receive(c);
	pg_conn_drop_notifies(c);
	if (!is_open || PQstatus(c->pq) == CONNECTION_BAD)
		pg_conn_fail(c, pg_lost);
	else if (pg_conn_is_stuck(c))
		pg_lost(c, "a transaction was left open");
}

static void
pg_conn_on_readable(int fd, short what, void *arg)
{
	pg_conn_read(arg);
}

static void
pg_conn_on_writable(int fd, short what, void *arg)
{
	struct pg_conn *c = arg;

	if (pg_conn_flush(c) == -1)
		pg_conn_fail(c, pg_lost);
}
