/* SPDX-License-Identifier: MIT */
/* common/stats: sums, and what the four printers make of them. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/stats.h"
#include "tests/unit/unit.h"

static struct stats_view view;
static struct buf out;

/* Two workers of one number in two generations, and some that are gone. */
static int
setup(void **state)
{
	static const struct stats_worker workers[] = {
		{.index = 0, .generation = 1, .pid = 101, .cpu = -1,
		    .state = WORKER_DRAINING, .restarts = 0,
		    .started_real_ms = 1700000000123},
		{.index = 0, .generation = 2, .pid = 102, .cpu = 3,
		    .state = WORKER_SERVING, .restarts = 4,
		    .started_real_ms = 1700000090123},
	};

	(void)state;
	memset(&view, 0, sizeof(view));
	view.supervisor_pid = 100;
	view.generation = 2;
	view.started_real_ms = 1700000000123;
	view.uptime_ms = 100000;
	view.reloads = 1;
	view.reload_ok = true;
	view.reload_real_ms = 1700000090000;
	view.workers_wanted = 1;
	view.worker_count = UNIT_COUNT(workers);
	view.workers = malloc(sizeof(workers));
	if (view.workers == NULL)
		return -1;
	memcpy(view.workers, workers, sizeof(workers));
	for (size_t i = 0; i < view.worker_count; i++) {
		struct stats *s = &view.workers[i].stats;

		s->requests = 1000 * (i + 1);
		s->responses_5xx = 10;
		s->connections_active = 5 + i;
		histogram_add(&s->request_time, 240, (uint32_t)s->requests);
		stats_merge(&view.total, s);
	}
	view.total.requests += 7000;	/* of the retired */
	view.total.bytes_out = UINT64_MAX;
	buf_init(&out, 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_done(&out);
	stats_view_done(&view);
	return view.workers == NULL ? 0 : -1;
}

static void
assert_has(const char *text)
{
	assert_false(buf_failed(&out));
	if (strstr(out.p, text) == NULL)
		fail_msg("no '%s' in:\n%s", text, out.p);
}

static void
assert_has_not(const char *text)
{
	if (strstr(out.p, text) != NULL)
		fail_msg("'%s' in:\n%s", text, out.p);
}

static void
retiring_leaves_the_gauges_out(void **state)
{
	const struct stats *w = &view.workers[0].stats;
	static struct stats sum;

	(void)state;
	memset(&sum, 0, sizeof(sum));
	stats_merge(&sum, w);
	assert_int_equal(sum.connections_active, 5);
	stats_retire(&sum, w);
	assert_int_equal(sum.connections_active, 5);
	assert_int_equal(sum.requests, 2000);
	assert_int_equal(sum.request_time.count, 2000);
}

static void
prometheus_prints_totals_and_workers(void **state)
{
	(void)state;
	stats_print_prometheus(&view, false, &out);
	assert_has("# TYPE corelane_requests_total counter\n"
	    "corelane_requests_total 10000\n");
	assert_has("corelane_responses_total{code=\"5xx\"} 20\n");
	assert_has("corelane_sent_bytes_total 18446744073709551615\n");
	assert_has("corelane_worker_requests_total{worker=\"0\","
	    "generation=\"2\"} 2000\n");
	assert_has("corelane_connections_open{worker=\"0\",generation=\"1\","
	    "protocol=\"http\"} 5\n");
	assert_has("\ncorelane_request_duration_seconds_bucket{le=\"0.0001\"}"
	    " 0\n");
	assert_has("\ncorelane_request_duration_seconds_bucket{le=\"0.00025\"}"
	    " 3000\n");
	assert_has("\ncorelane_request_duration_seconds_bucket{le=\"+Inf\"}"
	    " 3000\ncorelane_request_duration_seconds_sum 0.720000\n"
	    "corelane_request_duration_seconds_count 3000\n");
	assert_has("\ncorelane_start_time_seconds 1700000000.123\n");
	assert_has("\ncorelane_workers{state=\"serving\"} 1\n");
	assert_has("\ncorelane_worker_restarts_total{worker=\"0\"} 4\n");
	assert_has_not("corelane_worker_restarts_total{worker=\"0\"} 0\n");
	assert_has("\ncorelane_reloads_total 1\n");
	assert_has("corelane_config_last_reload_success_timestamp_seconds "
	    "1700000090.000\n");
	assert_has("# TYPE corelane_build_info gauge\n");
	assert_has_not("# EOF");
}

static void
openmetrics_names_families_without_suffix(void **state)
{
	(void)state;
	stats_print_prometheus(&view, true, &out);
	assert_has("# TYPE corelane_requests counter\n"
	    "corelane_requests_total 10000\n");
	assert_has("# TYPE corelane_build info\ncorelane_build_info{");
	assert_true(str_has_suffix(buf_str(&out), STR("\n# EOF\n")));
}

/* Lines of a family stand together, under one HELP and one TYPE, and no series
 * appears twice: what a scraper refuses. */
static void
no_family_or_series_appears_twice(void **state)
{
	struct str rest, a;

	(void)state;
	for (int openmetrics = 0; openmetrics < 2; openmetrics++) {
		buf_clear(&out);
		stats_print_prometheus(&view, openmetrics, &out);
		rest = buf_str(&out);
		while (str_cut(&rest, '\n', &a)) {
			struct str others = rest, b;
			size_t n = a.len;

			/* "# TYPE name", or a series without its value. */
			while (n > 0 && a.p[n - 1] != ' ')
				n--;
			if (n == 0 || str_has_prefix(a, STR("# HELP")))
				continue;
			a.len = n;
			while (str_cut(&others, '\n', &b)) {
				if (str_has_prefix(b, a))
					fail_msg("twice: %.*s", STR_FMT(b));
			}
		}
	}
}

static void
json_is_valid_and_exact(void **state)
{
	cJSON *json, *total, *latency;

	(void)state;
	stats_print_json(&view, &out);
	assert_has("\"bytes_out\":18446744073709551615,");
	json = cJSON_ParseWithOpts(out.p, NULL, true);
	assert_non_null(json);
	total = cJSON_GetObjectItem(json, "total");
	latency = cJSON_GetObjectItem(total, "latency");
	assert_int_equal(cJSON_GetObjectItem(total, "requests")->valueint,
	    10000);
	assert_int_equal(cJSON_GetObjectItem(latency, "p99_us")->valueint,
	    240);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json,
	    "workers")), 2);
	cJSON_Delete(json);
	assert_has("\"error_percent\":0.200,\"mean_ms\":0.240,"
	    "\"requests_per_second\":100.000}");
	assert_has("\"started\":\"2023-11-14T22:13:20.123Z\"");
	assert_has("\"uptime_ms\":10000,\"heartbeat");
}

