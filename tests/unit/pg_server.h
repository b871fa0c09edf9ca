/* SPDX-License-Identifier: MIT */
/*
 * A real PostgreSQL server of the test's own, in a folder of its own, that goes
 * with it.
 *
 *	if (!pg_server_is_installed())
 *		return 77;	(meson: skipped)
 *	struct pg_server *s = pg_server_new();
 *	pg_server_start(s);
 *	...s->url, s->tcp_url...
 *	pg_server_stop(s, SIGINT);
 *	pg_server_free(s);
 *
 * As root it runs as the user "postgres": PostgreSQL refuses root.
 *
 * Context: the test's process; one server at a time.
 */
#ifndef CORELANE_TESTS_UNIT_PG_SERVER_H
#define CORELANE_TESTS_UNIT_PG_SERVER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct pg_server {
	char bin[PATH_MAX]; /* PostgreSQL's programs */
	char folder[64];
	char url[256]; /* by the unix socket */
	char tcp_url[256];
	unsigned port; /* on 127.0.0.1; the kernel's choice */
	pid_t pid; /* 0: it doesn't run */
};

bool pg_server_is_installed(void);
/* Makes the files of a server. */
struct pg_server *pg_server_new(void);
/* Waits until it answers. */
void pg_server_start(struct pg_server *s);
/* SIGINT: quits at once; SIGQUIT, SIGKILL: crashes.  Waits for it. */
void pg_server_stop(struct pg_server *s, int sig);
void pg_server_free(struct pg_server *s);

#endif
