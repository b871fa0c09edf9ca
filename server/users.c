/* SPDX-License-Identifier: MIT */
/*
 * Users: read, checked, found.
 *
 * Owns: copies of names and hashes.
 * Invariant: after users_finish() names are in order, and each is there once.
 * Here: which hashes are taken.  Not here: checking passwords
 * (middleware/basic_auth.c).
 * Context: the loop's thread.
 */
#include "server/users.h"

#include <crypt.h>
#include <stdlib.h>

#define BCRYPT_BYTES 60
#define HASH_BYTES_MIN 43	/* 256 bits, six in a character */

/* What a password that was stolen with its hash holds against. */
static const struct str users_strong[] = {
	STR_INIT("$2b$"),	/* bcrypt */
	STR_INIT("$2y$"),	/* the same, by htpasswd's name */
	STR_INIT("$2a$"),
	STR_INIT("$y$"),	/* yescrypt */
	STR_INIT("$gy$"),	/* the same, with GOST */
	STR_INIT("$7$"),	/* scrypt */
	STR_INIT("$6$"),	/* sha512crypt */
};

void
users_init(struct users *users)
{
	memset(users, 0, sizeof(*users));
}

void
users_done(struct users *users)
{
	size_t i;

	for (i = 0; i < users->count; i++)
		free(users->user[i].name);
	free(users->user);
	users_init(users);
}

/* Whether the hash itself is there, behind method and salt.  Nothing less than
 * hashing would tell more, and takes a tenth of a second for each user. */
static bool
hash_is_whole(const char *hash)
{
	const char *last = strrchr(hash, '$');

	if (hash[1] == '2')
		return strlen(hash) == BCRYPT_BYTES;
	return last - hash > 3 && strlen(last + 1) >= HASH_BYTES_MIN;
}

static int
users_check_hash(struct str name, const char *hash, struct error *err)
{
	size_t i, count = sizeof(users_strong) / sizeof(users_strong[0]);

	for (i = 0; i < count; i++)
		if (str_has_prefix(str_of(hash), users_strong[i]))
			break;
	if (i == count)
		return error_set(err, ERROR_INVALID, "the password of '%.*s' "
		    "must be a bcrypt, yescrypt, scrypt or sha512crypt hash: "
		    "make one with 'mkpasswd -m bcrypt' or 'htpasswd -nB "
		    "%.*s'", STR_FMT(name), STR_FMT(name));
	switch (hash_is_whole(hash) ? crypt_checksalt(hash) :
	    CRYPT_SALT_INVALID) {
	case CRYPT_SALT_INVALID:
	case CRYPT_SALT_METHOD_DISABLED:
		return error_set(err, ERROR_INVALID, "the password of '%.*s' "
		    "has a hash that isn't whole, or of a kind that crypt(3) "
		    "of this machine doesn't know", STR_FMT(name));
	default:
		return 0;
	}
}

static int
users_grow(struct users *users)
{
	size_t cap = users->cap == 0 ? 16 : 2 * users->cap;
	struct user *bigger = reallocarray(users->user, cap, sizeof(*bigger));

	if (bigger == NULL)
		return -1;
	users->user = bigger;
	users->cap = cap;
	return 0;
}

int
users_add(struct users *users, struct str name, struct str hash,
    struct error *err)
{
	char *text;

	if (name.len == 0)
		return error_set(err, ERROR_INVALID, "a name is empty");
	if (users->count == users->cap && users_grow(users) == -1)
		return error_nomem(err, "users");
	text = malloc(name.len + hash.len + 2);
	if (text == NULL)
		return error_nomem(err, "users");
	memcpy(text, name.p, name.len);
	text[name.len] = '\0';
	memcpy(text + name.len + 1, hash.p, hash.len);
	text[name.len + 1 + hash.len] = '\0';
	if (users_check_hash(name, text + name.len + 1, err) == -1) {
		free(text);
		return -1;
	}
	users->user[users->count++] = (struct user){text, text + name.len + 1};
	return 0;
}

int
users_add_lines(struct users *users, struct str text, struct error *err)
{
	struct str line, name;
	unsigned number = 0;

	while (str_cut(&text, '\n', &line)) {
		number++;
		line = str_trim(line);
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		if (line.len == 0 || line.p[0] == '#')
			continue;
		if (!str_cut(&line, ':', &name) || line.p == NULL)
			return error_set(err, ERROR_INVALID,
			    "line %u: must be a name, a colon and a hash",
			    number);
		if (users_add(users, name, line, err) == -1)
			return error_wrap(err, "line %u", number);
	}
	return 0;
}

static int
user_compare(const void *a, const void *b)
{
	return strcmp(((const struct user *)a)->name,
	    ((const struct user *)b)->name);
}

int
users_finish(struct users *users, struct error *err)
{
	size_t i;

	if (users->count == 0)
		return error_set(err, ERROR_INVALID,
		    "there is no user: nobody could come in");
	qsort(users->user, users->count, sizeof(*users->user), user_compare);
	for (i = 1; i < users->count; i++)
		if (user_compare(&users->user[i - 1], &users->user[i]) == 0)
			return error_set(err, ERROR_INVALID,
			    "the user '%s' is there twice",
			    users->user[i].name);
	return 0;
}

const char *
users_find(const struct users *users, struct str name)
{
	size_t low = 0, high = users->count, middle;
	int order;

	while (low < high) {
		middle = low + (high - low) / 2;
		order = str_cmp(name, str_of(users->user[middle].name));
		if (order == 0)
			return users->user[middle].hash;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
