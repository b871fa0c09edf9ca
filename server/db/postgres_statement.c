/* SPDX-License-Identifier: MIT */
/*
 * The prepared statements of one connection, by their text.
 *
 * Owns the entries and their copies of the text.  Invariant: an entry is in one
 * bucket and in `used`, the latest used first; what is sent to the server keeps
 * the order of these calls, so that an entry means "prepared by the time that
 * anything sent from now on is looked at".
 * Here: the table.  Not here: PREPARE and DEALLOCATE (postgres_send.c).
 * Context: the loop's thread.
 *	postgres_send.c -> [postgres_statement.c]
 */
#include <stdlib.h>

#include "server/db/postgres.h"

void
pg_statements_init(struct pg_statements *set)
{
	memset(set->bucket, 0, sizeof(set->bucket));
	TAILQ_INIT(&set->used);
	set->count = 0;
}

void
pg_statements_done(struct pg_statements *set)
{
	struct pg_statement *st;

	while ((st = TAILQ_FIRST(&set->used)) != NULL) {
		TAILQ_REMOVE(&set->used, st, used);
		free(st);
	}
	pg_statements_init(set);
}

struct pg_statement *
pg_statement_find(struct pg_statements *set, struct str sql, uint64_t hash)
{
	struct pg_statement *st;

	st = set->bucket[hash % PG_STATEMENT_BUCKETS];
	for (; st != NULL; st = st->next) {
		if (st->hash != hash ||
		    !str_eq(str_from(st->sql, st->len), sql))
			continue;
		TAILQ_REMOVE(&set->used, st, used);
		TAILQ_INSERT_HEAD(&set->used, st, used);
		return st;
	}
	return NULL;
}

struct pg_statement *
pg_statement_add(struct pg_statements *set, struct str sql, uint64_t hash)
{
	struct pg_statement **bucket =
	    &set->bucket[hash % PG_STATEMENT_BUCKETS];
	struct pg_statement *st = malloc(sizeof(*st) + sql.len + 1);

	if (st == NULL)
		return NULL;
	memcpy(st->sql, sql.p, sql.len);
	st->sql[sql.len] = '\0';
	st->len = sql.len;
	st->hash = hash;
	st->number = ++set->last_number;
	st->next = *bucket;
	*bucket = st;
	TAILQ_INSERT_HEAD(&set->used, st, used);
	set->count++;
	return st;
}

bool
pg_statement_drop(struct pg_statements *set, uint64_t number)
{
	struct pg_statement *st, **at;

	TAILQ_FOREACH(st, &set->used, used)
		if (st->number == number)
			break;
	if (st == NULL)
		return false;
	at = &set->bucket[st->hash % PG_STATEMENT_BUCKETS];
	while (*at != st)
		at = &(*at)->next;
	*at = st->next;
	TAILQ_REMOVE(&set->used, st, used);
	set->count--;
	free(st);
	return true;
}

struct pg_statement *
pg_statement_surplus(struct pg_statements *set)
{
	if (set->count < PG_STATEMENTS_MAX)
		return NULL;
	return TAILQ_LAST(&set->used, pg_statement_list);
}
