/* SPDX-License-Identifier: MIT */
/*
 * Waiting for other machines: a client that comes from one of them, with a
 * position of there, to a channel that nobody here had.
 *
 * What it has missed is fetched once somebody is interested, which takes some
 * milliseconds: so whoever would subscribe is interested first, and subscribes
 * when the log says that the channel is loaded.  Where no other machine can be
 * reached there is nothing to wait for, and never is it long.
 *
 * Owns: the waits.  Invariant: the log wakes us for a channel that is waited
 * for.
 * Here: who waits.  Not here: fetching (workers/bridge_feed.c).
 * Context: the loop's thread.  channel.c -> [hub_await.c]
 */
#include <stdlib.h>

#include "common/clock.h"
#include "server/hub_internal.h"
#include "server/internal.h"
#include "server/sse.h"
#include "server/ws.h"

struct hub_wait {
	struct hub_wait *next;
	struct session *session;
	void (*fn)(struct session *s, bool is_here);
	uint64_t until_ms;
	uint8_t name_len;
	char name[];
};

static struct str
wait_name(const struct hub_wait *wait)
{
	return str_from(wait->name, wait->name_len);
}

/* Whether something may come that isn't here. */
static bool
await_is_due(struct hub *hub, const struct hub_subscribe *args)
{
	struct channel_state state;

	if (!channel_log_is_joined(hub->log) ||
	    (!args->wants_recovery && args->history == 0) ||
	    !channel_name_is_valid(args->channel))
		return false;
	if (!channel_log_find(hub->log, args->channel, &state))
		return true;
	return !state.is_loaded &&
	    !(args->wants_recovery && args->since.epoch == state.epoch);
}

bool
hub_await(struct hub *hub, struct session *s, const struct hub_subscribe *args,
    void (*fn)(struct session *s, bool is_here))
{
	struct channel_state state;
	struct hub_wait *wait;

	if (!await_is_due(hub, args))
		return false;
	wait = malloc(sizeof(*wait) + args->channel.len);
	if (wait == NULL)
		return false;
	if (channel_log_join(hub->log, hub->reader, args->channel, &state) !=
	    0) {
		free(wait);
		return false;
	}
	wait->session = s;
	wait->fn = fn;
	wait->until_ms = clock_now_ns() / 1000000 + HUB_AWAIT_MS;
	wait->name_len = (uint8_t)args->channel.len;
	memcpy(wait->name, args->channel.p, args->channel.len);
	wait->next = hub->waits;
	hub->waits = wait;
	return true;
}

static void
wait_end(struct hub *hub, struct hub_wait *wait)
{
	hub_leave(hub, wait_name(wait));
	free(wait);
}

static bool
wait_is_over(struct hub *hub, const struct hub_wait *wait, uint64_t now_ms)
{
	struct channel_state state;

	return now_ms >= wait->until_ms || !channel_log_is_joined(hub->log) ||
	    (channel_log_find(hub->log, wait_name(wait), &state) &&
		state.is_loaded);
}

/* In two steps, because whoever is called may begin to wait anew, or drop what
 * is in either list. */
void
hub_check_waits(struct hub *hub)
{
	uint64_t now_ms = clock_now_ns() / 1000000;
	struct hub_wait **at = &hub->waits, *wait;

	while ((wait = *at) != NULL) {
		if (!wait_is_over(hub, wait, now_ms)) {
			at = &wait->next;
			continue;
		}
		*at = wait->next;
		wait->next = hub->waits_over;
		hub->waits_over = wait;
	}
	while ((wait = hub->waits_over) != NULL) {
		hub->waits_over = wait->next;
		wait->fn(wait->session, now_ms < wait->until_ms);
		wait_end(hub, wait);
	}
}

static void
waits_drop(struct hub *hub, struct hub_wait **at, const struct session *s)
{
	struct hub_wait *wait;

	while ((wait = *at) != NULL) {
		if (s != NULL && wait->session != s) {
			at = &wait->next;
			continue;
		}
		*at = wait->next;
		wait_end(hub, wait);
	}
}

static struct hub *
session_hub(struct session *s)
{
	struct ws *w = ws_of_session(s);

	return (w != NULL ? ws_server(w) : sse_server(sse_of_session(s)))->hub;
}

void
hub_drop_waits(struct session *s)
{
	struct hub *hub = session_hub(s);

	if (hub == NULL)
		return;
	waits_drop(hub, &hub->waits, s);
	waits_drop(hub, &hub->waits_over, s);
}

void
hub_free_waits(struct hub *hub)
{
	waits_drop(hub, &hub->waits, NULL);
	waits_drop(hub, &hub->waits_over, NULL);
}
