/* SPDX-License-Identifier: MIT */
/*
 * A build without SQLite: a database that wants it is refused (db.c).
 *
 * Owns nothing.
 * Here: the absence of the driver.  Not here: the driver (sqlite.c).
 * Context: none.
 */
#include <stddef.h>

#include "server/db/db.h"

const struct db_driver *const db_driver_sqlite = NULL;
