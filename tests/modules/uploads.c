/* SPDX-License-Identifier: MIT */
/*
 * Content taken piece by piece:
 *
 *	/count	answers with the number of bytes, and a sum over them
 *	/slow	the same, but takes 1000 bytes and then waits a millisecond
 *	/early	answers 403 at the first piece
 *	/never	doesn't answer at all
 *	/ended	how many of these have begun and how many have ended
 */
#include <corelane/corelane.h>

#include <errno.h>

#define UPLOAD_GULP 1000

struct upload {
	uint64_t bytes, sum;
	bool is_waiting;
};

static const char upload_type;

/* Of this worker: the tests run one. */
static unsigned begun, ended;

static void
upload_end(void *ptr)
{
	(void)ptr;
	ended++;
}

static int
upload_run(struct lane_ctx *c)
{
	struct upload *u = lane_alloc(c, sizeof(*u));

	if (u == NULL ||
	    lane_attr_set_pointer(c, "upload", &upload_type, u) != 0)
		return -ENOMEM;
	begun++;
	if (lane_defer(c, upload_end, u) != 0)
		return -ENOMEM;
	return lane_body_wait(c);
}

static struct upload *
upload_of(struct lane_ctx *c)
{
	return lane_attr_pointer(c, "upload", &upload_type);
}

static size_t
upload_take(struct upload *u, struct lane_str piece, size_t most)
{
	size_t i, n = piece.len < most ? piece.len : most;

	for (i = 0; i < n; i++)
		u->sum += (unsigned char)piece.p[i];
	u->bytes += n;
	return n;
}

static void
upload_answer(struct lane_ctx *c, const struct upload *u)
{
	lane_finish(c, lane_printf(c, 200, "text/plain", "%llu %llu",
	    (unsigned long long)u->bytes, (unsigned long long)u->sum));
}

static size_t
count_on_body(struct lane_ctx *c, struct lane_str piece, bool is_last)
{
	struct upload *u = upload_of(c);
	size_t taken = upload_take(u, piece, piece.len);

	if (is_last)
		upload_answer(c, u);
	return taken;
}

static int
slow_more(struct lane_ctx *c, void *state)
{
	struct upload *u = state;

	u->is_waiting = false;
	lane_body_more(c);
	return LANE_ASYNC;
}

static size_t
slow_on_body(struct lane_ctx *c, struct lane_str piece, bool is_last)
{
	struct upload *u = upload_of(c);
	size_t taken = upload_take(u, piece, UPLOAD_GULP);
	int rc;

	if (is_last) {
		upload_answer(c, u);
	} else if (taken < piece.len && !u->is_waiting) {
		u->is_waiting = true;
		rc = lane_after(c, 1, slow_more, u);
		if (rc != LANE_ASYNC)
			lane_finish(c, rc);
	}
	return taken;
}

static size_t
early_on_body(struct lane_ctx *c, struct lane_str piece, bool is_last)
{
	(void)is_last;
	lane_finish(c, lane_fail(c, 403, "enough"));
	return piece.len;
}

static size_t
never_on_body(struct lane_ctx *c, struct lane_str piece, bool is_last)
{
	(void)c;
	(void)is_last;
	return piece.len;
}

static int
ended_run(struct lane_ctx *c)
{
	return lane_printf(c, 200, "text/plain", "%u %u", begun, ended);
}

#define UPLOAD(route)                                                          \
	{.name = #route, .methods = "POST", .path = "/" #route,                \
	    .run = upload_run, .body = LANE_BODY_STREAM,                       \
	    .on_body = route##_on_body}

static const struct lane_route routes[] = {
	UPLOAD(count),
	UPLOAD(slow),
	UPLOAD(early),
	UPLOAD(never),
	{.name = "ended", .methods = "GET", .path = "/ended",
	    .run = ended_run},
	{.name = NULL},
};

LANE_MODULE(.name = "uploads", .routes = routes);
