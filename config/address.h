/* SPDX-License-Identifier: MIT */
/*
 * The address of a listener, from its text to what bind(2) takes.  Numeric
 * only, no name is looked up, so that reading a configuration never waits for
 * a network.
 *
 *	"127.0.0.1:8080"	IPv4
 *	"[::1]:8080"		IPv6
 *	"*:8080", ":8080"	every IPv4 address of the machine
 *	"[::]:8080"		every IPv6 address
 *	"localhost:8080"	127.0.0.1
 *	"unix:/run/x.sock"	a unix socket
 *
 *	struct address addr;
 *	if (address_parse(listen->address, &addr, err) == -1)
 *		return -1;
 *	bind(fd, (struct sockaddr *)&addr.storage, addr.len);
 *
 * Port 0 asks the kernel for a free one.
 *
 * Context: pure functions.
 */
#ifndef CORELANE_CONFIG_ADDRESS_H
#define CORELANE_CONFIG_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/str.h"

struct address {
	struct sockaddr_storage storage;
	socklen_t len;
};

/* Returns 0, or -1 with *ret untouched and `err` saying what is wrong with the
 * text, in words that fit behind "must be an address". */
int address_parse(struct str text, struct address *ret, struct error *err)
    __attribute__((warn_unused_result));

/* Whether two listeners can't both have it.  Port 0 is never the same. */
bool address_is_same(const struct address *a, const struct address *b);

#endif
