/* SPDX-License-Identifier: MIT */
/*
 * systemd's readiness protocol: see notify.h.
 *
 * Owns: nothing.
 * Here: sd_notify(3) without libsystemd.  Not here: socket activation.
 * Context: the supervisor.
 */
#include "workers/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/str.h"

static void
notify_send(const char *text)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len;
	int fd;

	if (path == NULL || (path[0] != '/' && path[0] != '@'))
		return;
	len = strlen(path);
	if (len >= sizeof(sun.sun_path))
		return;
	memcpy(sun.sun_path, path, len);
	if (path[0] == '@')
		sun.sun_path[0] = '\0';	/* the abstract namespace */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return;
	/* Nobody to tell a failure to: systemd will time out and say so. */
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
	    (const struct sockaddr *)&sun,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

void
notify_ready(const char *status)
{
	char text[256];

	snprintf(text, sizeof(text), "READY=1\nMAINPID=%d\nSTATUS=%s",
	    (int)getpid(), status);
	notify_send(text);
}

void
notify_reloading(void)
{
	char text[128];

	/* systemd 253 wants the time, to tell this reload from an older one. */
	snprintf(text, sizeof(text),
	    "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reloading",
	    (unsigned long long)(clock_now_ns() / 1000));
	notify_send(text);
}

void
notify_stopping(void)
{
	notify_send("STOPPING=1\nSTATUS=draining");
}

void
notify_watchdog(void)
{
	notify_send("WATCHDOG=1");
}

uint64_t
notify_watchdog_interval_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	uint64_t value;

	if (str_to_u64(str_of(pid), &value) == 0 && value != (uint64_t)getpid())
		return 0;
	if (str_to_u64(str_of(usec), &value) == -1 || value == 0)
		return 0;
	value /= 2000;
	return value > 0 ? value : 1;
}
