/* SPDX-License-Identifier: MIT */
/*
 * The tables of a module: made in one transaction when a worker starts, by
 * statements that do nothing where they are there already.
 *
 *	static int
 *	start(struct lane_ctx *c)
 *	{
 *		struct shop *shop = lane_state(c);
 *
 *		return schema_start(c, &shop->schema);
 *	}
 *
 *	LANE_MODULE(.name = "shop", .on_worker_start = start, ...);
 *
 * Workers that start at once take turns: by PostgreSQL's advisory lock, by
 * SQLite's one writer.  A database that is out doesn't stop the server: a
 * background task tries again until the tables are made.
 */
#ifndef CORELANE_APPS_SCHEMA_H
#define CORELANE_APPS_SCHEMA_H

#include <corelane/corelane.h>

struct schema {
	const char *database;		/* NULL: "main" */
	const char *const *sqlite;	/* statements; each list */
	const char *const *postgresql;	/* ends with NULL */
	/* For reading. */
	bool is_ready;			/* the tables are there */
	bool has_failed;		/* once, and that was told */
};

/* For on_worker_start: returns what that does. */
int schema_start(struct lane_ctx *c, struct schema *s) LANE_CHECKED;

#endif
