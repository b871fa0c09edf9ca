/* SPDX-License-Identifier: MIT */
/*
 * lane_hold() and lane_post().
 *
 * A slot of the table is free, held, posted (in the list of its postbox), or
 * posted and dropped: its context has ended while the post was on its way.
 *
 *	free -> held -> posted -> free		each step to the left of "free"
 *	         `----> free			counts the generation up
 *
 * The table belongs to the process and not to a server, because a handle is all
 * that a foreign thread has: this is the one place beside the log that has
 * mutable globals, and a mutex for them.
 *
 * Owns the table, for ever, and a postbox per server.  Invariant: a slot's
 * `hold` is good while the lock is held, or on the loop's thread.
 * Here: numbers and their way to the loop.  Not here: when contexts end (see
 * ctx.c).
 * Context: see handle.h.
 */
#include "server/handle.h"

#include <corelane/corelane.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "server/ctx.h"
#include "server/internal.h"

#define SLOTS_FIRST 64
#define SLOT_NONE UINT32_MAX

struct hold {
	struct op op; /* first */
	uint32_t slot;
	lane_done_fn done;
	void *state;
};

struct slot {
	uint32_t generation;
	uint32_t next; /* of the free ones, or of those posted */
	struct postbox *box;
	struct hold *hold; /* NULL: free, or dropped */
	bool is_posted;
};

struct postbox {
	struct event readable;
	int fd;
	struct server *srv;
	uint32_t first, last; /* slots posted; guarded by the lock */
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot *table_slots;
static uint32_t table_count;
static uint32_t table_free = SLOT_NONE;

/* With the lock held. */
static int
table_grow(void)
{
	uint32_t count = table_count > 0 ? 2 * table_count : SLOTS_FIRST, i;
	struct slot *slots;

	if (table_count > SLOT_NONE / 4)
		return -1;
	slots = realloc(table_slots, count * sizeof(*slots));
	if (slots == NULL)
		return -1;
	for (i = count; i-- > table_count;) {
		/* No handle is 0. */
		slots[i] = (struct slot){.generation = 1, .next = table_free};
		table_free = i;
	}
	table_slots = slots;
	table_count = count;
	return 0;
}

/* With the lock held: handles of it are void from here on. */
static void
slot_free(uint32_t index)
{
	struct slot *s = &table_slots[index];

	s->generation++;
	if (s->generation == 0)
		s->generation = 1;
	s->hold = NULL;
	s->is_posted = false;
	s->next = table_free;
	table_free = index;
}

static int
slot_take(struct postbox *box, struct hold *h, lane_handle *ret_handle)
{
	struct slot *s;
	int rc = -ENOMEM;

	pthread_mutex_lock(&table_lock);
	if (table_free != SLOT_NONE || table_grow() == 0) {
		h->slot = table_free;
		s = &table_slots[h->slot];
		table_free = s->next;
		s->box = box;
		s->hold = h;
		*ret_handle = (lane_handle)s->generation << 32 | h->slot;
		rc = 0;
	}
	pthread_mutex_unlock(&table_lock);
	return rc;
}

static void
hold_on_cancel(struct op *op)
{
	struct hold *h = (struct hold *)op;

	pthread_mutex_lock(&table_lock);
	if (table_slots[h->slot].is_posted)
		table_slots[h->slot].hold = NULL;
	else
		slot_free(h->slot);
	pthread_mutex_unlock(&table_lock);
}

/* Takes the first of the list out, and its slot's end with it. */
static uint32_t
postbox_next(uint32_t index, struct hold **ret_hold)
{
	uint32_t next;

	pthread_mutex_lock(&table_lock);
	*ret_hold = table_slots[index].hold;
	next = table_slots[index].next;
	slot_free(index);
	pthread_mutex_unlock(&table_lock);
	return next;
}

static uint32_t
postbox_take(struct postbox *box)
{
	uint32_t first;

	pthread_mutex_lock(&table_lock);
	first = box->first;
	box->first = SLOT_NONE;
	pthread_mutex_unlock(&table_lock);
	return first;
}

static void
postbox_on_readable(int fd, short what, void *arg)
{
	struct postbox *box = arg;
	struct lane_ctx *c;
	struct hold *h;
	uint64_t count;
	uint32_t index;

	if (read(fd, &count, sizeof(count)) != sizeof(count))
		return;
	server_wake(box->srv);
	index = postbox_take(box);
	while (index != SLOT_NONE) {
		index = postbox_next(index, &h);
		if (h == NULL)
			continue;
		c = h->op.ctx;
		op_finish(&h->op);
		CTX_CALL(c, h->done(c, h->state));
	}
}

static struct postbox *
postbox_new(struct server *srv)
{
	struct postbox *box = calloc(1, sizeof(*box));

	if (box == NULL)
		return NULL;
	box->srv = srv;
	box->first = SLOT_NONE;
	box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (box->fd == -1 ||
	    event_assign(&box->readable, srv->base, box->fd,
		EV_READ | EV_PERSIST, postbox_on_readable, box) == -1 ||
	    event_add(&box->readable, NULL) == -1) {
		postbox_free(box);
		return NULL;
	}
	return box;
}

void
postbox_free(struct postbox *box)
{
	uint32_t index;
	struct hold *h;

	if (box == NULL)
		return;
	for (index = postbox_take(box); index != SLOT_NONE;)
		index = postbox_next(index, &h);
	if (event_initialized(&box->readable))
		event_del(&box->readable);
	if (box->fd != -1)
		close(box->fd);
	free(box);
}

int
lane_hold(
    struct lane_ctx *c, lane_done_fn done, void *state, lane_handle *ret_handle)
{
	struct server *srv = c->srv;
	struct hold *h;
	int rc;

	if (!ctx_may_wait(c))
		return -ECANCELED;
	h = lane_alloc(c, sizeof(*h));
	if (srv->postbox == NULL)
		srv->postbox = postbox_new(srv);
	if (h == NULL || srv->postbox == NULL)
		return -ENOMEM;
	h->done = done;
	h->state = state;
	rc = slot_take(srv->postbox, h, ret_handle);
	if (rc < 0)
		return rc;
	op_start(c, &h->op, hold_on_cancel);
	return LANE_ASYNC;
}

/* With the lock held. */
static void
slot_post(uint32_t index)
{
	const uint64_t one = 1;
	struct slot *s = &table_slots[index];
	struct postbox *box = s->box;
	bool was_empty = box->first == SLOT_NONE;
	ssize_t n;

	s->is_posted = true;
	s->next = SLOT_NONE;
	if (was_empty)
		box->first = index;
	else
		table_slots[box->last].next = index;
	box->last = index;
	/* Under the lock, so that the box can't go meanwhile. */
	if (was_empty) {
		n = write(box->fd, &one, sizeof(one));
		(void)n;
	}
}

int
lane_post(lane_handle handle)
{
	uint32_t index = (uint32_t)handle;
	uint32_t generation = (uint32_t)(handle >> 32);
	const struct slot *s;
	int rc = -ESRCH;

	pthread_mutex_lock(&table_lock);
	s = index < table_count ? &table_slots[index] : NULL;
	if (s != NULL && s->generation == generation && s->hold != NULL &&
	    !s->is_posted) {
		slot_post(index);
		rc = 0;
	}
	pthread_mutex_unlock(&table_lock);
	return rc;
}
