/* SPDX-License-Identifier: MIT */
/*
 * Names and the hashes of their passwords: a constant table, of a configuration
 * or of a file like htpasswd's.
 *
 *	alice:$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy
 *	bob:$y$j9T$...
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_USERS_H
#define CORELANE_SERVER_USERS_H

#include "common/error.h"
#include "common/str.h"

struct user {
	char *name;	/* owned, the hash behind it */
	const char *hash;
};

struct users {
	struct user *user;	/* owned, by name */
	size_t count, cap;
};

void users_init(struct users *users);
void users_done(struct users *users);

/* Adds one; refuses a hash that isn't worth its name, and one of a kind that
 * this machine doesn't know.  Texts are copied. */
int users_add(struct users *users, struct str name, struct str hash,
    struct error *err) __attribute__((warn_unused_result));

/* Adds the lines of a file. */
int users_add_lines(struct users *users, struct str text, struct error *err)
    __attribute__((warn_unused_result));

/* To be called after the last one: sorts; refuses a name that is there twice.
 */
int users_finish(struct users *users, struct error *err)
    __attribute__((warn_unused_result));

/* The hash of a user, or NULL. */
const char *users_find(const struct users *users, struct str name);

#endif
