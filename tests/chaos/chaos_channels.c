/* SPDX-License-Identifier: MIT */
/*
 * Death at every step inside the log of channels, while others go on.
 *
 * Six workers publish, subscribe, list members and read as fast as they can, in
 * so small a region that messages, channels and members go all the time.  Four
 * of them are mortal: each picks a place in the log and, after passing it a
 * random number of times, kills itself there with SIGKILL.  The parent, as
 * supervisor, reaps it and has an undertaker drop what it left, a process that
 * may die of it as well; then it checks the whole region and forks the next.
 *
 * The others never die: two workers, and a sleeper, which reads when it is
 * woken and never else.  Each holds what it reads against what may be: no
 * message torn, no offset twice or left out but by those whose ring has gone
 * round, its own subscriptions counted as it counts them.
 *
 *	chaos_channels [DEATHS]
 */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel_region.h"
#include "common/clock.h"
#include "common/random.h"
#include "tests/chaos/channel_check.h"
#include "tests/chaos/channel_crash_point.h"
#include "tests/chaos/chaos_message.h"

#define WORKERS 6u
#define IMMORTALS 2u
#define SLEEPER WORKERS /* readers behind the workers */
#define KEEPER (WORKERS + 1)
#define READERS (WORKERS + 2)
#define KEPT 4u /* channels that never go, because the keeper has joined */
#define PASSING 40u /* others, more than there are rows */
#define ROWS 24u
#define MEMBERS 12u
#define RING 65536u
#define BATCH 50u /* deaths in which the immortals must get on */
#define BATCH_STEPS 20u
#define CALM_STEPS 200u
#define LIFE_STEPS 4000u /* a mortal dies after these, wherever it is */
#define SLEEP_MS 100 /* then the sleeper looks whether it is calm */
#define STUCK_SECONDS 240u

/* What the processes tell each other, outside of the region under test. */
struct board {
	_Atomic bool calm; /* nobody dies any more */
	_Atomic uint64_t tried[KEPT]; /* messages about to be published */
	_Atomic uint64_t published[KEPT]; /* surely */
	_Atomic uint64_t deaths[CRASH_POINTS];
	_Atomic uint64_t steps[WORKERS];
	_Atomic uint64_t buried; /* and everybody woken */
	_Atomic uint64_t read, laps, woken, busy, slowest_ns;
};

/* What a process knows of a kept channel that it reads. */
struct known {
	uint32_t epoch;
	uint64_t offset, at;
	bool may_skip; /* the ring has gone round since */
};

/* A process that reads. */
struct reader {
	unsigned number;
	uint64_t cursor;
	struct known known[KEPT];
	unsigned joined[KEPT]; /* how often this process has */
	uint64_t client, steps; /* client: the first of this life's */
	uint32_t origin;
	struct random random;
};

static struct board *board;
static struct channel_log *region;
static pid_t workers[WORKERS], sleeper;
static int wake_fds[READERS];
static enum channel_crash_point doom_point; /* where this process dies, and */
static uint64_t doom_passes; /* at which pass; 0: never */

__attribute__((format(printf, 1, 2), noreturn)) static void
fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "chaos_channels: pid %d: ", (int)getpid());
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(1);
}

void
channel_crash_on_pass(enum channel_crash_point where)
{
	if (doom_passes == 0 || where != doom_point || --doom_passes > 0 ||
	    atomic_load(&board->calm))
		return;
	atomic_fetch_add(&board->deaths[where], 1);
	kill(getpid(), SIGKILL);
}

static uint64_t
below(struct reader *r, uint64_t n)
{
	return random_u64(&r->random) % n;
}

/* --- channels --- */

static struct str
kept_name(unsigned i)
{
	static const struct str names[KEPT] = {STR_INIT("kept.a"),
		STR_INIT("kept.b"), STR_INIT("kept.with-a-name-that-is-so-long-"
		"that-it-lies-in-the-table-of-long-names:0123456789"),
		STR_INIT("kept.d")};

	return names[i];
}

