/* SPDX-License-Identifier: MIT */
/*
 * Addresses for sockets: see endpoint.h.
 *
 * Owns: nothing beyond an endpoint's folder.
 * Here: what the kernel takes.  Not here: the syntax, sockets.
 * Context: any process.
 */
#include "workers/endpoint.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/str.h"
#include "config/address.h"

bool
endpoint_is_unix(const char *text)
{
	return strncmp(text, "unix:", 5) == 0;
}

int
endpoint_from_path(const char *path, struct endpoint *ret_endpoint,
    struct error *err)
{
	struct endpoint a = {.folder_fd = -1};
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const char *slash = strrchr(path, '/');
	char folder[4096];
	int n;

	if (strlen(path) < sizeof(sun.sun_path)) {
		memcpy(sun.sun_path, path, strlen(path) + 1);
	} else {
		if (slash == NULL || path + sizeof(folder) <= slash)
			return error_set(err, ERROR_INVALID, "path too long");
		snprintf(folder, sizeof(folder), "%.*s",
		    (int)(slash - path + 1), path);
		a.folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (a.folder_fd == -1)
			return error_sys(err, "open '%s'", folder);
		n = snprintf(sun.sun_path, sizeof(sun.sun_path),
		    "/proc/self/fd/%d/%s", a.folder_fd, slash + 1);
		if (n < 0 || (size_t)n >= sizeof(sun.sun_path)) {
			close(a.folder_fd);
			return error_set(err, ERROR_INVALID, "name too long");
		}
	}
	memcpy(&a.sa, &sun, sizeof(sun));
	a.len = sizeof(sun);
	*ret_endpoint = a;
	return 0;
}

int
endpoint_parse(const char *text, struct endpoint *ret_endpoint,
    struct error *err)
{
	struct address address;

	if (endpoint_is_unix(text))
		return endpoint_from_path(text + strlen("unix:"), ret_endpoint,
		    err);
	if (address_parse(str_of(text), &address, err) == -1)
		return -1;
	ret_endpoint->sa = address.storage;
	ret_endpoint->len = address.len;
	ret_endpoint->folder_fd = -1;
	return 0;
}

void
endpoint_done(struct endpoint *a)
{
	if (a->folder_fd != -1)
		close(a->folder_fd);
	a->folder_fd = -1;
}

unsigned
endpoint_port(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)
		    (const void *)sa)->sin6_port);
	if (sa->sa_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)
		    (const void *)sa)->sin_port);
	return 0;
}

void
endpoint_format(const struct sockaddr *sa, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (sa->sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)
		    (const void *)sa)->sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, endpoint_port(sa));
	} else {
		inet_ntop(AF_INET, &((const struct sockaddr_in *)
		    (const void *)sa)->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, endpoint_port(sa));
	}
}
