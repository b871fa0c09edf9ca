/* SPDX-License-Identifier: MIT */
/*
 * Databases by name, each with the driver that its url asks for.
 *
 * Owns: struct db and their set.
 * Invariant: a struct db that exists has been opened by its driver.
 * Here: making and finding.  Not here: queries (api.c), results (rows.c), what
 * a driver does.
 * Context: the loop's thread of one worker.
 *	server.c -> [db.c] -> sqlite.c, postgres.c
 */
#include "server/db/db.h"

#include <stdlib.h>

/* SQLite's: the file, its log and the log's index.  PostgreSQL's: a socket. */
#define DB_CONNECTION_FILES 3

struct db_set {
	size_t count;
	struct db *db[];
};

static const struct db_scheme {
	const char *prefix, *name;
	const char *option; /* of the build */
	const struct db_driver *const *driver;
} db_schemes[] = {
	{"sqlite:", "SQLite", "sqlite", &db_driver_sqlite},
	{"postgresql:", "PostgreSQL", "postgresql", &db_driver_postgres},
	{"postgres:", "PostgreSQL", "postgresql", &db_driver_postgres},
};

static const struct db_driver *
db_driver_of(struct str url, struct error *err)
{
	size_t i;

	for (i = 0; i < sizeof(db_schemes) / sizeof(db_schemes[0]); i++) {
		const struct db_scheme *scheme = &db_schemes[i];

		if (!str_has_prefix(url, str_of(scheme->prefix)))
			continue;
		if (*scheme->driver == NULL)
			error_set(err, ERROR_INVALID, "this corelane was built "
			    "without %s: build it with -D%s=enabled",
			    scheme->name, scheme->option);
		return *scheme->driver;
	}
	error_set(err, ERROR_INVALID, "the url begins with neither "
	    "\"sqlite:\" nor \"postgresql:\"");
	return NULL;
}

int
db_check(const struct config_database *config, bool has_pool, struct error *err)
{
	const struct db_driver *driver = db_driver_of(config->url, err);

	if (driver == NULL)
		return -1;
	if (driver->needs_pool && !has_pool)
		return error_set(err, ERROR_INVALID, "%s works on the pool: "
		    "\"offload_threads\" must be at least 1", driver->kind);
	return 0;
}

struct db *
db_new(const struct config_database *config, const struct db_args *args,
    struct error *err)
{
	struct db *db = NULL;

	if (db_check(config, args->pool != NULL, err) == -1)
		goto fail;
	db = calloc(1, sizeof(*db));
	if (db == NULL) {
		error_nomem(err, "database");
		goto fail;
	}
	db->config = config;
	db->driver = db_driver_of(config->url, err);
	db->base = args->base;
	db->pool = args->pool;
	db->stats = args->stats;
	db->worker = args->worker;
	if (db->driver->open(db, err) == 0)
		return db;
fail:
	error_wrap(err, "line %u: database '%.*s'", config->pos.line,
	    STR_FMT(config->name));
	free(db);
	return NULL;
}

void
db_free(struct db *db)
{
	if (db == NULL)
		return;
	db->driver->close(db);
	free(db);
}

size_t
db_file_count(const struct config_database *config)
{
	return ((size_t)config->connections + 2) * DB_CONNECTION_FILES;
}

struct db_set *
db_set_new(const struct config_databases *configs, const struct db_args *args,
    struct error *err)
{
	struct db_set *set =
	    calloc(1, sizeof(*set) + configs->count * sizeof(set->db[0]));

	if (set == NULL) {
		error_nomem(err, "databases");
		return NULL;
	}
	while (set->count < configs->count) {
		set->db[set->count] =
		    db_new(&configs->item[set->count], args, err);
		if (set->db[set->count] == NULL) {
			db_set_free(set);
			return NULL;
		}
		set->count++;
	}
	return set;
}

void
db_set_free(struct db_set *set)
{
	if (set == NULL)
		return;
	while (set->count > 0)
		db_free(set->db[--set->count]);
	free(set);
}

struct db *
db_find(struct db_set *set, const char *name)
{
	struct str wanted = name != NULL ? str_of(name) : STR("main");
	size_t i;

	for (i = 0; set != NULL && i < set->count; i++)
		if (str_eq(set->db[i]->config->name, wanted))
			return set->db[i];
	return NULL;
}

const struct db *
db_set_unready(const struct db_set *set)
{
	size_t i;

	for (i = 0; set != NULL && i < set->count; i++)
		if (!set->db[i]->driver->is_ready(set->db[i]))
			return set->db[i];
	return NULL;
}

void
db_query_done(struct db_query *q)
{
	q->rows.scratch = &q->rows.arena;
	q->db->queries++;
	if (q->rows.status != 0)
		q->db->errors++;
	q->done(q);
}