static unsigned
kept_find(struct str name)
{
	unsigned i = 0;

	while (i < KEPT && !str_eq(kept_name(i), name))
		i++;
	return i;
}

static struct str
passing_name(struct reader *r, char text[32])
{
	return str_from(text, (size_t)snprintf(text, 32, "passing.%u",
	    (unsigned)below(r, PASSING)));
}

/* --- reading --- */

static void
reader_is_lapped(struct reader *r)
{
	atomic_fetch_add(&board->laps, 1);
	r->cursor = channel_log_tail(region);
	for (unsigned i = 0; i < KEPT; i++)
		r->known[i].may_skip = true;
}

static void
reader_check(struct reader *r, const struct channel_entry *e, unsigned i)
{
	struct known *k = &r->known[i];

	if (i == KEPT)
		return;
	if (k->epoch != e->epoch)
		fail("the epoch of a channel has changed");
	if (k->may_skip ? e->offset <= k->offset : e->offset != k->offset + 1)
		fail("channel %u: offset %llu after %llu", i,
		    (unsigned long long)e->offset,
		    (unsigned long long)k->offset);
	if (!k->may_skip && k->at != 0 && e->previous != k->at)
		fail("channel %u: the chain leaves one out", i);
	k->offset = e->offset;
	k->at = e->at;
	k->may_skip = false;
}

static void
reader_read(struct reader *r)
{
	struct channel_entry e;
	unsigned kept;
	bool is_good;

	while (r->cursor < channel_log_head(region)) {
		if (!channel_log_read(region, r->cursor, &e)) {
			if (channel_log_is_intact(region, r->cursor))
				fail("an entry that is there can't be read");
			reader_is_lapped(r);
			continue;
		}
		is_good = e.content == CHANNEL_LEAVE ?
		    str_has_prefix(e.data, STR("{\"client\":\"")) :
		    chaos_message_is_good(e.data);
		kept = kept_find(e.channel);
		if (!channel_log_is_intact(region, e.at)) {
			reader_is_lapped(r);
			continue;
		}
		if (!is_good)
			fail("a message is torn");
		reader_check(r, &e, kept);
		r->cursor = e.next;
		atomic_fetch_add(&board->read, 1);
	}
}

/* --- what a worker does --- */

/* Nobody is stopped, so that nobody waits in vain; but on a machine with much
 * else to do the holder may have been preempted for so long. */
static bool
is_done(int rc)
{
	if (rc != -EBUSY)
		return true;
	if (atomic_fetch_add(&board->busy, 1) > 1000)
		fail("the mutex can't be had");
	return false;
}

static void
note_time(uint64_t start_ns)
{
	uint64_t ns = clock_now_ns() - start_ns;
	uint64_t slowest = atomic_load(&board->slowest_ns);

	while (ns > slowest && !atomic_compare_exchange_weak(
	    &board->slowest_ns, &slowest, ns))
		continue;
}

static void
worker_publish(struct reader *r, struct str name)
{
	char data[CHAOS_MESSAGE_MAX];
	unsigned kept = kept_find(name);
	bool is_foreign = below(r, 8) == 0;
	uint64_t start_ns = clock_now_ns();
	struct channel_message m = {
		.channel = name,
		.data = chaos_message_make(data, random_u64(&r->random)),
		.time_ms = 1,
		.origin = is_foreign ? r->origin : 0,
		.number = is_foreign ? r->steps : 0,
	};
	struct channel_position pos;
	int rc;

	if (kept < KEPT)
		atomic_fetch_add(&board->tried[kept], 1);
	channel_log_will_look(region, r->number);
	do
		rc = channel_log_publish(region, &m, &pos);
	while (!is_done(rc));
	if (kept < KEPT && rc != 0)
		fail("publish: %s", strerror(-rc));
	if (rc != 0 && rc != -ENOSPC)
		fail("publish in passing: %s", strerror(-rc));
	if (kept == KEPT)
		return;
	note_time(start_ns);
	atomic_fetch_add(&board->published[kept], 1);
	if (pos.epoch != r->known[kept].epoch ||
	    pos.offset <= r->known[kept].offset)
		fail("a position that has been there");
}

