/* SPDX-License-Identifier: MIT */
/* common/recorder, workers/autopsy: what is written, and read after death. */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "workers/autopsy.h"
#include "workers/recorder.h"

#define MS UINT64_C(1000000)

static struct recorders *recorders;
static struct recorder *rec;
static struct autopsy autopsy;
static char text[512];

static int
setup(void **state)
{
	struct error err;

	(void)state;
	recorders = recorders_new(&err);
	if (recorders == NULL)
		return -1;
	rec = recorders_get(recorders, 3);
	rec->loop_tid = 1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	recorders_free(recorders);
	return 0;
}

static uint64_t
begin(const char *target, const char *id, uint64_t now_ns)
{
	return recorder_begin(rec,
	    &(struct recorder_what){.method = STR("GET"),
		.target = str_of(target),
		.id = str_of(id),
		.label = 1},
	    now_ns);
}

static const char *
describe(uint64_t now_ns)
{
	autopsy_read(&autopsy, rec, now_ns);
	autopsy_describe(&autopsy, text, sizeof(text));
	return text;
}

static void
nothing_in_flight_is_idle(void **state)
{
	uint64_t mark;

	(void)state;
	assert_string_equal(describe(0), " while idle");
	mark = begin("/x", NULL, MS);
	assert_true(recorder_enter(rec, mark, RECORD_HANDLER, MS));
	recorder_end(rec, mark);
	assert_string_equal(describe(2 * MS), " while idle");
}

static void
what_comes_again_is_not_written_again(void **state)
{
	struct recorder_what what = {.method = STR("GET"),
	    .target = STR("/same"), .id = STR("one"), .text = 7};
	uint64_t mark;

	(void)state;
	assert_int_equal(
	    recorder_begin_again(rec, 7, RECORD_HANDLER, MS), 0);
	mark = recorder_begin(rec, &what, MS);
	recorder_end(rec, mark);
	assert_int_equal(
	    recorder_begin_again(rec, 8, RECORD_HANDLER, MS), 0);
	assert_int_equal(
	    recorder_begin_again(rec, 0, RECORD_HANDLER, MS), 0);
	mark = recorder_begin_again(rec, 7, RECORD_HANDLER, MS);
	assert_int_not_equal(mark, 0);
	assert_non_null(strstr(describe(2 * MS), "GET /same"));
	assert_null(strstr(text, "one"));
	recorder_end(rec, mark);
	assert_string_equal(describe(2 * MS), " while idle");
	/* Another text in its place. */
	recorder_end(rec, begin("/other", NULL, MS));
	assert_int_equal(
	    recorder_begin_again(rec, 7, RECORD_HANDLER, MS), 0);
}

static void
what_the_loop_runs_is_guilty(void **state)
{
	uint64_t waits, runs;

	(void)state;
	assert_int_equal(
	    recorder_add_label(rec, STR("/users/{id}"), STR("api.user")), 1);
	waits = begin("/waits", NULL, 1 * MS);
	assert_true(recorder_enter(rec, waits, RECORD_HANDLER, 1 * MS));
	recorder_leave(rec);
	runs = begin("/users/7", "4be1", 10 * MS);
	assert_true(recorder_enter(rec, runs, RECORD_HANDLER, 10 * MS));
	assert_string_equal(describe(22 * MS),
	    " in GET /users/7 (request 4be1, handler api.user, 12 ms in)");
	assert_string_equal(autopsy.route, "/users/{id}");
	assert_int_equal(autopsy.others, 1);
	recorder_leave(rec);
	assert_string_equal(describe(31 * MS),
	    " while GET /waits waited (handler api.user, 30 ms)");
}

static void
an_id_may_come_late(void **state)
{
	uint64_t mark = begin("/x", NULL, 0);

	(void)state;
	assert_true(recorder_enter(rec, mark, RECORD_MIDDLEWARE, 0));
	recorder_set_id(rec, mark, STR("late"));
	assert_string_equal(describe(0),
	    " in GET /x (request late, in its middleware, 0 ms in)");
}

static void
requests_answered_at_once_use_one_record(void **state)
{
	uint64_t mark;

	(void)state;
	for (int i = 0; i < 100; i++) {
		mark = begin("/x", NULL, 1);
		assert_true(recorder_enter(rec, mark, RECORD_HANDLER, 1));
		recorder_end(rec, mark);
	}
	for (int i = 1; i < RECORDER_LOOP_RECORDS; i++)
		assert_int_equal(rec->loop[i].mark, 0);
}

/* A ninth takes the place of one that waits, which is begun again when the
 * loop comes back to it. */
