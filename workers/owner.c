/* SPDX-License-Identifier: MIT */
/*
 * Who serves an address: see owner.h.
 *
 *	/proc/net/tcp{,6}	port -> inodes of its listening sockets
 *	/proc/PID/fd/N		"socket:[inode]" -> PID
 *
 * Owns: nothing.
 * Here: reading /proc.  Not here: binding.
 * Context: the supervisor.
 */
#include "workers/owner.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workers/endpoint.h"

#define OWNER_INODES 256	/* sockets of one port: a group's members */
#define OWNER_PIDS 256		/* processes that hold them */
#define TCP_STATE_LISTEN 0x0a	/* include/net/tcp_states.h */

struct owner_inodes {
	unsigned long item[OWNER_INODES];
	size_t count;
};

/* Collects the inodes of one table's sockets that listen on `port`. */
static void
owner_read_table(const char *path, unsigned port, struct owner_inodes *inodes)
{
	FILE *f = fopen(path, "re");
	char line[512];

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL &&
	    inodes->count < OWNER_INODES) {
		unsigned local, state;
		unsigned long inode;

		/* sl local:port remote:port st tx:rx tr:tm re uid to ino */
		if (sscanf(line, " %*[0-9]: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x "
		    "%x %*x:%*x %*x:%*x %*x %*u %*d %lu",
		    &local, &state, &inode) == 3 &&
		    local == port && state == TCP_STATE_LISTEN)
			inodes->item[inodes->count++] = inode;
	}
	fclose(f);
}

static bool
owner_holds(const char *pid, const struct owner_inodes *inodes)
{
	char path[300], link[64];
	const struct dirent *entry;
	bool holds = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (dir == NULL)
		return false;
	while (!holds && (entry = readdir(dir)) != NULL) {
		unsigned long inode;
		ssize_t n;

		n = readlinkat(dirfd(dir), entry->d_name, link,
		    sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		if (sscanf(link, "socket:[%lu]", &inode) != 1)
			continue;
		for (size_t i = 0; i < inodes->count && !holds; i++)
			holds = inodes->item[i] == inode;
	}
	closedir(dir);
	return holds;
}

static pid_t
owner_parent(pid_t pid)
{
	char path[64], text[512];
	const char *close_paren;
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	/* The name may hold anything; what counts comes after its end. */
	if (fgets(text, sizeof(text), f) != NULL &&
	    (close_paren = strrchr(text, ')')) != NULL &&
	    sscanf(close_paren, ") %*c %d", &parent) != 1)
		parent = 0;
	fclose(f);
	return parent;
}

/* Of a family the one whose parent isn't in it: our own supervisor, or
 * another server's master. */
static pid_t
owner_eldest(const pid_t *pids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		pid_t parent = owner_parent(pids[i]);
		bool inside = false;

		for (size_t k = 0; k < count && !inside; k++)
			inside = pids[k] == parent;
		if (!inside)
			return pids[i];
	}
	return count > 0 ? pids[0] : 0;
}

pid_t
owner_find(const struct sockaddr *addr, char ret_name[OWNER_NAME_BYTES])
{
	struct owner_inodes inodes = {.count = 0};
	pid_t pids[OWNER_PIDS], pid;
	const struct dirent *entry;
	size_t count = 0;
	DIR *dir;

	owner_read_table("/proc/net/tcp", endpoint_port(addr), &inodes);
	owner_read_table("/proc/net/tcp6", endpoint_port(addr), &inodes);
	dir = inodes.count > 0 ? opendir("/proc") : NULL;
	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL && count < OWNER_PIDS)
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    owner_holds(entry->d_name, &inodes))
			pids[count++] = (pid_t)atoi(entry->d_name);
	closedir(dir);
	pid = owner_eldest(pids, count);
	if (pid != 0)
		owner_name(pid, ret_name);
	return pid;
}

void
owner_name(pid_t pid, char ret_name[OWNER_NAME_BYTES])
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd != -1) {
		n = read(fd, ret_name, OWNER_NAME_BYTES - 1);
		close(fd);
	}
	if (n <= 0) {
		snprintf(ret_name, OWNER_NAME_BYTES, "?");
		return;
	}
	ret_name[n] = '\0';
	ret_name[strcspn(ret_name, "\n")] = '\0';
}