static uint32_t
own_count(const struct reader *r, uint32_t row)
{
	return channel_counts_at(region, r->number)[row];
}

static void
worker_join(struct reader *r, unsigned kept)
{
	struct channel_state st;
	int rc;

	do
		rc = channel_log_join(region, r->number, kept_name(kept), &st);
	while (!is_done(rc));
	if (rc != 0)
		fail("join: %s", strerror(-rc));
	if (own_count(r, st.row) != ++r->joined[kept] ||
	    st.subscribers <= r->joined[kept])
		fail("joined %u times, counted %u of %u", r->joined[kept],
		    own_count(r, st.row), st.subscribers);
}

static void
worker_leave(struct reader *r, unsigned kept)
{
	struct channel_state st;

	if (r->joined[kept] == 0)
		return;
	while (!is_done(channel_log_leave(region, r->number,
	    kept_name(kept))))
		continue;
	r->joined[kept]--;
	while (!channel_log_find(region, kept_name(kept), &st))
		(void)is_done(-EBUSY);
	if (own_count(r, st.row) != r->joined[kept])
		fail("left, and counted still");
}

/* Channels and patterns that come and go with the only one who has them. */
static void
worker_pass_through(struct reader *r)
{
	char text[32];
	struct str name = passing_name(r, text);
	struct channel_state st;
	int rc;

	if (below(r, 3) == 0)
		name = below(r, 2) ? STR("passing.1*") : STR("kept.*");
	do
		rc = channel_log_join(region, r->number, name, &st);
	while (!is_done(rc));
	if (rc == -ENOSPC)
		return;
	if (rc != 0 || own_count(r, st.row) == 0)
		fail("joined, and not counted");
	if (name.p == text)
		worker_publish(r, name);
	while (!is_done(channel_log_leave(region, r->number, name)))
		continue;
}

static void
member_see(const struct channel_member *m, void *arg)
{
	const struct reader *r = arg;

	if (m->reader >= READERS || m->user.len != 5 ||
	    memcmp(m->user.p, "name-", 5) != 0)
		fail("a member is torn");
	if (m->reader == r->number && m->client >> 20 != r->client >> 20)
		fail("a member of a reader before us");
}

static void
worker_be_member(struct reader *r)
{
	struct channel_member m = {.client = r->client, .reader = r->number,
		.user = STR("name-"), .info = STR("{}")};
	struct str name = kept_name((unsigned)below(r, KEPT));
	int rc;

	m.client += below(r, 4);
	do
		rc = channel_log_member_add(region, name, &m);
	while (!is_done(rc));
	if (rc != 0 && rc != -ENOSPC)
		fail("member: %s", strerror(-rc));
	(void)channel_log_members(region, name, MEMBERS, member_see, r);
	if (below(r, 3) == 0)
		return; /* for the undertaker */
	while (!is_done(channel_log_member_remove(region, name, m.client)))
		continue;
}

static void
worker_step(struct reader *r)
{
	char text[32];
	unsigned kept = (unsigned)below(r, KEPT);

	r->steps++;
	switch (below(r, 8)) {
	case 0:
		worker_join(r, kept);
		break;
	case 1:
		worker_leave(r, kept);
		break;
	case 2:
		worker_pass_through(r);
		break;
	case 3:
		worker_be_member(r);
		break;
	case 4:
		worker_publish(r, passing_name(r, text));
		break;
	case 5:
		reader_read(r);
		break;
	default:
		worker_publish(r, kept_name(kept));
	}
	atomic_fetch_add(&board->steps[r->number], 1);
}

