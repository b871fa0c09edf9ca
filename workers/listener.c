/* SPDX-License-Identifier: MIT */
/*
 * Sockets for clients to connect to: see listener.h.
 *
 * Owns: the descriptors and the paths of unix sockets.
 * Here: bind, listen, options, close.  Not here: accepting.
 * Context: supervisor; [listener.c] -> acceptor.c -> server/conn.c.
 */
#include "workers/listener.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "workers/owner.h"

void
listener_set_init(struct listener_set *set)
{
	TAILQ_INIT(&set->list);
}

size_t
listener_config_count(const struct config *cfg)
{
	return cfg->listen_count + (cfg->admin != NULL ? 1 : 0);
}

const struct config_listen *
listener_config_at(const struct config *cfg, size_t i)
{
	if (i < cfg->listen_count)
		return &cfg->listen[i];
	return i == cfg->listen_count ? cfg->admin : NULL;
}

/* What the i-th address is for, where its text doesn't say which it is. */
static unsigned
listener_config_role(const struct config *cfg, size_t i)
{
	const struct config_listen *c = listener_config_at(cfg, i);

	if (!str_has_suffix(c->address, STR(":0")))
		return 0;
	return c == cfg->admin ? 1 : c->protocol == PROTOCOL_TCP ? 2 : 3;
}

/* How many addresses before the i-th have its text and role. */
static unsigned
listener_config_nth(const struct config *cfg, size_t i)
{
	unsigned nth = 0;

	for (size_t k = 0; k < i; k++)
		nth += str_eq(listener_config_at(cfg, k)->address,
		    listener_config_at(cfg, i)->address) &&
		    listener_config_role(cfg, k) ==
		    listener_config_role(cfg, i);
	return nth;
}

struct listener *
listener_find(const struct listener_set *set, const struct config *cfg,
    size_t i)
{
	const char *text = listener_config_at(cfg, i)->address.p;
	unsigned role = listener_config_role(cfg, i);
	unsigned nth = listener_config_nth(cfg, i);
	struct listener *l;

	TAILQ_FOREACH(l, &set->list, next)
		if (l->role == role && l->nth == nth &&
		    strcmp(l->text, text) == 0)
			return l;
	return NULL;
}

static bool
listener_is_listed(const struct listener_set *set, const struct listener *l,
    const struct config *cfg)
{
	for (size_t i = 0; i < listener_config_count(cfg); i++)
		if (listener_find(set, cfg, i) == l)
			return true;
	return false;
}

/* --- closing --- */

static void
listener_close(struct listener_set *set, struct listener *l, bool owns_path)
{
	for (unsigned i = 0; i < l->bound; i++)
		if (l->fd[i] != -1)
			close(l->fd[i]);
	if (l->is_unix && l->bound > 0 && owns_path)
		unlink(l->text + strlen("unix:"));
	TAILQ_REMOVE(&set->list, l, next);
	free(l->text);
	free(l);
}

void
listener_set_done(struct listener_set *set)
{
	struct listener *l;

	while ((l = TAILQ_FIRST(&set->list)) != NULL)
		listener_close(set, l, true);
}

void
listener_set_close(struct listener_set *set)
{
	struct listener *l;

	while ((l = TAILQ_FIRST(&set->list)) != NULL)
		listener_close(set, l, false);
}

static void
listener_keep_shares(struct listener *l, const struct shares *shares)
{
	for (unsigned i = 0; !l->is_unix && i < l->bound; i++) {
		if (shares_has(shares, i))
			continue;
		close(l->fd[i]);
		l->fd[i] = -1;
	}
}

void
listener_set_keep_admin(struct listener_set *set, const struct config *cfg,
    const struct shares *shares)
{
	const struct listener *admin = cfg->admin == NULL ? NULL :
	    listener_find(set, cfg, cfg->listen_count);
	struct listener *l, *after;

	for (l = TAILQ_FIRST(&set->list); l != NULL; l = after) {
		after = TAILQ_NEXT(l, next);
		if (l == admin)
			listener_keep_shares(l, shares);
		else
			listener_close(set, l, false);
	}
}

void
listener_set_restrict(struct listener_set *set, const struct config *cfg)
{
	struct listener *l, *after;

	for (l = TAILQ_FIRST(&set->list); l != NULL; l = after) {
		after = TAILQ_NEXT(l, next);
		if (!listener_is_listed(set, l, cfg))
			listener_close(set, l, false);
	}
}