static void
a_record_that_was_overwritten_is_known_by_its_mark(void **state)
{
	uint64_t mark[RECORDER_LOOP_RECORDS + 1];
	unsigned lost = 0;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(mark); i++) {
		mark[i] = begin("/x", NULL, i + 1);
		assert_true(recorder_enter(rec, mark[i], RECORD_HANDLER, 1));
		recorder_leave(rec);
	}
	for (size_t i = 0; i < UNIT_COUNT(mark); i++) {
		lost += !recorder_enter(rec, mark[i], RECORD_HANDLER, 1);
		recorder_leave(rec);
		recorder_end(rec, mark[i]);
	}
	assert_int_equal(lost, 1);
	assert_string_equal(describe(0), " while idle");
}

static void
what_clients_send_is_made_printable_and_cut(void **state)
{
	char target[300];

	(void)state;
	memset(target, 'a', sizeof(target));
	memcpy(target, "/\033[31m\n\r\x7f\xff\0", 11);
	autopsy = (struct autopsy){0};
	(void)recorder_enter(rec,
	    recorder_begin(rec,
		&(struct recorder_what){.method = STR("GET"),
		    .target = str_from(target, sizeof(target))},
		0),
	    RECORD_HANDLER, 0);
	describe(0);
	assert_int_equal(strlen(autopsy.line), RECORDER_LINE_BYTES);
	assert_memory_equal(autopsy.line, "GET /?[31m?????a", 16);
}

static void
the_thread_that_died_is_guilty(void **state)
{
	struct recorder_note note;
	struct recorder_record *mine;
	uint64_t mark = begin("/loop", NULL, 1);

	(void)state;
	assert_true(recorder_enter(rec, mark, RECORD_HANDLER, 1));
	recorder_note_fill(&note,
	    &(struct recorder_what){
		.method = STR("GET"), .target = STR("/pool")});
	mine = recorder_thread_begin(rec, &note, 5 * MS);
	assert_non_null(mine);
	/* SIGKILL tells nothing: the loop is likelier. */
	assert_string_equal(describe(5 * MS), " in GET /loop (4 ms in)");
	rec->crash.code = SEGV_MAPERR;
	rec->crash.time_ns = 8 * MS;
	rec->crash.fault_address = 0x10;
	atomic_store(&rec->crash.tid, (uint32_t)gettid());
	atomic_store(&rec->crash.signo, SIGSEGV);
	assert_string_equal(
	    describe(100 * MS), " at 0x10 in GET /pool (on the pool, 3 ms in)");
	/* The loop died, not the pool. */
	atomic_store(&rec->crash.tid, rec->loop_tid);
	assert_string_equal(
	    describe(100 * MS), " at 0x10 in GET /loop (7 ms in)");
	recorder_end(rec, mark);
	assert_string_equal(describe(100 * MS), " at 0x10 while idle");
	recorder_thread_end(mine);
}

static void
a_thread_keeps_its_record(void **state)
{
	struct recorder_note note = {0};
	struct recorder_record *a, *b;

	(void)state;
	a = recorder_thread_begin(rec, &note, 1);
	recorder_thread_end(a);
	b = recorder_thread_begin(rec, &note, 2);
	recorder_thread_end(b);
	assert_ptr_equal(a, b);
	assert_int_equal(atomic_load(&rec->thread_count), 1);
	recorder_thread_end(NULL);
}

/* A worker that writes over its own recorder must not take the supervisor
 * along. */
static void
garbage_is_read_without_harm(void **state)
{
	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		memset(rec, byte, sizeof(*rec));
		describe(UINT64_MAX);
		autopsy_log(&autopsy, rec, "worker 3");
		autopsy_describe_stall(&autopsy, text, sizeof(text));
	}
	recorders_clear(recorders, 3);
	assert_string_equal(describe(0), " while idle");
}

static void
a_stall_names_what_holds_the_loop(void **state)
{
	uint64_t mark = begin("/slow", "7", 100 * MS);

	(void)state;
	assert_true(recorder_enter(rec, mark, RECORD_HANDLER, 200 * MS));
	autopsy_read(&autopsy, rec, 5400 * MS);
	autopsy_describe_stall(&autopsy, text, sizeof(text));
	assert_string_equal(
	    text, ": held the loop for 5.2 s in GET /slow (request 7)");
	recorder_leave(rec);
	autopsy_read(&autopsy, rec, 5400 * MS);
	autopsy_describe_stall(&autopsy, text, sizeof(text));
	assert_string_equal(text, "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(nothing_in_flight_is_idle),
	    TEST(what_comes_again_is_not_written_again),
	    TEST(what_the_loop_runs_is_guilty),
	    TEST(an_id_may_come_late),
	    TEST(requests_answered_at_once_use_one_record),
	    TEST(a_record_that_was_overwritten_is_known_by_its_mark),
	    TEST(what_clients_send_is_made_printable_and_cut),
	    TEST(the_thread_that_died_is_guilty),
	    TEST(a_thread_keeps_its_record),
	    TEST(garbage_is_read_without_harm),
	    TEST(a_stall_names_what_holds_the_loop),
	};

	return UNIT_RUN(tests);
}
