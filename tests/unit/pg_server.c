/* SPDX-License-Identifier: MIT */
/*
 * Starts and stops a PostgreSQL server for tests.
 *
 * Owns the folder and the process.  Invariant: the server dies with the test,
 * however that ends (PR_SET_PDEATHSIG).
 * Here: the process.  Not here: the driver's tests (test_db_postgres.c).
 * Context: the test's process.
 */
#include "tests/unit/pg_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

#define PG_SERVER_ARGS_MAX 24
#define PG_SERVER_PATIENCE_NS (60 * 1000000000ULL)

/* Where Debian's pg_config says that the programs are. */
static bool
pg_server_find(struct pg_server *s)
{
	FILE *f = popen("pg_config --bindir 2>/dev/null", "re");
	char initdb[PATH_MAX + 16];
	bool is_found;

	is_found = f != NULL && fgets(s->bin, sizeof(s->bin), f) != NULL;
	if (f != NULL)
		pclose(f);
	s->bin[strcspn(s->bin, "\n")] = '\0';
	snprintf(initdb, sizeof(initdb), "%s/initdb", s->bin);
	return is_found && access(initdb, X_OK) == 0;
}

static const struct passwd *
pg_server_user(void)
{
	const struct passwd *pw = geteuid() == 0 ? getpwnam("postgres") : NULL;

	if (geteuid() == 0 && pw == NULL)
		fail_msg("there is no user 'postgres' to run the server as");
	return pw;
}

/* In the child: becomes the program, with its output in the folder's log. */
static void
pg_server_exec(const struct pg_server *s, const char *const *args)
{
	const struct passwd *pw = pg_server_user();
	char path[PATH_MAX + 32], log[128], *argv[PG_SERVER_ARGS_MAX] = {NULL};
	int fd, i;

	if (pw != NULL &&
	    (initgroups(pw->pw_name, pw->pw_gid) == -1 ||
		setgid(pw->pw_gid) == -1 || setuid(pw->pw_uid) == -1))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	snprintf(log, sizeof(log), "%s/log", s->folder);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	snprintf(path, sizeof(path), "%s/%s", s->bin, args[0]);
	/* By its whole path, and from a folder that this user may read: it
	 * looks for the programs beside it. */
	argv[0] = path;
	for (i = 1; i < PG_SERVER_ARGS_MAX - 1 && args[i] != NULL; i++)
		argv[i] = strdup(args[i]);
	if (chdir("/") == 0)
		execv(path, argv);
	_exit(127);
}

static pid_t
pg_server_spawn(const struct pg_server *s, const char *const *args)
{
	pid_t pid = fork();

	if (pid == 0)
		pg_server_exec(s, args);
	assert_true(pid > 0);
	return pid;
}

static void
pg_server_choose_port(struct pg_server *s)
{
	struct sockaddr_in sin = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	s->port = ntohs(sin.sin_port);
	snprintf(s->url, sizeof(s->url),
	    "postgresql://lane@/postgres?host=%s&port=%u", s->folder, s->port);
	snprintf(s->tcp_url, sizeof(s->tcp_url),
	    "postgresql://lane@127.0.0.1:%u/postgres", s->port);
}

bool
pg_server_is_installed(void)
{
	struct pg_server s;

	return pg_server_find(&s);
}

struct pg_server *
pg_server_new(void)
{
	struct pg_server *s = calloc(1, sizeof(*s));
	const struct passwd *pw;
	char data[80];
	const char *const args[] = {"initdb", "-D", data, "-U", "lane", "-A",
	    "trust", "-E", "UTF8", "--locale=C", "--no-sync", NULL};
	int status;

	assert_non_null(s);
	assert_true(pg_server_find(s));
	snprintf(s->folder, sizeof(s->folder), "/tmp/lane-pg-XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	pw = pg_server_user();
	if (pw != NULL)
		assert_int_equal(chown(s->folder, pw->pw_uid, pw->pw_gid), 0);
	snprintf(data, sizeof(data), "%s/data", s->folder);
	assert_true(waitpid(pg_server_spawn(s, args), &status, 0) > 0);
	if (status != 0)
		fail_msg("initdb: see %s/log", s->folder);
	pg_server_choose_port(s);
	return s;
}

void
pg_server_start(struct pg_server *s)
{
	static const struct timespec moment = {0, 10000000};
	uint64_t until = clock_now_ns() + PG_SERVER_PATIENCE_NS;
	char data[80], port[16], socket_dir[96];
	const char *const args[] = {"postgres", "-D", data, "-p", port, "-F",
	    "-c", socket_dir, "-c", "listen_addresses=127.0.0.1", "-c",
	    "max_connections=40", "-c", "shared_buffers=16MB", "-c",
	    "autovacuum=off", NULL};

	snprintf(data, sizeof(data), "%s/data", s->folder);
	snprintf(port, sizeof(port), "%u", s->port);
	snprintf(socket_dir, sizeof(socket_dir), "unix_socket_directories=%s",
	    s->folder);
	s->pid = pg_server_spawn(s, args);
	while (PQping(s->url) != PQPING_OK) {
		if (clock_now_ns() > until ||
		    waitpid(s->pid, NULL, WNOHANG) != 0)
			fail_msg("postgres: see %s/log", s->folder);
		nanosleep(&moment, NULL);
	}
}

void
pg_server_stop(struct pg_server *s, int sig)
{
	if (s->pid == 0)
		return;
	kill(s->pid, sig);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

static int
pg_server_remove(
    const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

void
pg_server_free(struct pg_server *s)
{
	if (s == NULL)
		return;
	pg_server_stop(s, SIGINT);
	nftw(s->folder, pg_server_remove, 16, FTW_DEPTH | FTW_PHYS);
	free(s);
}
