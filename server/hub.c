/* SPDX-License-Identifier: MIT */
/*
 * The hub: the turn in which the log's news are handed on.
 *
 *	wake, own publish, tick --> has_news --> hub_turn()
 *	    entries up to the head, a round at a time:
 *	        note each for its channel and the patterns that match
 *	        fan out, channel by channel
 *
 * Owns: the batches, and the log of a server that has been given none.
 * Invariant: what lies before the cursor has been handed on, or its subscribers
 * know by their marks that it hasn't.
 * Here: the reading of the log.  Not here: who has subscribed
 * (hub_subscribe.c), sending (hub_fanout.c), bytes (hub_form.c), history
 * (hub_history.c).
 * Context: the loop's thread.  server.c -> [hub.c] -> hub_fanout.c
 */
#include "server/hub.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include <event2/event.h>

#include "server/hub_internal.h"
#include "server/internal.h"
#include "server/ws_deflate.h"

/* Data of one round: what a batch may grow to. */
#define ROUND_BYTES (1u << 20)

static void
hub_on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct hub *hub = arg;

	/* Edge-triggered: an eventfd that is written to wakes us each time,
	 * read or not. */
	server_wake(hub->srv);
	hub->has_news = true;
}

static int
hub_own_log(struct hub *hub, struct error *err)
{
	const struct config *cfg = server_config(hub->srv);
	struct channel_log_limits limits = {
		.ring_bytes = cfg->channel_log.bytes,
		.channels = (size_t)cfg->channel_log.channels,
		.members = (size_t)cfg->channel_log.members,
		.readers = 1,
	};

	hub->own_log = calloc(1, channel_log_bytes(&limits));
	hub->log = hub->own_log;
	hub->reader = 0;
	return hub->own_log == NULL ? error_nomem(err, "channel log")
	    : channel_log_init(hub->log, &limits, err);
}

static int
hub_listen(struct hub *hub, int wake_fd, struct error *err)
{
	if (wake_fd == -1)
		return 0;
	event_assign(&hub->wake, server_base(hub->srv), wake_fd,
	    EV_READ | EV_PERSIST | EV_ET, hub_on_wake, hub);
	if (event_add(&hub->wake, NULL) == -1)
		return error_nomem(err, "an event");
	hub->is_waking = true;
	return 0;
}

struct hub *
hub_new(struct server *srv, struct channel_log *log, unsigned reader,
    int wake_fd, struct error *err)
{
	struct hub *hub = calloc(1, sizeof(*hub));

	if (hub == NULL) {
		error_nomem(err, "hub");
		return NULL;
	}
	hub->srv = srv;
	hub->log = log;
	hub->reader = reader;
	pool_init(&hub->subscriptions, sizeof(struct subscription));
	buf_init(&hub->text, 0);
	buf_init(&hub->deflated, 0);
	if (hub_channels_init(hub) == -1) {
		error_nomem(err, "hub");
		goto fail;
	}
	if ((log == NULL && hub_own_log(hub, err) == -1) ||
	    hub_listen(hub, wake_fd, err) == -1)
		goto fail;
	hub->cursor = channel_log_head(hub->log);
	return hub;
fail:
	hub_free(hub);
	return NULL;
}

void
hub_free(struct hub *hub)
{
	unsigned i;

	if (hub == NULL)
		return;
	if (hub->is_waking)
		event_del(&hub->wake);
	hub_channels_done(hub);
	for (i = 0; i < HUB_VARIANTS; i++)
		hub_batch_done(&hub->batch[i]);
	hub_batch_done(&hub->own);
	buf_done(&hub->text);
	buf_done(&hub->deflated);
	ws_zlib_free(hub->zlib);
	pool_done(&hub->subscriptions);
	free(hub->own_log);
	free(hub);
}

struct channel_log *
hub_log(struct hub *hub)
{
	return hub->log;
}

unsigned
hub_reader(const struct hub *hub)
{
	return hub->reader;
}

