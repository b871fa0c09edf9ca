/* SPDX-License-Identifier: MIT */
/*
 * libcurl's transfers on the loop.
 *
 * libcurl says which sockets to watch and when to call it; the loop tells it
 * what has happened.  Nothing of a module's runs inside libcurl: transfers that
 * have ended are collected after each call.
 *
 * Owns the multi handle, with its connections, and an event per socket.
 * Invariant: `count` transfers are under way.
 * Here: sockets and time.  Not here: requests and answers (fetch.c).
 * Context: a worker's loop.
 */
#include "server/fetch_loop.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "server/alarm.h"
#include "server/internal.h"

/* Transfers under way; what is beyond the connections waits inside libcurl. */
#define FETCH_MAX 1024
#define FETCH_HOST_CONNECTIONS_MAX 128
#define FETCH_IDLE_MAX 128

struct fetcher {
	struct alarm alarm; /* first */
	struct server *srv;
	CURLM *multi;
	unsigned count;
	void (*on_end)(CURL *easy, CURLcode code);
};

struct fetch_socket {
	struct event event;
	struct fetcher *fetcher;
};

/* Hands out what has ended.  Each may start others, or stop them. */
static void
fetcher_collect(struct fetcher *f)
{
	CURLMsg *message;
	CURLcode code;
	CURL *easy;
	int left;

	while ((message = curl_multi_info_read(f->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		easy = message->easy_handle;
		code = message->data.result;
		fetcher_stop(f, easy);
		f->on_end(easy, code);
	}
}

static void
fetcher_on_socket(int fd, short what, void *arg)
{
	struct fetcher *f = ((struct fetch_socket *)arg)->fetcher;
	int running, happened = 0;

	if (what & EV_READ)
		happened |= CURL_CSELECT_IN;
	if (what & EV_WRITE)
		happened |= CURL_CSELECT_OUT;
	server_wake(f->srv);
	curl_multi_socket_action(f->multi, fd, happened, &running);
	fetcher_collect(f);
}

static void
fetcher_on_alarm(struct alarm *alarm)
{
	struct fetcher *f = (struct fetcher *)alarm;
	int running;

	curl_multi_socket_action(f->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	fetcher_collect(f);
}

static struct fetch_socket *
fetcher_socket(struct fetcher *f, curl_socket_t fd)
{
	struct fetch_socket *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->fetcher = f;
	curl_multi_assign(f->multi, fd, s);
	return s;
}

/* libcurl wants another socket watched, or differently, or no more. */
static int
fetcher_on_watch(
    CURL *easy, curl_socket_t fd, int want, void *arg, void *socket)
{
	struct fetcher *f = arg;
	struct fetch_socket *s = socket;
	short what = EV_PERSIST;

	if (s != NULL && event_initialized(&s->event))
		event_del(&s->event);
	if (want == CURL_POLL_REMOVE) {
		curl_multi_assign(f->multi, fd, NULL);
		free(s);
		return 0;
	}
	if (s == NULL)
		s = fetcher_socket(f, fd);
	if (s == NULL)
		return -1;
	if (want & CURL_POLL_IN)
		what |= EV_READ;
	if (want & CURL_POLL_OUT)
		what |= EV_WRITE;
	event_assign(&s->event, f->srv->base, fd, what, fetcher_on_socket, s);
	return event_add(&s->event, NULL);
}

static int
fetcher_on_time(CURLM *multi, long after_ms, void *arg)
{
	struct fetcher *f = arg;

	if (after_ms < 0)
		alarm_clear(f->srv->alarms, &f->alarm);
	else
		alarm_set(f->srv->alarms, &f->alarm, (uint64_t)after_ms);
	return 0;
}

static struct fetcher *
fetcher_new(struct server *srv)
{
	struct fetcher *f = calloc(1, sizeof(*f));

	if (f == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(f);
		return NULL;
	}
	f->alarm.fn = fetcher_on_alarm;
	f->srv = srv;
	f->multi = curl_multi_init();
	if (f->multi == NULL) {
		fetcher_free(f);
		return NULL;
	}
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, fetcher_on_watch);
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, fetcher_on_time);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, (long)FETCH_IDLE_MAX);
	curl_multi_setopt(f->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	    (long)FETCH_HOST_CONNECTIONS_MAX);
	curl_multi_setopt(f->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
	    (long)FETCH_CONNECTIONS_MAX);
	return f;
}

struct fetcher *
fetcher_of(struct server *srv)
{
	if (srv->fetcher == NULL)
		srv->fetcher = fetcher_new(srv);
	return srv->fetcher;
}

void
fetcher_free(struct fetcher *f)
{
	if (f == NULL)
		return;
	if (f->multi != NULL)
		curl_multi_cleanup(f->multi);
	alarm_clear(f->srv->alarms, &f->alarm);
	curl_global_cleanup();
	free(f);
}

int
fetcher_start(
    struct fetcher *f, CURL *easy, void (*on_end)(CURL *easy, CURLcode code))
{
	if (f->count == FETCH_MAX)
		return -EAGAIN;
	f->on_end = on_end;
	if (curl_multi_add_handle(f->multi, easy) != CURLM_OK)
		return -ENOMEM;
	f->count++;
	return 0;
}

void
fetcher_stop(struct fetcher *f, CURL *easy)
{
	curl_multi_remove_handle(f->multi, easy);
	f->count--;
}
