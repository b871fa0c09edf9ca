/* SPDX-License-Identifier: MIT */
/*
 * A build without libpq: no PostgreSQL, which db_set_new() says where one is
 * configured.
 *
 * Owns nothing.  Here: the absence.  Not here: the driver (postgres.c).
 * Context: any.
 */
#include "server/db/db.h"

const struct db_driver *const db_driver_postgres = NULL;
