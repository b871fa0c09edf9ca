/* SPDX-License-Identifier: MIT */
/*
 * What the load programs for WebSockets and event streams share: a connection
 * that is opened and upgraded while it blocks, and the bytes of a message.
 * Anything that goes wrong ends the program, with a line that says what.
 *
 * Here: up to the first frame.  Not here: how messages are counted.
 */
#ifndef CORELANE_TESTS_BENCH_WS_CLIENT_H
#define CORELANE_TESTS_BENCH_WS_CLIENT_H

#include <stdint.h>
#include <stddef.h>

/* A client's frame of up to 65535 bytes is its content and so much more. */
#define CLIENT_HEADER_MAX 8

/* CLOCK_MONOTONIC, the same in every process. */
uint64_t client_now_ns(void);

/* As many open files as this process may have. */
void client_raise_files(void);

/* Connects to the port of this machine; source: an address to come from, or
 * NULL. */
int client_dial(uint16_t port, const char *source);

/* Asks for a WebSocket, or for an event stream; returns behind the head of the
 * answer, and not a byte further. */
void client_open_ws(int fd, const char *path);
void client_open_events(int fd, const char *path);

void client_set_nonblock(int fd);

/* Writes a client's text message of `len` letters; returns its whole length. */
size_t client_message(char *to, size_t len);

/* The length of the frame in which a server sends such a message. */
size_t client_echo_len(size_t len);

#endif
