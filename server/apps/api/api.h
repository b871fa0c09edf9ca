/* SPDX-License-Identifier: MIT */
/*
 * The inside of the api module: the state of a worker, and what its files lend
 * each other.
 *
 * Context: a worker's loop.
 */
#ifndef CORELANE_APPS_API_H
#define CORELANE_APPS_API_H

#include <corelane/corelane.h>

#include "../random.h"
#include "../schema.h"

/* lane_state(). */
struct api {
	struct schema schema;
	struct random random;
	double failure_rate;	/* 0 to 1: of /api/retry */
	unsigned retry_ms;	/* its first wait */
	char *monitor;		/* who is told of crashes; or NULL */
	struct lane_counter *users_created, *posts_created;
	struct lane_counter *retries, *crashes;
	struct lane_histogram *performance_us;
};

/* routes.c */
extern const struct lane_route api_routes[];

/* store.c */
void store_init(struct schema *s);
/* lane_sql(), whose failures are the database's to a client, and the answer for
 * a statement that has failed. */
int store_run(
    struct lane_ctx *c, const struct lane_sql_args *args) LANE_CHECKED;
#define store_sql(c, ...)                                                      \
	store_run((c), &(struct lane_sql_args){__VA_ARGS__})
int store_fail(struct lane_ctx *c, const struct lane_rows *rows) LANE_CHECKED;

/* auth.c: 0 where the token permits it ("write"), or what to return. */
int auth_check(struct lane_ctx *c, const char *permission) LANE_CHECKED;

/* errors.c */
#define CODE_AUTH "AUTH_ERROR"
#define CODE_DATABASE "DB_ERROR"
#define CODE_INTERNAL "INTERNAL_ERROR"
#define CODE_VALIDATION "VALIDATION_ERROR"
/* Says of which kind an error is that the request will end with; the last one
 * counts. */
int error_mark(struct lane_ctx *c, const char *code) LANE_CHECKED;
int error_shape(struct lane_ctx *c, const struct lane_problem *problem);

/* crash.c: on_crash_report. */
int crash_tell(struct lane_ctx *c, const struct lane_crash *crash);

/* users.c */
int user_list_v1(struct lane_ctx *c);
int user_list_v2(struct lane_ctx *c);
int user_get_v1(struct lane_ctx *c);
int user_get_v2(struct lane_ctx *c);
int user_create_v1(struct lane_ctx *c);
int user_create_v2(struct lane_ctx *c);
int user_replace_v1(struct lane_ctx *c);
int user_replace_v2(struct lane_ctx *c);
int user_delete(struct lane_ctx *c);

/* posts.c */
int post_list_v1(struct lane_ctx *c);
int post_list_v2(struct lane_ctx *c);
int post_get_v1(struct lane_ctx *c);
int post_get_v2(struct lane_ctx *c);
int post_create_v1(struct lane_ctx *c);
int post_create_v2(struct lane_ctx *c);
int post_replace_v1(struct lane_ctx *c);
int post_replace_v2(struct lane_ctx *c);
int post_delete(struct lane_ctx *c);

/* performance.c, retry.c, health.c */
int performance(struct lane_ctx *c);
int retry(struct lane_ctx *c);
int health(struct lane_ctx *c);
int stats(struct lane_ctx *c);

/* tracking.c: middleware. */
void tracking_after(struct lane_ctx *c);
int logging_before(struct lane_ctx *c);
void logging_after(struct lane_ctx *c);

#endif