/* From here on: what was before is not ours to know. */
static void
reader_begin(struct reader *r, unsigned number)
{
	struct channel_state st;

	memset(r, 0, sizeof(*r));
	r->number = number;
	random_init(&r->random);
	r->origin = (uint32_t)random_u64(&r->random) | 1;
	r->client = (uint64_t)getpid() << 20;
	r->cursor = channel_log_head(region);
	for (unsigned i = 0; i < KEPT; i++) {
		while (!channel_log_find(region, kept_name(i), &st))
			(void)is_done(-EBUSY);
		r->known[i] = (struct known){.epoch = st.epoch,
			.may_skip = true};
	}
}

static void
doom(struct reader *r)
{
	doom_point = (enum channel_crash_point)below(r, CRASH_POINTS);
	doom_passes = 1 + below(r, doom_point >= CRASH_REPAIRING &&
	    doom_point <= CRASH_CONSISTENT ? 2 : 40);
}

__attribute__((noreturn)) static void
worker_run(unsigned number)
{
	struct reader r;
	uint64_t calm = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(STUCK_SECONDS);
	reader_begin(&r, number);
	if (number >= IMMORTALS)
		doom(&r);
	while (calm < CALM_STEPS) {
		worker_step(&r);
		if (atomic_load(&board->calm))
			calm++;
		else if (number >= IMMORTALS && r.steps == LIFE_STEPS)
			doom_point = CRASH_LOCKED, doom_passes = 1;
	}
	reader_read(&r);
	for (unsigned i = 0; i < KEPT; i++)
		while (r.joined[i] > 0)
			worker_leave(&r, i);
	_exit(0);
}

/* Sleeps until it is woken.  Whoever puts its flag up and dies before it writes
 * has the supervisor write: one burial later at the latest, but the one that is
 * under way doesn't count. */
static void
sleeper_sleep(void)
{
	struct pollfd p = {.fd = wake_fds[SLEEPER], .events = POLLIN};
	const struct channel_reader *own = &region->reader[SLEEPER];
	uint64_t since = 0, count;
	bool is_up = false;

	while (!atomic_load(&board->calm) && poll(&p, 1, SLEEP_MS) == 0) {
		if (!is_up && atomic_load(&own->flag) != 0) {
			since = atomic_load(&board->buried);
			is_up = true;
		} else if (is_up && atomic_load(&board->buried) > since + 1 &&
		    poll(&p, 1, 0) == 0) {
			fail("nobody wakes the sleeper");
		}
	}
	if (read(p.fd, &count, sizeof(count)) == -1 && errno != EAGAIN)
		fail("the sleeper's eventfd: %s", strerror(errno));
}

/* Reads when it is woken, and only then: so that a wake that is lost shows. */
__attribute__((noreturn)) static void
sleeper_run(void)
{
	struct channel_state st;
	struct reader r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(STUCK_SECONDS);
	reader_begin(&r, SLEEPER);
	if (channel_log_join(region, SLEEPER, STR("kept.*"), &st) != 0)
		fail("the sleeper can't join");
	while (!atomic_load(&board->calm)) {
		sleeper_sleep();
		channel_log_taken(region, SLEEPER);
		reader_read(&r);
		atomic_fetch_add(&board->woken, 1);
	}
	while (!is_done(channel_log_leave(region, SLEEPER, STR("kept.*"))))
		continue;
	_exit(0);
}

/* --- the supervisor --- */

static void
worker_fork(unsigned number)
{
	workers[number] = fork();
	if (workers[number] == -1)
		fail("fork: %s", strerror(errno));
	if (workers[number] == 0)
		worker_run(number);
}

static bool
tell_kept(struct str channel, void *arg)
{
	unsigned kept = kept_find(channel);

	if (kept == KEPT)
		return false;
	atomic_fetch_add(&board->tried[kept], 1);
	return true;
}