void
listener_set_keep(struct listener_set *set, const struct config *const *cfgs,
    size_t count)
{
	struct listener *l, *after;

	for (l = TAILQ_FIRST(&set->list); l != NULL; l = after) {
		bool listed = false;

		after = TAILQ_NEXT(l, next);
		for (size_t i = 0; i < count && !listed; i++)
			listed = listener_is_listed(set, l, cfgs[i]);
		if (!listed) {
			listener_close(set, l, true);
			continue;
		}
		while (l->bound > l->listening)
			close(l->fd[--l->bound]);
	}
}

/* --- binding --- */

static int
listener_in_use(const struct sockaddr *sa, struct error *err)
{
	char name[OWNER_NAME_BYTES];
	pid_t pid = owner_find(sa, name);

	if (pid == 0)
		return error_set(err, ERROR_BUSY, "already served by another "
		    "process that can't be seen from here");
	return error_set(err, ERROR_BUSY, "already served by pid %d (%s)",
	    (int)pid, name);
}

/* Whether another address of ours has this port: "0.0.0.0:80" beside
 * "127.0.0.1:80" is no conflict with somebody else. */
static bool
listener_has_port(const struct listener_set *set, const struct sockaddr *sa)
{
	const struct listener *l;

	TAILQ_FOREACH(l, &set->list, next)
		if (!l->is_unix && l->bound > 0 && endpoint_port(sa) ==
		    endpoint_port((const struct sockaddr *)&l->sa))
			return true;
	return false;
}

/*
 * Makes one bound socket.  exclusive: fail if anybody else listens there, also
 * a process that would share the port; SO_REUSEPORT is set afterwards, so that
 * our own others can join.
 */
static int
listener_bind_one(const struct sockaddr *sa, socklen_t sa_len, bool exclusive,
    struct error *err)
{
	int one = 1, zero = 0, fd;

	fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd == -1)
		return error_sys(err, "socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1)
		goto fail;
	if (sa->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6,
	    IPV6_V6ONLY, &zero, sizeof(zero)) == -1)
		goto fail;
	if (!exclusive && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one,
	    sizeof(one)) == -1)
		goto fail;
	if (bind(fd, sa, sa_len) == -1)
		goto fail;
	if (exclusive && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one,
	    sizeof(one)) == -1)
		goto fail;
	return fd;
fail:
	if (errno == EADDRINUSE)
		listener_in_use(sa, err);
	else if (errno == EACCES && endpoint_port(sa) < 1024)
		error_set(err, ERROR_SYSTEM, "bind: Permission denied: a port "
		    "below 1024 takes root (and \"user\"), or "
		    "CAP_NET_BIND_SERVICE");
	else
		error_sys(err, "bind");
	close(fd);
	return -1;
}

/* The first socket of a TCP address: checks that nobody is there, and learns
 * the port where the kernel chose it. */
static int
listener_bind_first(const struct listener_set *set, struct listener *l,
    struct error *err)
{
	struct endpoint a;
	bool alone;
	int fd;

	if (endpoint_parse(l->text, &a, err) == -1)
		return -1;
	alone = !listener_has_port(set, (const struct sockaddr *)&a.sa);
	fd = listener_bind_one((const struct sockaddr *)&a.sa, a.len, alone,
	    err);
	if (fd == -1)
		return -1;
	l->sa_len = sizeof(l->sa);
	if (getsockname(fd, (struct sockaddr *)&l->sa, &l->sa_len) == -1) {
		error_sys(err, "getsockname");
		close(fd);
		return -1;
	}
	endpoint_format((const struct sockaddr *)&l->sa, l->name,
	    sizeof(l->name));
	l->fd[l->bound++] = fd;
	return 0;
}

/* A path in the way: 0 when it was a dead socket and is gone, or nothing. */
static int
listener_clear_path(const char *path, const struct endpoint *a,
    struct error *err)
{
	struct ucred peer = {.pid = 0};
	socklen_t len = sizeof(peer);
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) == -1)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, ERROR_BUSY, "the path exists and is no "
		    "socket");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return error_sys(err, "socket");
	rc = connect(fd, (const struct sockaddr *)&a->sa, a->len);
	if (rc == -1 && errno == ECONNREFUSED) {
		close(fd);
		return unlink(path) == 0 ? 0 : error_sys(err, "unlink");
	}
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	close(fd);
	if (rc == 0 && peer.pid > 0)
		return error_set(err, ERROR_BUSY, "already served by pid %d",
		    (int)peer.pid);
	return error_set(err, ERROR_BUSY, "already served by another process");
}

