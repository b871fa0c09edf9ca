/* SPDX-License-Identifier: MIT */
/*
 * What may be asked of a running server over its control socket, one line each:
 *
 *	status [json] | reload | scale N | stop [now] | reopen
 *	channels [json] [PATTERN] | publish text|json CHANNEL
 *
 * A command is answered when it is done, not when it is begun: what takes time
 * becomes an order, and command_settle() looks each time something changed
 * whether its end has come.
 *
 * Owns: the supervisor's orders.
 * Here: words in, answers out.  Not here: the socket (workers/control.h), doing
 * what is asked (workers/supervisor.h, workers/reload.h).
 * Context: the supervisor's loop; control.c -> [command.c] -> supervisor.c.
 */
#ifndef CORELANE_WORKERS_COMMAND_H
#define CORELANE_WORKERS_COMMAND_H

#include <stdbool.h>
#include <sys/queue.h>

#include "common/str.h"

struct control_client;
struct order;
struct supervisor;

TAILQ_HEAD(order_list, order);

/* Runs one line; ctx: the supervisor.  The client gets exactly one answer, now
 * or later. */
void command_run(void *ctx, struct control_client *client, const char *line,
    struct str content);

/* Begins a reload, or notes that there shall be another.
 * client: who waits for it; NULL for a signal. */
void command_reload(struct supervisor *sup, struct control_client *client);

/* The reload under way has ended; why: of a failure, else NULL. */
void command_reload_ended(struct supervisor *sup, bool ok, const char *why);

/* Answers the orders whose end has come. */
void command_settle(struct supervisor *sup);

/* Every worker is gone: answers whoever waited for that. */
void command_stopped(struct supervisor *sup);

#endif
