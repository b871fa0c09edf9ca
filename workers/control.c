/* SPDX-License-Identifier: MIT */
/*
 * The control socket, both sides: see control.h.
 *
 * Owns: the listening socket, its path, and the clients.
 * Here: lines in, answers out.  Not here: what a command does.
 * Context: the supervisor's loop; control_ask() in a process of its own.
 */
#include "workers/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "workers/endpoint.h"

#define CONTROL_CLIENTS_MAX 32
#define CONTROL_LINE_BYTES 1024
#define CONTROL_IDLE_S 10	/* to send a line, or to read on */

/*
 *	READING --line, content--> WAITING --answer--> ANSWERING --> freed
 *	   |                          | hangs up
 *	   +--> freed                 +--> `bev` is NULL; freed by its answer
 */
enum control_state { CONTROL_READING, CONTROL_WAITING, CONTROL_ANSWERING };

struct control_client {
	TAILQ_ENTRY(control_client) next;
	struct control *ctl;
	struct bufferevent *bev;	/* NULL: hung up */
	enum control_state state;
	char *line;			/* owned: its content isn't whole */
	size_t content_len;
};

struct control {
	struct event_base *base;
	int fd;
	char *path;			/* owned */
	struct event *event;
	TAILQ_HEAD(, control_client) clients;
	unsigned client_count;
	control_fn fn;
	void *ctx;
};

static void
control_client_free(struct control_client *client)
{
	struct control *ctl = client->ctl;

	TAILQ_REMOVE(&ctl->clients, client, next);
	ctl->client_count--;
	if (client->bev != NULL)
		bufferevent_free(client->bev);
	free(client->line);
	free(client);
}

