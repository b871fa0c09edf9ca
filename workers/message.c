/* SPDX-License-Identifier: MIT */
/*
 * The words between supervisor and worker: see message.h.
 *
 * Owns: nothing; both ends belong to their process.
 * Here: packing and unpacking.  Not here: what a message does.
 * Context: supervisor and worker; [message.c] -> child.c, worker.c.
 */
#include "workers/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int
message_pair(int ret_fd[2])
{
	return socketpair(AF_UNIX,
	    SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret_fd);
}

int
message_send(int fd, enum message_type type, const struct shares *shares,
    const char *text)
{
	struct message m;
	ssize_t n;

	memset(&m, 0, sizeof(m));
	m.type = type;
	if (shares != NULL)
		m.shares = *shares;
	if (text != NULL)
		snprintf(m.text, sizeof(m.text), "%s", text);
	do
		n = send(fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == (ssize_t)sizeof(m) ? 0 : -1;
}

int
message_receive(int fd, struct message *ret_message)
{
	ssize_t n;

	do
		n = recv(fd, ret_message, sizeof(*ret_message), MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n != (ssize_t)sizeof(*ret_message))
		return -1;
	ret_message->text[MESSAGE_TEXT_BYTES - 1] = '\0';
	return 1;
}
