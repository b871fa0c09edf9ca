/* SPDX-License-Identifier: MIT */
/*
 * Proves the SQLite driver: what every driver does, and what is its own.
 *
 * Context: a folder of its own under TMPDIR; the test's thread and a pool.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/db_suite.h"
#include "tests/unit/unit.h"

int
main(void)
{
	char folder[] = "/tmp/corelane-sqlite.XXXXXX", url[128];
	int failed;

	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(url, sizeof(url), "sqlite:%s/suite.db", folder);
	failed = suite_run(&(struct suite_target){
	    .url = url, .blob_type = "BLOB", .bool_type = "BOOLEAN"});
	return failed;
}