/* Drops what a reader left, and may die of it. */
__attribute__((noreturn)) static void
undertaker_run(unsigned number)
{
	struct reader r;

	alarm(STUCK_SECONDS);
	random_init(&r.random);
	doom(&r);
	if (below(&r, 3) == 0)
		doom_point = CRASH_DROPPING;
	doom_passes = 1 + below(&r, 3);
	while (!is_done(channel_log_reader_died(region, number, tell_kept,
	    NULL)))
		continue;
	_exit(0);
}

/* Returns how many undertakers it has cost. */
static uint64_t
supervisor_bury(unsigned number)
{
	uint64_t deaths = 0;
	int status;
	pid_t pid;

	for (;;) {
		pid = fork();
		if (pid == -1)
			fail("fork: %s", strerror(errno));
		if (pid == 0)
			undertaker_run(number);
		if (waitpid(pid, &status, 0) != pid)
			fail("waitpid: %s", strerror(errno));
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			return deaths;
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			fail("an undertaker ended with 0x%x",
			    (unsigned)status);
		deaths++;
	}
}

static void
region_check(const char *when)
{
	const char *wrong = channel_check(region);

	if (wrong != NULL)
		fail("%s: %s", when, wrong);
}

static void
supervisor_check_buried(unsigned number)
{
	struct channel_log_figures f;

	region_check("after a death");
	for (uint32_t row = 0; row <= ROWS; row++)
		if (channel_counts_at(region, number)[row] != 0)
			fail("a dead worker is a subscriber still");
	for (uint32_t i = 1; i <= MEMBERS; i++)
		if (channel_member_at(region, i)->is_used &&
		    channel_member_at(region, i)->reader == number)
			fail("a dead worker's client is a member still");
	channel_log_get_figures(region, &f);
	if (f.ring_used > RING || f.channels > ROWS || f.members > MEMBERS)
		fail("figures beyond the limits");
}

static unsigned
worker_find(pid_t pid)
{
	for (unsigned i = 0; i < WORKERS; i++)
		if (workers[i] == pid)
			return i;
	fail("reaped a stranger, pid %d", (int)pid);
}

/* Waits for the next death.  Returns how many there were, undertakers
 * counted, or 0 for a worker that has ended well. */
static uint64_t
supervisor_turn(void)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);
	unsigned number;
	uint64_t deaths;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	number = worker_find(pid);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail("worker %u ended with status 0x%x", number,
		    (unsigned)status);
	deaths = 1 + supervisor_bury(number);
	atomic_fetch_add(&board->buried, 1);
	supervisor_check_buried(number);
	worker_fork(number);
	return deaths;
}

static bool
immortals_moved(const uint64_t *since)
{
	for (unsigned i = 0; i < IMMORTALS; i++)
		if (atomic_load(&board->steps[i]) < since[i] + BATCH_STEPS)
			return false;
	return true;
}

/* `count` deaths, and as many more as it takes for the immortals to move. */
static uint64_t
supervisor_run_batch(uint64_t count)
{
	uint64_t since[IMMORTALS], deaths = 0;

	for (unsigned i = 0; i < IMMORTALS; i++)
		since[i] = atomic_load(&board->steps[i]);
	while (deaths < count || !immortals_moved(since))
		deaths += supervisor_turn();
	return deaths;
}

/* Every message was published once, and everybody has left. */
static void
end_check(void)
{
	struct channel_state st;

	region_check("at the end");
	for (unsigned i = 0; i < KEPT; i++) {
		uint64_t least = atomic_load(&board->published[i]);
		uint64_t most = atomic_load(&board->tried[i]);

		if (!channel_log_find(region, kept_name(i), &st))
			fail("a channel is gone");
		if (st.offset < least || st.offset > most)
			fail("channel %u: %llu messages, not %llu to %llu", i,
			    (unsigned long long)st.offset,
			    (unsigned long long)least,
			    (unsigned long long)most);
		if (st.subscribers != 1)
			fail("channel %u: %u subscribers are left", i,
			    st.subscribers);
	}
	if (atomic_load(&region->repairs) == 0)
		fail("no repairs, or not told");
}

