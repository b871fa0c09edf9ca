/* SPDX-License-Identifier: MIT */
/*
 * What supervisor and worker say to each other, over a pair of SEQPACKET
 * sockets: one packet, one message, and an end of file when the other is gone.
 *
 * An assignment is always the whole set, never a difference, so that a message
 * may be repeated or overtaken without harm.
 *
 * Owns: nothing.
 * Here: the message, sending and receiving one.  Not here: what it does.
 * Context: supervisor and worker; [message.c] -> child.c, worker.c.
 */
#ifndef CORELANE_WORKERS_MESSAGE_H
#define CORELANE_WORKERS_MESSAGE_H

#include "workers/shares.h"

#define MESSAGE_TEXT_BYTES 512

enum message_type {
	/* from the supervisor */
	MESSAGE_SHARES,		/* accept from exactly these from now on */
	MESSAGE_DRAIN,		/* accept no more, finish, exit */
	MESSAGE_STOP,		/* the same, and serve what is queued: nobody
				 * comes after you */
	MESSAGE_QUIT,		/* exit at once, with the log written */
	MESSAGE_REOPEN,		/* log files */
	/* from the worker */
	MESSAGE_READY,		/* give me my shares */
	MESSAGE_FAILED,		/* text: why I can't serve; I exit */
	MESSAGE_RETIRE,		/* somebody sent me SIGTERM: drain me */
	MESSAGE_REOPENED	/* text: empty, or why not */
};

struct message {
	enum message_type type;
	struct shares shares;
	char text[MESSAGE_TEXT_BYTES];	/* NUL-terminated */
};

/* Makes a pair, both non-blocking and close-on-exec.  Returns 0 or -1. */
int message_pair(int ret_fd[2]);

/* Sends one message; text: borrowed, or NULL.  Never blocks.  Returns 0, or -1
 * when the other side is gone or doesn't read. */
int message_send(int fd, enum message_type type, const struct shares *shares,
    const char *text);

/* Receives one message.  Returns 1, 0 when there is none now, or -1 when the
 * other side is gone. */
int message_receive(int fd, struct message *ret_message);

#endif
