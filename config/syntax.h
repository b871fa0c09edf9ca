/* SPDX-License-Identifier: MIT */
/*
 * What texts of a configuration must look like: the check functions of the
 * table.  Each says what the text must be, or NULL when it is right.
 *
 * Context: pure functions; internal to config/.
 */
#ifndef CORELANE_CONFIG_SYNTAX_H
#define CORELANE_CONFIG_SYNTAX_H

#include "common/str.h"

const char *syntax_not_empty(struct str s);
const char *syntax_field_name(struct str s);	/* RFC 9110 5.1 */
const char *syntax_field_value(struct str s);	/* RFC 9110 5.5 */
const char *syntax_realm(struct str s);		/* RFC 9110 11.5 */
const char *syntax_user(struct str s);		/* RFC 7617 2 */
const char *syntax_method(struct str s);	/* RFC 9110 9.1 */
const char *syntax_media_type(struct str s);	/* RFC 9110 8.3.1 */
const char *syntax_media_range(struct str s);	/* also "text" + "/" + "*" */
const char *syntax_extension(struct str s);	/* ".html" */
const char *syntax_route_path(struct str s);
const char *syntax_module_name(struct str s); /* "api" */
const char *syntax_module_member(struct str s); /* "api.users" */
const char *syntax_prefix(struct str s); /* "" or "/api" */
const char *syntax_database_name(struct str s);
const char *syntax_database_url(struct str s);
const char *syntax_origin(struct str s); /* "https://a.example", "*" */
const char *syntax_channel_pattern(struct str s); /* "room.1", "room.*" */
const char *syntax_channel_permit(struct str s); /* "anyone", "a.hook" */
const char *syntax_redis_url(struct str s);

/* A response field that a configuration may set: a name, and not one that
 * belongs to the message's framing or to the connection. */
const char *syntax_response_field(struct str s);

#endif