static void
the_log_of_channels_prints(void **state)
{
	(void)state;
	view.channels = (struct channel_log_figures){
		.messages = 1,
		.bytes = 2,
		.evicted = 3,
		.repairs = 4,
		.ring_bytes = 1u << 20,
		.ring_used = 6,
		.channels = 7,
		.channels_max = 8,
		.members = 9,
	};
	stats_print_json(&view, &out);
	assert_has("\"channels\":{\"count\":7,\"count_max\":8,\"members\":9,"
	    "\"messages\":1,\"message_bytes\":2,\"evicted\":3,"
	    "\"log_bytes\":1048576,\"log_used_bytes\":6,\"repairs\":4}}");
	stats_print_table(&view, &out);
	assert_has("channels    7 of 8, 1 messages, log 6B of 1.0MiB\n");
	stats_print_prometheus(&view, false, &out);
	assert_has("\ncorelane_channels 7\n");
	assert_has("\ncorelane_channel_log_evicted_total 3\n");
	assert_has("\ncorelane_channel_log_repairs_total 4\n");
}

static void
an_empty_server_prints_too(void **state)
{
	cJSON *json;

	(void)state;
	free(view.workers);
	memset(&view, 0, sizeof(view));
	stats_print_json(&view, &out);
	json = cJSON_ParseWithOpts(out.p, NULL, true);
	assert_non_null(json);
	cJSON_Delete(json);
	stats_print_table(&view, &out);
	assert_has("latency     p50 -, p90 -, p99 -, max -\n");
	stats_print_prometheus(&view, true, &out);
	assert_false(buf_failed(&out));
}

static void
the_table_has_a_line_per_worker(void **state)
{
	(void)state;
	stats_print_table(&view, &out);
	assert_has("pid 100, up 1m40s, generation 2\n");
	assert_has("workers     1 of 1 serving");
	assert_has("the last one succeeded 10s ago\n");
	assert_has("requests    10.0k (100.0/s)");
	assert_has(" 101 draining     -   1m40s        0       5     1.0k");
	assert_has(" 102 serving      3     10s        4       6     2.0k");
	assert_has("16777216.0TiB out\n");
}

