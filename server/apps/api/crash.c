/* SPDX-License-Identifier: MIT */
/*
 * When a worker has died: the one that replaces it logs what is known, counts,
 * and tells the monitor, if the configuration names one.
 *
 * Owns nothing.  Context: a background task of a worker's loop.
 */
#include <errno.h>

#include "api.h"

/* The monitor's answer, or that there was none. */
static int
crash_on_told(
    struct lane_ctx *c, void *state, const struct lane_fetched *answer)
{
	if (answer->status < 200 || answer->status > 299)
		lane_log(c, LANE_WARN, "the monitor wasn't told of a crash: %s",
		    answer->error != NULL ? answer->error : "it refused");
	return 200;
}

static struct lane_str
crash_text(struct lane_ctx *c, const struct lane_crash *crash)
{
	struct lane_json_writer *w = lane_json_new(c);

	lane_json_object(w);
	lane_json_add_int(w, "worker", crash->worker);
	lane_json_add_int(w, "pid", crash->pid);
	lane_json_add_int(w, "signal", crash->signal);
	lane_json_add_int(w, "exit_code", crash->exit_code);
	lane_json_add_int(w, "timestamp", crash->time_s);
	lane_json_add_str(w, "request", crash->request);
	lane_json_add_str(w, "request_id", crash->request_id);
	lane_json_add_str(w, "phase", crash->phase);
	lane_json_end(w);
	return lane_json_text(w);
}

int
crash_tell(struct lane_ctx *c, const struct lane_crash *crash)
{
	static const char *const headers[] = {
	    "Content-Type: application/json", NULL};
	const struct api *api = lane_state(c);
	struct lane_str text = crash_text(c, crash);

	if (text.p == NULL)
		return -ENOMEM;
	lane_count(api->crashes, 1);
	lane_log(c, LANE_ERROR, "a worker died: %.*s", LANE_FMT(text));
	if (api->monitor == NULL)
		return 200;
	return lane_fetch(c, &(struct lane_fetch_args){.url = api->monitor,
	    .headers = headers, .body = text, .done = crash_on_told});
}
