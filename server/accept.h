/* SPDX-License-Identifier: MIT */
/*
 * What a client accepts: lists with quality values (RFC 9110 12.4.2), as in
 * Accept and Accept-Encoding.
 *
 * Context: pure functions.
 */
#ifndef CORELANE_SERVER_ACCEPT_H
#define CORELANE_SERVER_ACCEPT_H

#include "common/str.h"

/*
 * The weight that the list gives to `name`, ASCII case and parameters other
 * than q aside, in thousandths: 0 to 1000; -1 where it doesn't name it.  Of
 * several the highest; a malformed weight counts as 0.
 * Wildcards are names like others: ask for "*" where it matters.
 */
int accept_quality(struct str list, struct str name);

#endif
