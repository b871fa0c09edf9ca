/* SPDX-License-Identifier: MIT */
/*
 * The batch and the queue.
 *
 * Owns: the batch its buffer; a queue its bytes.  Invariant: the order of
 * pieces is the order on the wire: while a connection has a queue, its batch
 * goes behind it.
 * Here: bytes.  Not here: what they mean (http1_write.c), when (conn.c).
 * Context: a worker's loop.  http1_write.c -> [out.c]
 */
#include "server/out.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

struct out_queue {
	size_t at, len, cap;
	char data[];
};

int
out_init(struct out *o)
{
	memset(o, 0, sizeof(*o));
	o->buf = malloc(OUT_BUFFER_BYTES);
	return o->buf != NULL ? 0 : -1;
}

void
out_done(struct out *o)
{
	free(o->buf);
	o->buf = NULL;
}

void
out_discard(struct out *o)
{
	o->len = 0;
	o->bytes = 0;
	o->count = 0;
	o->has_loans = false;
}

char *
out_reserve(struct out *o, size_t bytes)
{
	/* The copy may need a piece of its own, behind a reference. */
	if (bytes > OUT_BUFFER_BYTES - o->len || o->count == OUT_PIECES)
		return NULL;
	return o->buf + o->len;
}

void
out_commit(struct out *o, size_t bytes)
{
	struct iovec *last = o->count > 0 ? &o->piece[o->count - 1] : NULL;
	char *p = o->buf + o->len;

	if (last != NULL && (char *)last->iov_base + last->iov_len == p)
		last->iov_len += bytes;
	else
		o->piece[o->count++] = (struct iovec){p, bytes};
	o->len += bytes;
	o->bytes += bytes;
}

bool
out_refer(struct out *o, struct str s, bool is_loan)
{
	union {
		const char *in;
		void *out;
	} p = {.in = s.p};

	if (o->count == OUT_PIECES)
		return false;
	o->piece[o->count++] = (struct iovec){p.out, s.len};
	o->bytes += s.len;
	o->has_loans |= is_loan;
	return true;
}

static int
queue_grow(struct out_queue **queue, size_t more)
{
	struct out_queue *q = *queue, *bigger;
	size_t used = q != NULL ? q->len - q->at : 0;
	size_t cap = used + more;

	if (q != NULL && q->cap - q->len >= more)
		return 0;
	cap += cap / 2;
	bigger = malloc(sizeof(*bigger) + cap);
	if (bigger == NULL)
		return -1;
	if (used > 0)
		memcpy(bigger->data, q->data + q->at, used);
	bigger->at = 0;
	bigger->len = used;
	bigger->cap = cap;
	free(q);
	*queue = bigger;
	return 0;
}

/* Queues what is left of the batch behind its first `sent` bytes. */
static int
queue_rest(struct out_queue **queue, const struct out *o, size_t sent)
{
	unsigned i;

	if (queue_grow(queue, o->bytes - sent) == -1)
		return -1;
	for (i = 0; i < o->count; i++) {
		const char *p = o->piece[i].iov_base;
		size_t len = o->piece[i].iov_len;
		size_t skip = sent < len ? sent : len;

		sent -= skip;
		if (len == skip)
			continue;
		memcpy((*queue)->data + (*queue)->len, p + skip, len - skip);
		(*queue)->len += len - skip;
	}
	return 0;
}

size_t
out_queue_bytes(const struct out_queue *queue)
{
	return queue != NULL ? queue->len - queue->at : 0;
}

void
out_queue_free(struct out_queue *queue)
{
	free(queue);
}

ssize_t
out_queue_send(struct out_queue **queue, int fd)
{
	struct out_queue *q = *queue;
	ssize_t n;

	if (q == NULL)
		return 0;
	do
		n = send(fd, q->data + q->at, q->len - q->at, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? 0 : -1;
	q->at += (size_t)n;
	if (q->at == q->len) {
		free(q);
		*queue = NULL;
	}
	return n;
}

static ssize_t
out_send(const struct out *o, int fd, int flags)
{
	struct msghdr msg = {.msg_iovlen = o->count};
	struct iovec piece[OUT_PIECES];
	ssize_t n;

	if (o->count == 1)
		return send(fd, o->piece[0].iov_base, o->piece[0].iov_len,
		    flags);
	memcpy(piece, o->piece, o->count * sizeof(piece[0]));
	msg.msg_iov = piece;
	do
		n = sendmsg(fd, &msg, flags);
	while (n == -1 && errno == EINTR);
	return n;
}

ssize_t
out_flush(struct out *o, int fd, struct out_queue **queue, bool more)
{
	ssize_t n = 0;

	if (o->bytes == 0)
		return 0;
	if (*queue == NULL) {
		n = out_send(o, fd, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			n = 0;
	}
	if (n >= 0 && (size_t)n < o->bytes &&
	    queue_rest(queue, o, (size_t)n) == -1)
		n = -1;
	out_discard(o);
	return n;
}

ssize_t
out_send_copy(struct out_queue **queue, int fd, struct str data)
{
	ssize_t n = 0;

	if (*queue == NULL) {
		do
			n = send(fd, data.p, data.len, MSG_NOSIGNAL);
		while (n == -1 && errno == EINTR);
		if (n == -1 && errno != EAGAIN)
			return -1;
		if (n == -1)
			n = 0;
	}
	if ((size_t)n == data.len)
		return n;
	if (queue_grow(queue, data.len - (size_t)n) == -1)
		return -1;
	memcpy((*queue)->data + (*queue)->len, data.p + n,
	    data.len - (size_t)n);
	(*queue)->len += data.len - (size_t)n;
	return n;
}

ssize_t
out_send_shared(struct out_queue **queue, int fd, struct bytes *b, size_t from,
    size_t to)
{
	return out_send_copy(queue, fd, str_from(b->data + from, to - from));
}