static void
control_client_on_sent(struct bufferevent *bev, void *arg)
{
	struct control_client *client = arg;

	/* Called for a new connection too, which has nothing to send. */
	if (client->state == CONTROL_ANSWERING &&
	    evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		control_client_free(client);
}

/* Hung up, failed, or too slow. */
static void
control_client_on_end(struct bufferevent *bev, short what, void *arg)
{
	struct control_client *client = arg;

	/* Half-closed after its line: it still wants the answer. */
	if (client->state == CONTROL_WAITING && what & BEV_EVENT_EOF) {
		bufferevent_disable(bev, EV_READ);
		return;
	}
	if (client->state == CONTROL_WAITING) {
		client->bev = NULL;
		bufferevent_free(bev);
		return;
	}
	control_client_free(client);
}

/* Takes " +LENGTH" off a line.  Returns 1; 0 where there is no such end; -1
 * when it is more than we take. */
static int
control_cut_length(char *line, size_t *ret_len)
{
	char *mark = strrchr(line, ' ');
	uint64_t n;

	if (mark == NULL || mark[1] != '+')
		return 0;
	if (str_to_u64(str_of(mark + 2), &n) == -1 || n > CONTROL_CONTENT_MAX)
		return -1;
	*mark = '\0';
	*ret_len = (size_t)n;
	return 1;
}

static void
control_client_run(struct control_client *client, struct str content)
{
	char *line = client->line;

	client->line = NULL;
	client->state = CONTROL_WAITING;
	bufferevent_set_timeouts(client->bev, NULL, NULL);
	client->ctl->fn(client->ctl->ctx, client, line, content);
	free(line);
}

/* Reads the line.  Returns -1 where there is none yet, or the client had to
 * go. */
static int
control_client_read_line(struct control_client *client, struct evbuffer *input)
{
	int rc;

	client->line = evbuffer_readln(input, NULL, EVBUFFER_EOL_LF);
	if (client->line == NULL) {
		if (evbuffer_get_length(input) > CONTROL_LINE_BYTES)
			control_client_free(client);
		return -1;
	}
	rc = control_cut_length(client->line, &client->content_len);
	if (rc == 1) {
		/* So that a long message doesn't come in small steps. */
		bufferevent_setwatermark(client->bev, EV_READ,
		    client->content_len, 0);
		return 0;
	}
	if (rc == -1)
		control_client_free(client);
	else
		control_client_run(client, str_from(NULL, 0));
	return -1;
}

static void
control_client_on_line(struct bufferevent *bev, void *arg)
{
	struct control_client *client = arg;
	struct evbuffer *input = bufferevent_get_input(bev);
	const char *p;
	size_t len;

	if (client->state != CONTROL_READING ||
	    (client->line == NULL &&
		control_client_read_line(client, input) == -1))
		return;
	len = client->content_len;
	if (evbuffer_get_length(input) < len)
		return;
	p = "";
	if (len > 0)
		p = (const char *)evbuffer_pullup(input, (ev_ssize_t)len);
	if (p == NULL)
		control_client_free(client);
	else
		control_client_run(client, str_from(p, len));
}

void
control_answer(struct control_client *client, bool ok, struct str text)
{
	const struct timeval limit = {.tv_sec = CONTROL_IDLE_S};
	struct evbuffer *output;

	client->state = CONTROL_ANSWERING;
	if (client->bev == NULL) {
		control_client_free(client);
		return;
	}
	bufferevent_disable(client->bev, EV_READ);
	bufferevent_set_timeouts(client->bev, NULL, &limit);
	output = bufferevent_get_output(client->bev);
	/* Freed by control_client_on_sent(), from the loop. */
	if (evbuffer_add_printf(output, "%s\n", ok ? "ok" : "failed") == -1 ||
	    evbuffer_add(output, text.p != NULL ? text.p : "", text.len) == -1)
		evbuffer_drain(output, evbuffer_get_length(output));
}

static struct control_client *
control_client_new(struct control *ctl, int fd)
{
	const struct timeval limit = {.tv_sec = CONTROL_IDLE_S};
	struct control_client *client = calloc(1, sizeof(*client));

	if (client == NULL)
		return NULL;
	client->bev = bufferevent_socket_new(ctl->base, fd,
	    BEV_OPT_CLOSE_ON_FREE);
	if (client->bev == NULL) {
		free(client);
		return NULL;
	}
	client->ctl = ctl;
	TAILQ_INSERT_TAIL(&ctl->clients, client, next);
	ctl->client_count++;
	bufferevent_setcb(client->bev, control_client_on_line,
	    control_client_on_sent, control_client_on_end, client);
	bufferevent_set_timeouts(client->bev, &limit, NULL);
	bufferevent_enable(client->bev, EV_READ | EV_WRITE);
	return client;
}

static void
control_on_client(evutil_socket_t listen_fd, short what, void *arg)
{
	struct control *ctl = arg;
	int fd;

	fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1)
		return;
	if (ctl->client_count >= CONTROL_CLIENTS_MAX ||
	    control_client_new(ctl, fd) == NULL)
		close(fd);
}

static int
control_bind(struct control *ctl, struct error *err)
{
	struct endpoint a;
	mode_t before;
	int rc;

	if (endpoint_from_path(ctl->path, &a, err) == -1)
		return -1;
	ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (ctl->fd == -1) {
		endpoint_done(&a);
		return error_sys(err, "control socket");
	}
	unlink(ctl->path);
	before = umask(0177);	/* 0600 from its first moment */
	rc = bind(ctl->fd, (const struct sockaddr *)&a.sa, a.len);
	umask(before);
	endpoint_done(&a);
	if (rc == -1 || listen(ctl->fd, CONTROL_CLIENTS_MAX) == -1)
		return error_sys(err, "control socket '%s'", ctl->path);
	return 0;
}

struct control *
control_open(struct event_base *base, const char *run_dir, control_fn fn,
    void *ctx, struct error *err)
{
	struct control *ctl = calloc(1, sizeof(*ctl));

	if (ctl == NULL) {
		error_nomem(err, "the control socket");
		return NULL;
	}
	TAILQ_INIT(&ctl->clients);
	ctl->base = base;
	ctl->fd = -1;
	ctl->fn = fn;
	ctl->ctx = ctx;
	if (asprintf(&ctl->path, "%s/" CONTROL_SOCKET_NAME, run_dir) == -1) {
		ctl->path = NULL;
		error_nomem(err, "a path");
		goto fail;
	}
	if (control_bind(ctl, err) == -1)
		goto fail;
	ctl->event = event_new(base, ctl->fd, EV_READ | EV_PERSIST,
	    control_on_client, ctl);
	if (ctl->event == NULL || event_add(ctl->event, NULL) == -1) {
		error_nomem(err, "an event");
		goto fail;
	}
	return ctl;
fail:
	control_close(ctl);
	return NULL;
}