/* A holder that is stopped costs one wait, then next to none, and all is well
 * when it is gone. */
static void
stopped_holder_check(void)
{
	const struct channel_message m = {.channel = STR("kept.a")};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)channel_region_lock(region);
		raise(SIGSTOP);
		_exit(0);
	}
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		fail("can't stop a process");
	for (int i = 0; i < 10; i++)
		if (channel_log_publish(region, &m, NULL) != -EBUSY)
			fail("published beside a holder that is stopped");
	if (channel_log_reader_died(region, 0, NULL, NULL) != -EBUSY)
		fail("buried beside a holder that is stopped");
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid: %s", strerror(errno));
	if (channel_log_publish(region, &m, NULL) != 0)
		fail("can't publish after a holder's death");
	region_check("after a holder that was stopped");
}

/* --- making, telling --- */

static void *
shared_memory(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	return p;
}

static void
region_make(void)
{
	const struct channel_log_limits limits = {.ring_bytes = RING,
		.channels = ROWS, .members = MEMBERS, .readers = READERS};
	struct channel_state st;
	struct error err;

	board = shared_memory(sizeof(*board));
	region = shared_memory(channel_log_bytes(&limits));
	if (channel_log_init(region, &limits, &err) == -1)
		fail("%s", err.text);
	for (unsigned i = 0; i < READERS; i++) {
		wake_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (wake_fds[i] == -1)
			fail("eventfd: %s", strerror(errno));
	}
	channel_log_set_wakes(region, wake_fds);
	for (unsigned i = 0; i < KEPT; i++)
		if (channel_log_join(region, KEEPER, kept_name(i), &st) != 0)
			fail("the keeper can't join");
}

static void
end_tell(uint64_t deaths)
{
	static const char *const names[CRASH_POINTS] = {
#define X(name) [CRASH_##name] = #name,
		CHANNEL_CRASH_POINTS(X)
#undef X
	};

	printf("%llu deaths, %llu repairs, %llu messages, %llu evicted, %llu "
	    "read, %llu laps, %llu times woken\n", (unsigned long long)deaths,
	    (unsigned long long)region->repairs,
	    (unsigned long long)region->messages,
	    (unsigned long long)region->evicted,
	    (unsigned long long)board->read, (unsigned long long)board->laps,
	    (unsigned long long)board->woken);
	printf("the slowest publish took %llu us, %llu found it busy\n",
	    (unsigned long long)board->slowest_ns / 1000,
	    (unsigned long long)board->busy);
	for (unsigned i = 0; i < CRASH_POINTS; i++) {
		printf("  %s: %llu\n", names[i],
		    (unsigned long long)board->deaths[i]);
		if (board->deaths[i] == 0)
			fail("nobody died at '%s'", names[i]);
	}
}

int
main(int argc, char **argv)
{
	uint64_t wanted = argc > 1 ? strtoull(argv[1], NULL, 10) : 1500;
	uint64_t deaths = 0;

	alarm(STUCK_SECONDS);
	region_make();
	sleeper = fork();
	if (sleeper == 0)
		sleeper_run();
	for (unsigned i = 0; i < WORKERS; i++)
		worker_fork(i);
	while (deaths < wanted)
		deaths += supervisor_run_batch(BATCH);
	atomic_store(&board->calm, true);
	channel_log_wake_all(region);
	for (unsigned left = WORKERS + 1; left > 0;) {
		uint64_t more = supervisor_turn();

		/* Doomed before it could see the calm. */
		deaths += more;
		left -= more == 0;
	}
	/* What calm workers have left behind is as a dead one's. */
	for (unsigned i = 0; i < WORKERS; i++)
		(void)supervisor_bury(i);
	end_check();
	stopped_holder_check();
	end_tell(deaths);
	return 0;
}
