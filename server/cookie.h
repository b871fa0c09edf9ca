/* SPDX-License-Identifier: MIT */
/*
 * Cookies (RFC 6265, and the attributes of its successor): read from what a
 * client sends, written for it to keep.
 *
 * Context: pure; one thread per arena.
 */
#ifndef CORELANE_SERVER_COOKIE_H
#define CORELANE_SERVER_COOKIE_H

#include <corelane/response.h>

#include "common/arena.h"
#include "common/str.h"

/* The value of the first cookie of that name in a Cookie field, quotes around
 * it taken off: a slice of `field`, .p NULL where there is none. */
struct str cookie_find(struct str field, struct str name);

/*
 * The value of a Set-Cookie field, in the arena.  Returns 0; -EINVAL for bytes
 * that a cookie can't have, and for what no browser would keep: SameSite=None
 * or Partitioned without Secure, a name of "__Host-" or "__Secure-" without
 * what that promises; -ENOMEM.
 */
int cookie_format(const struct lane_cookie *cookie, struct arena *a,
    struct str *ret_value) __attribute__((warn_unused_result));

#endif
