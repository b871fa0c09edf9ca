/* SPDX-License-Identifier: MIT */
/*
 * The control socket, run_dir/control.sock (0600): one command a connection.
 *
 *	client:	reload\n
 *	server:	ok\n	or	failed\n
 *		text, until the end of the stream
 *
 * A line that ends with " +LENGTH" has as many bytes behind it: a message that
 * is to be published.
 *
 * Owns: the listening socket, its path, and the clients.
 * Here: lines in, answers out; also the client's side of it.  Not here: what a
 * command does (workers/command.h).
 * Context: the supervisor's loop; control_ask() in a process of its own.
 */
#ifndef CORELANE_WORKERS_CONTROL_H
#define CORELANE_WORKERS_CONTROL_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/str.h"

struct control;
struct control_client;
struct event_base;

#define CONTROL_SOCKET_NAME "control.sock"
/* Of what follows a line: the longest message that a rule may allow. */
#define CONTROL_CONTENT_MAX (16u << 20)

/* line: borrowed, without its newline and length; content: borrowed, .p NULL:
 * none was announced.  The client is answered exactly once, from here or later;
 * until then it stays valid, also when it hangs up. */
typedef void (*control_fn)(void *ctx, struct control_client *client,
    const char *line, struct str content);

/* Listens in `run_dir`, whose lock the caller has: an old socket there is
 * dead, and replaced.  Returns NULL on failure. */
struct control *control_open(struct event_base *base, const char *run_dir,
    control_fn fn, void *ctx, struct error *err);

/* Closes the clients, after what can be sent of their answers, and removes the
 * socket. */
void control_close(struct control *ctl);

/* In a forked worker: closes the descriptors and nothing else. */
void control_forget(struct control *ctl);

/* Answers and gives up the client.  text: copied. */
void control_answer(struct control_client *client, bool ok, struct str text);

/*
 * The other side: sends `line`, and `content` behind it (.p NULL: none), to the
 * socket at `path` and waits for the answer, however long that takes.
 * ret_ok: whether the command was done; ret_text: added to.
 * Returns 0, or -1 when there is no answer to be had.
 */
struct control_question {
	const char *line;
	struct str content;
};
int control_ask(const char *path, const struct control_question *question,
    bool *ret_ok, struct buf *ret_text, struct error *err);

#endif
