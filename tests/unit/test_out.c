/* SPDX-License-Identifier: MIT */
/*
 * Output: whatever is put in comes out once and in order, however little the
 * socket takes at a time.
 */
#include "server/out.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

struct wire {
	int fd[2];
	char *got;
	size_t len;
};

static void
wire_open(struct wire *w)
{
	int small = 4096;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    w->fd), 0);
	setsockopt(w->fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	w->got = malloc(4 << 20);
	w->len = 0;
}

static void
wire_close(struct wire *w)
{
	close(w->fd[0]);
	close(w->fd[1]);
	free(w->got);
}

static void
wire_read(struct wire *w)
{
	ssize_t n;

	while ((n = read(w->fd[1], w->got + w->len, (4u << 20) - w->len)) > 0)
		w->len += (size_t)n;
}

static void
put(struct out *o, const char *p, size_t len)
{
	char *to = out_reserve(o, len);

	assert_non_null(to);
	memcpy(to, p, len);
	out_commit(o, len);
}

static void
test_order_is_kept(void **state)
{
	char *big = malloc(200000), *want = malloc(1 << 20);
	struct out_queue *queue = NULL;
	size_t i, n = 0, sent = 0;
	struct out out;
	struct wire w;

	for (i = 0; i < 200000; i++)
		big[i] = (char)(i * 7);
	wire_open(&w);
	assert_int_equal(out_init(&out), 0);
	for (i = 0; i < 4; i++) {
		put(&out, "head", 4);
		assert_true(out_refer(&out, str_from(big, 200000), true));
		put(&out, "tail", 4);
		memcpy(want + n, "head", 4);
		memcpy(want + n + 4, big, 200000);
		memcpy(want + n + 200004, "tail", 4);
		n += 200008;
		assert_true(out.has_loans);
		sent += (size_t)out_flush(&out, w.fd[0], &queue, false);
		assert_true(out_is_empty(&out));
		assert_false(out.has_loans);
	}
	assert_int_equal(sent + out_queue_bytes(queue), n);
	/* What was lent may go: the queue has copies. */
	memset(big, 0, 200000);
	while (queue != NULL) {
		wire_read(&w);
		assert_true(out_queue_send(&queue, w.fd[0]) >= 0);
	}
	wire_read(&w);
	assert_int_equal(w.len, n);
	assert_memory_equal(w.got, want, n);
	out_done(&out);
	wire_close(&w);
	free(big);
	free(want);
}

static void
test_a_full_batch_says_so(void **state)
{
	struct out_queue *queue = NULL;
	struct out out;
	struct wire w;
	unsigned i;

	wire_open(&w);
	assert_int_equal(out_init(&out), 0);
	assert_null(out_reserve(&out, OUT_BUFFER_BYTES + 1));
	for (i = 0; i < OUT_PIECES; i++)
		assert_true(out_refer(&out, STR("x"), false));
	assert_false(out_refer(&out, STR("x"), false));
	assert_null(out_reserve(&out, 1));
	assert_int_equal(out_flush(&out, w.fd[0], &queue, false), OUT_PIECES);
	assert_non_null(out_reserve(&out, OUT_BUFFER_BYTES));
	out_done(&out);
	wire_close(&w);
}

static void
test_small_pieces_leave_as_one(void **state)
{
	struct out out;

	assert_int_equal(out_init(&out), 0);
	put(&out, "a", 1);
	put(&out, "b", 1);
	assert_int_equal(out.count, 1);
	out_refer(&out, STR("c"), false);
	put(&out, "d", 1);
	assert_int_equal(out.count, 3);
	out_discard(&out);
	assert_true(out_is_empty(&out));
	out_done(&out);
}

static void
test_shared_bytes_are_queued_once(void **state)
{
	struct bytes *b = bytes_alloc(100000);
	struct out_queue *queue[3] = {NULL, NULL, NULL};
	size_t i, len[3] = {0};
	struct wire w[3];
	char small[8] = "between";

	assert_non_null(b);
	for (i = 0; i < b->len; i++)
		b->data[i] = (char)(i * 7);
	for (i = 0; i < 3; i++) {
		wire_open(&w[i]);
		/* 90 000, a copy, all of it, and a piece too short to share. */
		len[i] = (size_t)out_send_shared(&queue[i], w[i].fd[0], b,
		    10000, 100000);
		assert_int_equal(out_send_copy(&queue[i], w[i].fd[0],
		    str_from(small, 7)), 0);
		assert_int_equal(out_send_shared(&queue[i], w[i].fd[0], b, 0,
		    100000), 0);
		assert_int_equal(out_send_shared(&queue[i], w[i].fd[0], b, 5,
		    15), 0);
		assert_int_equal(len[i] + out_queue_bytes(queue[i]), 190017);
	}
	assert_int_equal(b->refs, 7);
	memset(small, 0, sizeof(small));
	out_queue_free(queue[2]);
	assert_int_equal(b->refs, 5);
	for (i = 0; i < 2; i++) {
		while (queue[i] != NULL) {
			wire_read(&w[i]);
			assert_true(out_queue_send(&queue[i], w[i].fd[0]) >= 0);
		}
		wire_read(&w[i]);
		assert_int_equal(w[i].len, 190017);
		assert_memory_equal(w[i].got, b->data + 10000, 90000);
		assert_memory_equal(w[i].got + 90000, "between", 7);
		assert_memory_equal(w[i].got + 90007, b->data, 100000);
		assert_memory_equal(w[i].got + 190007, b->data + 5, 10);
	}
	assert_int_equal(b->refs, 1);
	for (i = 0; i < 3; i++)
		wire_close(&w[i]);
	bytes_unref(b);
}

static void
test_a_broken_socket_is_an_error(void **state)
{
	struct out_queue *queue = NULL;
	struct out out;
	struct wire w;

	wire_open(&w);
	assert_int_equal(out_init(&out), 0);
	close(w.fd[1]);
	put(&out, "a", 1);
	assert_int_equal(out_flush(&out, w.fd[0], &queue, false), -1);
	assert_null(queue);
	assert_true(out_is_empty(&out));
	w.fd[1] = dup(w.fd[0]);
	out_done(&out);
	wire_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_is_kept),
		cmocka_unit_test(test_a_full_batch_says_so),
		cmocka_unit_test(test_small_pieces_leave_as_one),
		cmocka_unit_test(test_shared_bytes_are_queued_once),
		cmocka_unit_test(test_a_broken_socket_is_an_error),
	};

	return UNIT_RUN(tests);
}
