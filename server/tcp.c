/* SPDX-License-Identifier: MIT */
/*
 * The echo protocol on a raw TCP listener.
 *
 * Owns nothing.  Invariant: at most one read's worth waits to be sent back.
 * Here: raw bytes.  Not here: sockets (conn.c).
 * Context: a worker's loop.  conn.c -> [tcp.c]
 */
#include "server/tcp.h"

#include "server/conn.h"
#include "server/internal.h"

void
tcp_advance(struct conn *c, struct str *in)
{
	struct server *srv = c->srv;

	if (c->state == CONN_SEND && c->unsent == NULL) {
		conn_move(c, CONN_IDLE);
		conn_set_timer(c, srv->config->timeouts.idle_ms);
	}
	if (c->state != CONN_IDLE || in->len == 0)
		return;
	out_refer(&srv->out, *in, true);
	*in = str_from(NULL, 0);
	srv->stats->tcp_messages++;
	switch (conn_flush(c, false)) {
	case 0:
		conn_set_timer(c, srv->config->timeouts.idle_ms);
		break;
	case 1:
		c->is_sent_full = true;
		conn_move(c, CONN_SEND);
		conn_set_timer(c, srv->config->timeouts.write_ms);
		break;
	default:
		break;
	}
}

void
tcp_on_deadline(struct conn *c)
{
	if (c->state == CONN_SEND) {
		c->srv->stats->timeouts_write++;
		conn_close(c, "does not read its echo");
	} else {
		c->srv->stats->timeouts_idle++;
		conn_close(c, "idle timeout");
	}
}
