/* SPDX-License-Identifier: MIT */
/*
 * What is told of channels, as JSON: the same words over HTTP and in the
 * protocol.  Each appends members of an object, without its brackets.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_CHANNEL_PRINT_H
#define CORELANE_SERVER_CHANNEL_PRINT_H

#include "common/buf.h"
#include "server/channel.h"

/* Most messages that one answer has. */
#define CHANNEL_HISTORY_MAX 1000

/* "position":"5f3a9c21:42" */
void channel_print_position(struct buf *out,
    const struct channel_position *pos);

/* "channel":"room.1","position":...,"subscribers":7 */
void channel_print_state(struct buf *out, struct server *srv, struct str name);

/* "members":[...]; "more":true where there are more than the rule lists. */
void channel_print_members(struct buf *out, struct server *srv,
    const struct config_channel *rule, struct str name);

/* "KEY":[messages] as HUB_JSON has them, and "recovered" where there is a
 * `since`. */
void channel_print_history(struct buf *out, struct server *srv,
    const char *key, const struct hub_past *past);

/* What -errno of channel_may(), channel_publish() and channel_subscribe() is:
 * a status, a word, and a sentence.  Lent for ever. */
struct channel_failure {
	int rc;
	int status;
	const char *code, *message;
};
const struct channel_failure *channel_failure(int rc);

#endif
