/* SPDX-License-Identifier: MIT */
/*
 * The request methods that routes can name (RFC 9110 9, RFC 5789): the table
 * behind configuration, router and `Allow`.
 */
#ifndef CORELANE_CONFIG_METHOD_H
#define CORELANE_CONFIG_METHOD_H

#define METHODS(X)                                                             \
	X(GET)                                                                 \
	X(HEAD)                                                                \
	X(POST)                                                                \
	X(PUT)                                                                 \
	X(DELETE)                                                              \
	X(PATCH)                                                               \
	X(OPTIONS)

enum method {
#define X(name) METHOD_##name,
	METHODS(X)
#undef X
	METHOD_COUNT,
	METHOD_OTHER = METHOD_COUNT	/* known to HTTP, routed nowhere: 501 */
};

/* A set of methods is an unsigned with these bits. */
#define METHOD_BIT(m) (1u << (m))
#define METHOD_ALL (METHOD_BIT(METHOD_COUNT) - 1)

#endif