/* One try without the loop, which has ended: a last answer is short. */
static void
control_client_flush(const struct control_client *client)
{
	struct evbuffer *output = bufferevent_get_output(client->bev);
	const void *p = evbuffer_pullup(output, -1);

	if (p != NULL)
		(void)send(bufferevent_getfd(client->bev), p,
		    evbuffer_get_length(output), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
control_close(struct control *ctl)
{
	struct control_client *client, *after;

	if (ctl == NULL)
		return;
	if (ctl->fd != -1 && ctl->path != NULL)
		unlink(ctl->path);
	for (client = TAILQ_FIRST(&ctl->clients); client != NULL;
	    client = after) {
		after = TAILQ_NEXT(client, next);
		if (client->bev != NULL)
			control_client_flush(client);
		control_client_free(client);
	}
	if (ctl->event != NULL)
		event_free(ctl->event);
	if (ctl->fd != -1)
		close(ctl->fd);
	free(ctl->path);
	free(ctl);
}

void
control_forget(struct control *ctl)
{
	const struct control_client *client;

	close(ctl->fd);
	TAILQ_FOREACH(client, &ctl->clients, next)
		if (client->bev != NULL)
			close(bufferevent_getfd(client->bev));
}

/* --- the client's side --- */

static int
control_connect(const char *path, struct error *err)
{
	struct endpoint a;
	int fd, rc;

	if (endpoint_from_path(path, &a, err) == -1)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rc = fd == -1 ? -1 :
	    connect(fd, (const struct sockaddr *)&a.sa, a.len);
	if (rc == -1) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			error_set(err, ERROR_INVALID, "no server runs here: "
			    "nobody answers at '%s'", path);
		else
			error_sys(err, "connect to '%s'", path);
		if (fd != -1)
			close(fd);
		fd = -1;
	}
	endpoint_done(&a);
	return fd;
}

/* Splits "ok\n" or "failed\n" from the text behind it. */
static int
control_read_answer(struct str answer, bool *ret_ok, struct buf *ret_text,
    struct error *err)
{
	struct str verdict, rest = answer;

	if (answer.len == 0 || !str_cut(&rest, '\n', &verdict) ||
	    str_is_null(rest))
		return error_set(err, ERROR_INTERNAL,
		    "the server ended without an answer");
	*ret_ok = str_eq(verdict, STR("ok"));
	buf_add(ret_text, rest);
	return 0;
}

/* All of it, or -1. */
static int
control_send(int fd, struct str s)
{
	ssize_t n;

	while (s.len > 0) {
		n = send(fd, s.p, s.len, MSG_NOSIGNAL);
		if (n == -1)
			return -1;
		s = str_from(s.p + n, s.len - (size_t)n);
	}
	return 0;
}

static int
control_send_question(int fd, const struct control_question *q)
{
	char length[32];

	snprintf(length, sizeof(length), " +%zu", q->content.len);
	if (control_send(fd, str_of(q->line)) == -1 ||
	    (q->content.p != NULL && control_send(fd, str_of(length)) == -1) ||
	    control_send(fd, STR("\n")) == -1)
		return -1;
	return control_send(fd, q->content);
}

int
control_ask(const char *path, const struct control_question *question,
    bool *ret_ok, struct buf *ret_text, struct error *err)
{
	int fd = control_connect(path, err), rc;
	struct buf answer;
	char part[4096];
	ssize_t n;

	if (fd == -1)
		return -1;
	buf_init(&answer, 0);
	n = control_send_question(fd, question);
	/* Until the end of the stream, so that `stop` returns when all of the
	 * server is gone. */
	while (n != -1 && (n = read(fd, part, sizeof(part))) > 0)
		buf_add(&answer, str_from(part, (size_t)n));
	close(fd);
	rc = control_read_answer(buf_str(&answer), ret_ok, ret_text, err);
	buf_done(&answer);
	return rc;
}
