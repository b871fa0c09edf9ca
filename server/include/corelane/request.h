/* SPDX-License-Identifier: MIT */
/*
 * Reading a request.  Every slice is lent until the request ends, unless a
 * call says otherwise; names are NUL-terminated and borrowed.
 *
 *	static int
 *	search(struct lane_ctx *c)
 *	{
 *		struct lane_str words = lane_query(c, "q");
 *
 *		if (words.p == NULL)
 *			return lane_invalid(c, "q", "is missing");
 *		return lane_printf(c, 200, "text/plain", "%.*s\n",
 *		    LANE_FMT(words));
 *	}
 *
 * In a background task (lane_spawn()) there is nothing to read: slices come
 * with p == NULL.
 */
#ifndef CORELANE_REQUEST_H
#define CORELANE_REQUEST_H

#include <corelane/types.h>

LANE_BEGIN

struct cJSON;

/* The request line (RFC 9110 9, RFC 9112 3). */
struct lane_str lane_method(struct lane_ctx *c); /* "GET" */
struct lane_str lane_path(struct lane_ctx *c); /* decoded, resolved */
struct lane_str lane_target(struct lane_ctx *c); /* as it was sent */
struct lane_str lane_query_string(struct lane_ctx *c); /* after "?" */
struct lane_str lane_host(struct lane_ctx *c); /* with its port */
/* 10 for HTTP/1.0, 11 for HTTP/1.1, 20 for HTTP/2. */
int lane_http_version(struct lane_ctx *c);
/* The pattern that matched: "/users/{id}"; and "api.user" of the handler. */
struct lane_str lane_route_pattern(struct lane_ctx *c);
struct lane_str lane_handler_name(struct lane_ctx *c);

/* The client: "192.0.2.7", "2001:db8::1", "unix:"; its port or 0. */
struct lane_str lane_peer(struct lane_ctx *c);
unsigned lane_peer_port(struct lane_ctx *c);
bool lane_is_tls(struct lane_ctx *c);

/* The id that the log and errors show; made when there is none yet. */
struct lane_str lane_request_id(struct lane_ctx *c);

/* A parameter of the path, percent-decoded. */
struct lane_str lane_param(struct lane_ctx *c, const char *name);

/*
 * A parameter as a number: the whole of it, decimal.  Returns 0, or a status
 * to return (a 400 that names the field).  *ret_value is written on success.
 */
int lane_param_int(
    struct lane_ctx *c, const char *name, int64_t *ret_value) LANE_CHECKED;

/* The query, percent-decoded, "+" as a space.  The first one of that name; all
 * of that name by n = 0, 1, ...; everything by index.  What has a bad escape,
 * or one for NUL, is as it was sent. */
struct lane_str lane_query(struct lane_ctx *c, const char *name);
struct lane_str lane_query_nth(
    struct lane_ctx *c, const char *name, unsigned n);
bool lane_query_item(struct lane_ctx *c, unsigned index,
    struct lane_str *ret_name, struct lane_str *ret_value);
/* An absent one gives `fallback`; one that is no number a status to return. */
int lane_query_int(struct lane_ctx *c, const char *name, int64_t fallback,
    int64_t *ret_value) LANE_CHECKED;

/* Header fields; names in any case (RFC 9110 5.1). */
struct lane_str lane_header(struct lane_ctx *c, const char *name);
struct lane_str lane_header_nth(
    struct lane_ctx *c, const char *name, unsigned n);
bool lane_header_item(struct lane_ctx *c, unsigned index,
    struct lane_str *ret_name, struct lane_str *ret_value);

/* A cookie (RFC 6265 5.4), quotes around its value taken off. */
struct lane_str lane_cookie(struct lane_ctx *c, const char *name);

/*
 * Content negotiation (RFC 9110 12.5.1): which of `types` the client likes
 * best: the index, or -1 for none.
 *
 *	static const char *const types[] = {"application/json", "text/html"};
 *	int best = lane_accepts(c, types, 2);
 */
int lane_accepts(struct lane_ctx *c, const char *const *types, unsigned count);
/* Whether the request's content has this media type, parameters aside. */
bool lane_has_type(struct lane_ctx *c, const char *type);

/*
 * The content.  A route with LANE_BODY_WHOLE (the default) runs when all of it
 * is here; what is larger than `buffers.body_memory` stands in an unlinked file
 * and is mapped by this call.  p == NULL: none, or it can't be mapped.
 */
struct lane_str lane_body(struct lane_ctx *c);
uint64_t lane_body_length(struct lane_ctx *c);

/*
 * The content as JSON (RFC 8259): strict, UTF-8, no duplicate keys, at most
 * `depth` deep (0: 64).  Returns 0 with a tree lent until the request ends, or
 * a status to return: 415 for another type, 400 with line and column.
 * The tree is cJSON's: include <cjson/cJSON.h> to read it.
 */
int lane_body_json(struct lane_ctx *c, unsigned depth,
    const struct cJSON **ret_tree) LANE_CHECKED;

/*
 * A form: application/x-www-form-urlencoded, or multipart/form-data (RFC 7578)
 * for its fields that aren't files.  lane_form_read() returns 0 or a status to
 * return (400, 415); the getters call it themselves and give p == NULL then.
 */
int lane_form_read(struct lane_ctx *c) LANE_CHECKED;
struct lane_str lane_form(struct lane_ctx *c, const char *name);
struct lane_str lane_form_nth(struct lane_ctx *c, const char *name, unsigned n);
bool lane_form_item(struct lane_ctx *c, unsigned index,
    struct lane_str *ret_name, struct lane_str *ret_value);

/* A file of a multipart form.  A large upload has been streamed to disk by the
 * time the handler runs; `content` is mapped from there. */
struct lane_upload {
	struct lane_str name; /* of the field */
	struct lane_str filename; /* its last component only */
	struct lane_str type; /* media type; "" where none is given */
	struct lane_str content;
};
bool lane_upload_item(
    struct lane_ctx *c, unsigned index, struct lane_upload *ret_upload);
/*
 * Writes it to a new file: complete under that name, or not there.  Blocks:
 * for the work function of lane_offload(), whose state may hold the upload.
 * Returns 0 or a negative errno (-EEXIST for a file that is there).
 * Context: any thread, while the request lives.
 */
int lane_upload_save(
    const struct lane_upload *upload, const char *path) LANE_CHECKED;

/*
 * Attributes: what one part of the chain leaves for the next, by name.  The
 * jwt middleware sets "jwt" (the claims as JSON text) and "jwt.sub" and so on
 * for each claim that is a scalar.  Text is copied.
 */
int lane_attr_set(
    struct lane_ctx *c, const char *name, struct lane_value value) LANE_CHECKED;
struct lane_value lane_attr(struct lane_ctx *c, const char *name);
bool lane_attr_int(struct lane_ctx *c, const char *name, int64_t *ret_value);
struct lane_str lane_attr_text(struct lane_ctx *c, const char *name);
/* A pointer, with any address that tells its type: it is found again by the
 * same type only.  Lent until the request ends. */
int lane_attr_set_pointer(struct lane_ctx *c, const char *name,
    const void *type, void *p) LANE_CHECKED;
void *lane_attr_pointer(struct lane_ctx *c, const char *name, const void *type);

LANE_END

#endif
