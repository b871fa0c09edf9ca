/* SPDX-License-Identifier: MIT */
/*
 * What the server does for lane_sql().
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_DB_API_H
#define CORELANE_SERVER_DB_API_H

struct server;

/* To be called every 100 ms: statements and transactions that take too long. */
void sql_tick(struct server *srv);

#endif