int
hub_publish(struct hub *hub, const struct channel_message *message,
    struct channel_position *ret_pos)
{
	struct stats *stats = hub->srv->stats;
	int r;

	/* We look at the end of this turn: no need to be woken for it. */
	channel_log_will_look(hub->log, hub->reader);
	hub->has_news = true;
	r = channel_log_publish(hub->log, message, ret_pos);
	if (r == 0)
		stats->published++;
	else
		stats->publish_errors++;
	return r;
}

/* Puts an entry on the list of what a channel's subscribers get. */
static void
hub_note_for(struct hub_channel *ch, const struct channel_entry *e)
{
	struct hub *hub = ch->hub;
	uint64_t mark = hub_mark_of(ch, e);
	uint32_t i = hub->items++;

	ch->has_origins |= e->seen.len > 0;
	/* Somebody who came in the meantime may know more. */
	if (mark > ch->last_mark) {
		ch->last = e->at;
		ch->last_mark = mark;
		ch->last_bytes = ch->is_pattern
		    ? ch->last_bytes + e->data.len : e->channel_bytes;
	}
	hub->item[i] = (struct hub_item){
		.at = e->at,
		.channel_bytes = ch->is_pattern
		    ? ch->last_bytes : e->channel_bytes,
		.next = HUB_NO_ITEM,
	};
	if (ch->has_news && ch->first_item != HUB_NO_ITEM) {
		hub->item[ch->last_item].next = i;
	} else {
		ch->first_item = i;
		hub_add_news(ch);
	}
	ch->last_item = i;
}

/* Notes an entry for all that it concerns.  Returns false where it has to wait
 * for the next round. */
static bool
hub_note(struct hub *hub, const struct channel_entry *e)
{
	struct hub_channel *ch = hub_channel_find(hub, e->row, e->channel);

	if (hub->items_max - hub->items <= hub->patterns.count)
		return false;
	if (ch != NULL) {
		if (ch->epoch != e->epoch && ch->has_news)
			return false;
		if (ch->epoch != e->epoch)
			hub_channel_begin_anew(ch, e);
		hub_note_for(ch, e);
	}
	if (hub->patterns.count > 0)
		hub_each_pattern(hub, e->channel, hub_note_for, e);
	return true;
}

/* Entries are gone that we haven't seen: each channel's subscribers are behind
 * by what the log says of it, and get what it still has, or their due. */
static void
hub_lapped(struct hub *hub, uint64_t head)
{
	uint64_t tail = channel_log_tail(hub->log);

	/* Never back: what can't be read for another reason is passed over. */
	hub->cursor = tail > hub->cursor ? tail : head;
	hub_channels_refresh(hub);
}

static void
hub_round(struct hub *hub, uint64_t head)
{
	struct channel_entry e;
	struct hub_channel *ch;
	size_t bytes = 0;

	hub->items = 0;
	while (hub->cursor < head && bytes < ROUND_BYTES) {
		uint32_t noted = hub->items;

		if (!channel_log_read(hub->log, hub->cursor, &e)) {
			hub_lapped(hub, head);
			break;
		}
		if (!hub_note(hub, &e))
			break;
		hub->cursor = e.next;
		bytes += hub->items > noted ? e.data.len : 0;
	}
	while ((ch = hub->news) != NULL) {
		hub->news = ch->next_news;
		hub_fan_out(ch);
		ch->has_news = false;
		hub_channel_release(ch);
	}
}

void
hub_turn(struct hub *hub)
{
	uint64_t head;

	/* Who had to go may have left a message. */
	while (hub->has_news) {
		hub->has_news = false;
		channel_log_taken(hub->log, hub->reader);
		head = channel_log_head(hub->log);
		if (hub->channels.count + hub->patterns.count == 0)
			hub->cursor = head;
		while (hub->cursor < head)
			hub_round(hub, head);
		if (hub->waits != NULL)
			hub_check_waits(hub);
	}
}

void
hub_tick(struct hub *hub)
{
	/* Should a wake have been lost, with the process that owed it. */
	hub->has_news = true;
	hub_try_leaves(hub);
}
