/* SPDX-License-Identifier: MIT */
/*
 * All handlers, by their kind.  A new one is a file beside this one, a kind in
 * config/config.h, and two lines here.
 *
 * Context: constant.
 */
#include "server/handler.h"

extern const struct handler handler_respond;
extern const struct handler handler_redirect;
extern const struct handler handler_static;
extern const struct handler handler_echo;
extern const struct handler handler_health;
extern const struct handler handler_ready;
extern const struct handler handler_metrics;
extern const struct handler handler_stats;
extern const struct handler handler_openapi;
extern const struct handler handler_channel;
extern const struct handler handler_system_stream;
extern const struct handler handler_module;

const struct handler *const handler_table[HANDLER_KIND_COUNT] = {
	[HANDLER_RESPOND] = &handler_respond,
	[HANDLER_REDIRECT] = &handler_redirect,
	[HANDLER_STATIC] = &handler_static,
	[HANDLER_ECHO] = &handler_echo,
	[HANDLER_HEALTH] = &handler_health,
	[HANDLER_READY] = &handler_ready,
	[HANDLER_METRICS] = &handler_metrics,
	[HANDLER_STATS] = &handler_stats,
	[HANDLER_OPENAPI] = &handler_openapi,
	[HANDLER_CHANNEL] = &handler_channel,
	[HANDLER_SYSTEM_STREAM] = &handler_system_stream,
	[HANDLER_MODULE] = &handler_module,
};
