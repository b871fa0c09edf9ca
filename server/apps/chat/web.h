/* SPDX-License-Identifier: MIT */
/*
 * The page's files, as they are built in: a table that ends with a NULL name.
 *
 * Context: constant.
 */
#ifndef CORELANE_APPS_CHAT_WEB_H
#define CORELANE_APPS_CHAT_WEB_H

#include <stddef.h>

struct embedded {
	const char *name;
	const char *data;
	size_t len;
};

extern const struct embedded chat_web[];

#endif
