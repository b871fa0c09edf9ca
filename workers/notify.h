/* SPDX-License-Identifier: MIT */
/*
 * Tells systemd how the service is (sd_notify(3)): one datagram to the socket
 * that $NOTIFY_SOCKET names; nothing where there is none.
 *
 * Owns: nothing; each call opens and closes its socket.
 * Here: the protocol.  Not here: when to say what.
 * Context: the supervisor.
 */
#ifndef CORELANE_WORKERS_NOTIFY_H
#define CORELANE_WORKERS_NOTIFY_H

#include <stdint.h>

void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);
void notify_watchdog(void);

/* How often notify_watchdog() is wanted, in milliseconds: half of what systemd
 * waits for.  0: not at all. */
uint64_t notify_watchdog_interval_ms(void);

#endif
