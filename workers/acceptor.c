/* SPDX-License-Identifier: MIT */
/*
 * Accepting: see acceptor.h.
 *
 * Owns: the events, not the sockets.
 * Here: watching and accepting.  Not here: making sockets, assigning them.
 * Context: the worker's loop; listener.c -> [acceptor.c] -> server/conn.c.
 */
#include "workers/acceptor.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "server/server.h"

#define ACCEPTOR_PAUSE_S 1

/* One socket that this worker may have to accept from. */
struct acceptor_socket {
	struct acceptor *acceptor;
	struct event event;
	int fd;
	unsigned share;
	bool is_shared;		/* unix: one for all workers */
	bool assigned, watched;
	enum service_kind service;
};

struct acceptor {
	struct event_base *base;
	struct server *server;
	struct stats *stats;
	struct event *resume;	/* the end of a pause after an error */
	bool is_full;		/* those wait for whom there is no room */
	bool is_short;		/* paused until `resume` */
	size_t socket_count;
	struct acceptor_socket socket[];
};

/* Makes what is watched agree with what is assigned, and with the pauses. */
static void
acceptor_apply(struct acceptor *a)
{
	for (size_t i = 0; i < a->socket_count; i++) {
		struct acceptor_socket *s = &a->socket[i];
		bool watch = s->assigned && !a->is_short && (!a->is_full ||
		    server_has_room(a->server, s->service));

		if (watch == s->watched)
			continue;
		if (!watch)
			event_del(&s->event);
		else if (event_add(&s->event, NULL) == -1)
			continue;	/* no memory: the next turn tries */
		s->watched = watch;
	}
}

static void
acceptor_pause_short(struct acceptor *a, int sys)
{
	const struct timeval wait = {.tv_sec = ACCEPTOR_PAUSE_S};

	if (a->is_short)
		return;
	log_error("accept: %s; no new connections for %d s", strerror(sys),
	    ACCEPTOR_PAUSE_S);
	a->is_short = true;
	event_add(a->resume, &wait);
	acceptor_apply(a);
}

static void
acceptor_on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor *a = arg;

	a->is_short = false;
	acceptor_apply(a);
}

/* What accept() said instead of a connection.  Returns whether another try
 * makes sense at once. */
static bool
acceptor_on_error(struct acceptor *a, int sys)
{
	switch (sys) {
	case EAGAIN:
		return false;
	case EINTR:
	case ECONNABORTED:	/* the client left while it was queued */
	case EPROTO:
	case ENETDOWN:		/* accept(2): errors of the new socket */
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case EPERM:		/* a firewall's rule */
		a->stats->accept_errors++;
		return true;
	default:		/* EMFILE, ENFILE, ENOBUFS, ENOMEM, and bugs */
		a->stats->accept_errors++;
		acceptor_pause_short(a, sys);
		return false;
	}
}

/* Accepts at most `batch`.  Returns whether there may be more. */
static bool
acceptor_accept(struct acceptor_socket *s, unsigned batch)
{
	struct acceptor *a = s->acceptor;

	for (unsigned i = 0; i < batch; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd;

		if (!server_has_room(a->server, s->service)) {
			a->is_full = true;
			acceptor_apply(a);
			return false;
		}
		fd = accept4(s->fd, (struct sockaddr *)&peer, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			if (!acceptor_on_error(a, errno))
				return false;
			continue;
		}
		server_accept(a->server, fd, s->service,
		    (const struct sockaddr *)&peer, len);
	}
	return true;
}

static void
acceptor_on_readable(evutil_socket_t fd, short what, void *arg)
{
	acceptor_accept(arg, ACCEPTOR_BATCH);
}

void
acceptor_turn(struct acceptor *a)
{
	if (!a->is_full)
		return;
	a->is_full = !server_has_room(a->server, SERVICE_PUBLIC);
	acceptor_apply(a);
}

void
acceptor_set_shares(struct acceptor *a, const struct shares *shares)
{
	bool any = shares_count(shares) > 0;

	for (size_t i = 0; i < a->socket_count; i++) {
		struct acceptor_socket *s = &a->socket[i];

		s->assigned = s->is_shared ? any : shares_has(shares, s->share);
	}
	acceptor_apply(a);
}

void
acceptor_take_queued(struct acceptor *a)
{
	for (size_t i = 0; i < a->socket_count; i++)
		if (a->socket[i].assigned)
			while (acceptor_accept(&a->socket[i], ACCEPTOR_BATCH))
				continue;
}

void
acceptor_keep_admin(struct acceptor *a)
{
	for (size_t i = 0; i < a->socket_count; i++)
		if (a->socket[i].service != SERVICE_ADMIN)
			a->socket[i].assigned = false;
	acceptor_apply(a);
}

static enum service_kind
acceptor_service(const struct config *cfg, const struct config_listen *c)
{
	if (c == cfg->admin)
		return SERVICE_ADMIN;
	return c->protocol == PROTOCOL_TCP ? SERVICE_TCP_ECHO : SERVICE_PUBLIC;
}

static void
acceptor_add(struct acceptor *a, const struct listener *l,
    enum service_kind service)
{
	for (unsigned k = 0; k < l->bound; k++) {
		struct acceptor_socket *s = &a->socket[a->socket_count++];

		s->acceptor = a;
		s->fd = l->fd[k];
		s->share = k;
		s->is_shared = l->is_unix;
		s->service = service;
		event_assign(&s->event, a->base, s->fd, EV_READ | EV_PERSIST,
		    acceptor_on_readable, s);
	}
}

struct acceptor *
acceptor_new(const struct acceptor_args *args, struct error *err)
{
	const struct listener *l;
	struct acceptor *a;
	size_t count = 0;

	TAILQ_FOREACH(l, &args->listeners->list, next)
		count += l->bound;
	a = calloc(1, sizeof(*a) + count * sizeof(a->socket[0]));
	if (a == NULL) {
		error_nomem(err, "the listeners");
		return NULL;
	}
	a->base = args->base;
	a->server = args->server;
	a->stats = args->stats;
	a->resume = evtimer_new(a->base, acceptor_on_resume, a);
	if (a->resume == NULL) {
		error_nomem(err, "a timer");
		free(a);
		return NULL;
	}
	for (size_t i = 0; i < listener_config_count(args->config); i++) {
		const struct config_listen *c;

		c = listener_config_at(args->config, i);
		l = listener_find(args->listeners, args->config, i);
		if (l != NULL && a->socket_count + l->bound <= count)
			acceptor_add(a, l, acceptor_service(args->config, c));
	}
	return a;
}

void
acceptor_free(struct acceptor *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->socket_count; i++)
		if (a->socket[i].watched)
			event_del(&a->socket[i].event);
	event_free(a->resume);
	free(a);
}