static int
listener_bind_unix(struct listener *l, struct error *err)
{
	const char *path = l->text + strlen("unix:");
	struct endpoint a;
	int fd = -1;

	if (endpoint_parse(l->text, &a, err) == -1)
		return -1;
	if (listener_clear_path(path, &a, err) == -1)
		goto fail;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1 ||
	    bind(fd, (const struct sockaddr *)&a.sa, a.len) == -1) {
		error_sys(err, "bind");
		goto fail;
	}
	/* Who may connect is for the folder to say: a proxy in front of us is
	 * somebody else. */
	if (chmod(path, 0666) == -1) {
		error_sys(err, "chmod");
		unlink(path);
		goto fail;
	}
	endpoint_done(&a);
	snprintf(l->name, sizeof(l->name), "%s", l->text);
	l->fd[l->bound++] = fd;
	return 0;
fail:
	if (fd != -1)
		close(fd);
	endpoint_done(&a);
	return -1;
}

static struct listener *
listener_new(const struct config *cfg, size_t i, struct error *err)
{
	const char *text = listener_config_at(cfg, i)->address.p;
	struct listener *l = calloc(1, sizeof(*l));

	if (l == NULL || (l->text = strdup(text)) == NULL) {
		error_nomem(err, "a listener");
		free(l);
		return NULL;
	}
	l->role = listener_config_role(cfg, i);
	l->nth = listener_config_nth(cfg, i);
	l->is_unix = endpoint_is_unix(text);
	return l;
}

static int
listener_bind(struct listener_set *set, const struct config *cfg, size_t i,
    unsigned share_count, struct error *err)
{
	struct listener *l = listener_find(set, cfg, i);
	int rc = 0;

	if (l == NULL) {
		l = listener_new(cfg, i, err);
		if (l == NULL)
			return -1;
		rc = l->is_unix ? listener_bind_unix(l, err) :
		    listener_bind_first(set, l, err);
		if (rc == -1) {
			free(l->text);
			free(l);
			return -1;
		}
		TAILQ_INSERT_TAIL(&set->list, l, next);
	}
	while (!l->is_unix && l->bound < share_count) {
		int fd = listener_bind_one((const struct sockaddr *)&l->sa,
		    l->sa_len, false, err);

		if (fd == -1)
			return -1;
		l->fd[l->bound++] = fd;
	}
	return 0;
}

int
listener_set_bind(struct listener_set *set, const struct config *cfg,
    unsigned share_count, struct error *err)
{
	for (size_t i = 0; i < listener_config_count(cfg); i++)
		if (listener_bind(set, cfg, i, share_count, err) == -1)
			return error_wrap(err, "cannot listen on %s",
			    listener_config_at(cfg, i)->address.p);
	return 0;
}

/* --- listening --- */

/* Options that an accepted socket inherits from its listener (Linux), so that
 * an accept costs no further system call.  Best effort: none is worth an
 * outage. */
static void
listener_tune(int fd, const struct config *cfg)
{
	int keepalive = cfg->tcp.keepalive_s > 0, nodelay = cfg->tcp.nodelay;
	int idle = (int)cfg->tcp.keepalive_s;
	struct linger linger = {
		.l_onoff = cfg->tcp.linger_s != CONFIG_AUTO,
		.l_linger = cfg->tcp.linger_s != CONFIG_AUTO ?
		    (int)cfg->tcp.linger_s : 0,
	};

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay,
	    sizeof(nodelay));
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive,
	    sizeof(keepalive));
	if (keepalive)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle,
		    sizeof(idle));
}

static int
listener_refused(const struct listener *l, struct error *err)
{
	if (errno == EADDRINUSE)
		listener_in_use((const struct sockaddr *)&l->sa, err);
	else
		error_sys(err, "listen");
	return error_wrap(err, "cannot listen on %s", l->name);
}

int
listener_set_listen(struct listener_set *set, const struct config *cfg,
    struct error *err)
{
	for (size_t i = 0; i < listener_config_count(cfg); i++) {
		struct listener *l = listener_find(set, cfg, i);

		for (unsigned k = 0; l != NULL && k < l->bound; k++) {
			if (!l->is_unix)
				listener_tune(l->fd[k], cfg);
			/* On one that listens already: the new backlog. */
			if (listen(l->fd[k], cfg->tcp.backlog) == -1)
				return listener_refused(l, err);
			if (l->listening <= k)
				l->listening = k + 1;
		}
	}
	return 0;
}

void
listener_set_steer(struct listener_set *set, unsigned count)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog program = {
		.len = sizeof(code) / sizeof(code[0]), .filter = code,
	};
	struct listener *l;

	/* The index is the order of listen(), which is that of the shares,
	 * because none ever leaves.  Refused: the kernel's hash spreads over
	 * all, which is as good but for the remainder. */
	TAILQ_FOREACH(l, &set->list, next)
		if (!l->is_unix && l->listening > 0 && count > 0)
			(void)setsockopt(l->fd[0], SOL_SOCKET,
			    SO_ATTACH_REUSEPORT_CBPF, &program,
			    sizeof(program));
}
