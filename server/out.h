/* SPDX-License-Identifier: MIT */
/*
 * Output: one batch per worker, one queue per connection that is behind.
 *
 *	responses of one turn -> struct out -> one sendmsg(2) -> the kernel
 *	                                          | (what it didn't take)
 *	                                          v
 *	                                   struct out_queue of the connection
 *
 * The batch holds small pieces by copy, one behind the other in its buffer, and
 * large ones by reference; a reference must stay good until out_flush(), which
 * comes at the latest when the connection's turn ends.  What the kernel doesn't
 * take is copied into the connection's queue, which exists only while there is
 * something in it: an idle connection owns no buffer.
 *
 * A queue is a list of chunks; each has bytes of its own, or refers to a part
 * of shared ones (common/bytes.h): what goes to many clients is there once,
 * however many of them are behind.
 *
 * Context: the loop's thread; one batch, used by one connection at a time.
 */
#ifndef CORELANE_SERVER_OUT_H
#define CORELANE_SERVER_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/bytes.h"
#include "common/str.h"

#define OUT_BUFFER_BYTES 65536
#define OUT_PIECES 32
/* Pieces up to this size are copied: cheaper than an entry of their own. */
#define OUT_COPY_BYTES 4096

struct out {
	char *buf;		/* OUT_BUFFER_BYTES */
	size_t len;
	size_t bytes;		/* in all pieces */
	unsigned count;
	bool has_loans;		/* a piece ends with its request */
	struct iovec piece[OUT_PIECES];
};

struct out_queue;

int out_init(struct out *o);
void out_done(struct out *o);

/*
 * Room for `bytes` to be written at the returned place and then handed to
 * out_commit() with their true number; NULL when the batch must be flushed
 * first (bytes <= OUT_BUFFER_BYTES always fits into an empty one).
 */
char *out_reserve(struct out *o, size_t bytes);
void out_commit(struct out *o, size_t bytes);

/* Appends a reference.  is_loan: it ends with the request.  Returns false when
 * the batch must be flushed first. */
bool out_refer(struct out *o, struct str s, bool is_loan);

/* Forgets what is in the batch. */
void out_discard(struct out *o);

static inline bool
out_is_empty(const struct out *o)
{
	return o->bytes == 0;
}

/*
 * Sends the batch; behind what is queued already, if anything is.  more: more
 * follows at once (MSG_MORE).  What isn't sent is copied to *queue.  The batch
 * is empty afterwards in any case.
 * Returns the number of bytes handed to the kernel, or -1 when the connection
 * is broken or there is no memory for the queue.
 */
ssize_t out_flush(struct out *o, int fd, struct out_queue **queue, bool more);

/* Sends from the queue; frees it and sets NULL when all is gone.  Returns the
 * bytes sent (0: the socket is full), or -1 when the connection is broken. */
ssize_t out_queue_send(struct out_queue **queue, int fd);
/*
 * Sends at once, or behind what is queued; what isn't sent is queued: copied,
 * or as a reference where there is more than OUT_COPY_BYTES of it.  Returns the
 * bytes handed to the kernel, or -1 as out_flush().
 */
ssize_t out_send_copy(struct out_queue **queue, int fd, struct str data);
ssize_t out_send_shared(struct out_queue **queue, int fd, struct bytes *b,
    size_t from, size_t to);
size_t out_queue_bytes(const struct out_queue *queue);
void out_queue_free(struct out_queue *queue);

#endif
