/* SPDX-License-Identifier: MIT */
/*
 * The batch and the queue.
 *
 * Owns: the batch its buffer; a queue its bytes, and references to shared ones.
 * Invariant: the order of pieces is the order on the wire: while a connection
 * has a queue, its batch goes behind it.  No chunk of a queue is empty.
 * Here: bytes.  Not here: what they mean (http1_write.c), when (conn.c).
 * Context: a worker's loop.  http1_write.c -> [out.c]
 */
#include "server/out.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* One chunk; the queue is its first, which alone knows the last and how many
 * bytes are unsent in all of them. */
struct out_queue {
	struct out_queue *next, *last;
	size_t bytes;
	struct bytes *shared;		/* NULL: `data` */
	size_t at, len, cap;		/* unsent: at to len */
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

/* How many bytes of its own a chunk may make room for in advance. */
#define CHUNK_SPARE_MAX (256u << 10)
/* Chunks that one call sends. */
#define CHUNKS_SENT 16

/* Puts an empty chunk with room for `cap` bytes of its own at the end. */
static struct out_queue *
queue_add_chunk(struct out_queue **queue, size_t cap)
{
	struct out_queue *q = malloc(sizeof(*q) + cap);

	if (q == NULL)
		return NULL;
	q->next = NULL;
	q->shared = NULL;
	q->at = q->len = 0;
	q->cap = cap;
	if (*queue == NULL) {
		q->bytes = 0;
		*queue = q;
	} else {
		(*queue)->last->next = q;
	}
	(*queue)->last = q;
	return q;
}

/* The last chunk, with room for `more` bytes; NULL: no memory.  What is queued
 * is never moved; a chunk that makes room for half as much again as there is
 * keeps their number small. */
static struct out_queue *
queue_reserve(struct out_queue **queue, size_t more)
{
	struct out_queue *q = *queue;
	size_t spare = out_queue_bytes(q) / 2 + more / 2;

	if (q != NULL && q->last->shared == NULL &&
	    q->last->cap - q->last->len >= more)
		return q->last;
	if (spare > CHUNK_SPARE_MAX)
		spare = CHUNK_SPARE_MAX;
	return queue_add_chunk(queue, more + spare);
}

/* Queues what is left of the batch behind its first `sent` bytes. */
static int
queue_rest(struct out_queue **queue, const struct out *o, size_t sent)
{
	struct out_queue *last = queue_reserve(queue, o->bytes - sent);
	unsigned i;

	if (last == NULL)
		return -1;
	(*queue)->bytes += o->bytes - sent;
	for (i = 0; i < o->count; i++) {
		const char *p = o->piece[i].iov_base;
		size_t len = o->piece[i].iov_len;
		size_t skip = sent < len ? sent : len;

		sent -= skip;
		if (len == skip)
			continue;
		memcpy(last->data + last->len, p + skip, len - skip);
		last->len += len - skip;
	}
	return 0;
}

static int
queue_copy(struct out_queue **queue, struct str data)
{
	struct out_queue *last = queue_reserve(queue, data.len);

	if (last == NULL)
		return -1;
	memcpy(last->data + last->len, data.p, data.len);
	last->len += data.len;
	(*queue)->bytes += data.len;
	return 0;
}

/* b->data[from..to) */
static int
queue_refer(struct out_queue **queue, struct bytes *b, size_t from, size_t to)
{
	struct out_queue *last;

	if (to - from <= OUT_COPY_BYTES)
		return queue_copy(queue, str_from(b->data + from, to - from));
	last = queue_add_chunk(queue, 0);
	if (last == NULL)
		return -1;
	last->shared = bytes_ref(b);
	last->at = from;
	last->len = to;
	(*queue)->bytes += to - from;
	return 0;
}

size_t
out_queue_bytes(const struct out_queue *queue)
{
	return queue != NULL ? queue->bytes : 0;
}

/* Drops the first chunk. */
static void
queue_shift(struct out_queue **queue)
{
	struct out_queue *q = *queue;

	*queue = q->next;
	if (*queue != NULL) {
		(*queue)->last = q->last;
		(*queue)->bytes = q->bytes;
	}
	bytes_unref(q->shared);
	free(q);
}

void
out_queue_free(struct out_queue *queue)
{
	while (queue != NULL)
		queue_shift(&queue);
}

static char *
chunk_data(struct out_queue *q)
{
	return q->shared != NULL ? q->shared->data : q->data;
}

static ssize_t
queue_write(struct out_queue *q, int fd)
{
	struct iovec piece[CHUNKS_SENT];
	struct msghdr msg = {.msg_iov = piece};

	if (q->next == NULL)
		return send(fd, chunk_data(q) + q->at, q->len - q->at,
		    MSG_NOSIGNAL);
	for (; q != NULL && msg.msg_iovlen < CHUNKS_SENT; q = q->next)
		piece[msg.msg_iovlen++] = (struct iovec){
		    chunk_data(q) + q->at, q->len - q->at};
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

ssize_t
out_queue_send(struct out_queue **queue, int fd)
{
	size_t left;
	ssize_t n;

	if (*queue == NULL)
		return 0;
	do
		n = queue_write(*queue, fd);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? 0 : -1;
	(*queue)->bytes -= (size_t)n;
	for (left = (size_t)n; *queue != NULL; queue_shift(queue)) {
		struct out_queue *q = *queue;

		if (left < q->len - q->at) {
			q->at += left;
			break;
		}
		left -= q->len - q->at;
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

/* What the socket takes of it now, unless something is queued. */
static ssize_t
out_send_now(const struct out_queue *queue, int fd, struct str data)
{
	ssize_t n;

	if (queue != NULL)
		return 0;
	do
		n = send(fd, data.p, data.len, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == -1 && errno == EAGAIN ? 0 : n;
}

ssize_t
out_send_copy(struct out_queue **queue, int fd, struct str data)
{
	ssize_t n = out_send_now(*queue, fd, data);

	if (n == -1 || (size_t)n == data.len)
		return n;
	return queue_copy(queue, str_from(data.p + n,
	    data.len - (size_t)n)) == 0 ? n : -1;
}

ssize_t
out_send_shared(struct out_queue **queue, int fd, struct bytes *b, size_t from,
    size_t to)
{
	ssize_t n = out_send_now(*queue, fd,
	    str_from(b->data + from, to - from));

	if (n == -1 || (size_t)n == to - from)
		return n;
	return queue_refer(queue, b, from + (size_t)n, to) == 0 ? n : -1;
}