static struct metric_names names;

/* A counter and a histogram, of one live worker and of a retired one. */
static void
count_for_modules(void)
{
	struct stats *live = &view.workers[1].stats;
	struct stats *gone = calloc(1, sizeof(*gone));
	int counter, histogram;

	assert_non_null(gone);
	memset(&names, 0, sizeof(names));
	counter = metric_names_claim(&names, METRIC_COUNTER, STR("api"),
	    STR("orders_total"), STR("orders \"taken\" \\ lost"));
	assert_int_equal(counter, 0);
	histogram = metric_names_claim(&names, METRIC_HISTOGRAM, STR("api"),
	    STR("lookup"), STR("a lookup"));
	assert_int_equal(histogram, 0);
	view.names = &names;
	live->user_counter[0] = 4;
	gone->user_counter[0] = 38;
	live->user_histogram_count = gone->user_histogram_count = 1;
	histogram_add(&live->user_histogram[0], 300, 2);
	histogram_add(&gone->user_histogram[0], 2000000, 1);
	stats_merge(&view.total, live);
	stats_retire(&view.total, gone);
	free(gone);
}

static void
modules_metrics_are_printed_for_prometheus(void **state)
{
	(void)state;
	count_for_modules();
	stats_print_prometheus(&view, false, &out);
	assert_has("# HELP corelane_api_orders_total "
	    "orders \"taken\" \\\\ lost\n"
	    "# TYPE corelane_api_orders_total counter\n"
	    "corelane_api_orders_total 42\n");
	assert_has("# TYPE corelane_api_lookup histogram\n");
	assert_has("corelane_api_lookup_bucket{le=\"0.0005\"} 2\n");
	assert_has("corelane_api_lookup_bucket{le=\"+Inf\"} 3\n"
	    "corelane_api_lookup_sum 2.000600\n"
	    "corelane_api_lookup_count 3\n");
	buf_clear(&out);
	stats_print_prometheus(&view, true, &out);
	assert_has("# HELP corelane_api_orders "
	    "orders \\\"taken\\\" \\\\ lost\n"
	    "# TYPE corelane_api_orders counter\n"
	    "corelane_api_orders_total 42\n");
}

static void
modules_metrics_are_printed_as_json(void **state)
{
	const cJSON *total, *worker;
	cJSON *root;

	(void)state;
	count_for_modules();
	stats_print_json(&view, &out);
	root = cJSON_ParseWithLength(out.p, out.len);
	assert_non_null(root);
	total = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "total"),
	    "modules");
	worker = cJSON_GetObjectItem(cJSON_GetArrayItem(
	    cJSON_GetObjectItem(root, "workers"), 1), "modules");
	assert_int_equal(cJSON_GetObjectItem(total,
	    "api_orders_total")->valueint, 42);
	assert_int_equal(cJSON_GetObjectItem(worker,
	    "api_orders_total")->valueint, 4);
	assert_int_equal(cJSON_GetObjectItem(
	    cJSON_GetObjectItem(total, "api_lookup"), "count")
	    ->valueint,
	    3);
	cJSON_Delete(root);
}

/* A worker that dies may have written over its own counts. */
static void
a_count_of_histograms_out_of_bounds_does_no_harm(void **state)
{
	struct stats *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	b->user_histogram_count = UINT64_MAX;
	assert_int_equal(stats_bytes(b), sizeof(*b));
	stats_copy(a, b);
	stats_merge(a, b);
	assert_int_equal(stats_user_histograms(a), METRIC_HISTOGRAMS);
	free(a);
	free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(retiring_leaves_the_gauges_out),
		TEST(prometheus_prints_totals_and_workers),
		TEST(openmetrics_names_families_without_suffix),
		TEST(modules_metrics_are_printed_for_prometheus),
		TEST(modules_metrics_are_printed_as_json),
		TEST(a_count_of_histograms_out_of_bounds_does_no_harm),
		TEST(no_family_or_series_appears_twice),
		TEST(json_is_valid_and_exact),
		TEST(the_log_of_channels_prints),
		TEST(an_empty_server_prints_too),
		TEST(the_table_has_a_line_per_worker),
	};

	return UNIT_RUN(tests);
}
