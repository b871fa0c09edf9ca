/* SPDX-License-Identifier: MIT */
/*
 * "basic_auth": who is asking, by name and password (RFC 7617).
 *
 *	before: in the cache? --yes--> goes on
 *	           | no
 *	        pool thread: crypt(3), a tenth of a second --> resumes, or 401
 *
 * An unknown name takes as long as a known one: its password is checked against
 * the hash of another, and found wrong.  What was right is remembered for a
 * while, under a hash with a key of this process, so that neither names nor
 * passwords are kept; what was wrong never is.
 *
 * Owns: the users, the cache, the line to the pool.  A check under way owns
 * itself: it outlives its request where the client leaves, but not the pool,
 * which ends before any middleware does.
 * Invariant: `r` of a check is NULL once nobody waits for it.
 * Here: the password's way.  Not here: users (server/users.c), threads
 * (server/offload.c).
 * Context: the loop's thread; check_work() on a thread of the pool.
 */
#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/base64.h"
#include "common/log.h"
#include "common/siphash.h"
#include "server/attr.h"
#include "server/challenge.h"
#include "server/ctx.h"
#include "server/internal.h"
#include "server/middleware.h"
#include "server/offload.h"
#include "server/users.h"
#include "server/watch.h"

#define CACHE_ENTRIES 1024	/* a power of two */
#define CREDENTIALS_BYTES_MAX 1024

/* Two hashes of 64 bits: nobody finds another password for them. */
struct remembered {
	uint64_t hash[2];
	uint64_t until_ms;	/* 0: free */
};

/* What changes while a server lives. */
struct basic_state {
	struct users users;
	struct watch file;
	struct remembered *cache;	/* owned; NULL: off */
	uint64_t key[2][2];
	struct offload_line line;
};

struct basic_auth {
	const struct config_middleware *cfg;	/* the configuration's */
	struct basic_state *state;	/* owned */
	char *challenge;		/* owned */
};

/* One password on its way through crypt(3). */
struct check {
	struct offload_job job;
	struct op op;
	struct request *r;		/* NULL: the client is gone */
	const struct basic_auth *auth;
	bool is_known, is_right;
	uint64_t hash[2];
	char *password;			/* both in `text` */
	char *stored;
	size_t text_bytes;
	char text[];
};

static void
basic_teardown(void *state)
{
	struct basic_auth *st = state;

	if (st == NULL)
		return;
	if (st->state != NULL) {
		users_done(&st->state->users);
		free(st->state->cache);
	}
	free(st->state);
	free(st->challenge);
	free(st);
}

/* All users of the configuration and of the file. */
static int
basic_load(const struct config_middleware *cfg, struct watch *file,
    struct users *users, struct error *err)
{
	const struct config_fields *map = &cfg->basic_auth.users;
	struct buf text;
	size_t i;
	int rc = 0;

	users_init(users);
	for (i = 0; i < map->count && rc == 0; i++)
		rc = users_add(users, map->item[i].name, map->item[i].value,
		    err);
	if (rc == 0 && cfg->basic_auth.file.len > 0) {
		buf_init(&text, 0);
		rc = watch_read(file, &text, err);
		if (rc == 0 && (rc = users_add_lines(users, buf_str(&text),
		    err)) == -1)
			error_wrap(err, "'%s'", file->path);
		buf_done(&text);
	}
	if (rc == 0)
		rc = users_finish(users, err);
	if (rc == -1)
		users_done(users);
	return rc;
}

static void
cache_forget(struct basic_state *bs)
{
	if (bs->cache != NULL)
		memset(bs->cache, 0, CACHE_ENTRIES * sizeof(*bs->cache));
}

static void
basic_refresh(const struct basic_auth *st, uint64_t now_ms)
{
	struct basic_state *bs = st->state;
	struct users users;
	struct error err;

	if (st->cfg->basic_auth.file.len == 0 ||
	    !watch_is_due(&bs->file, now_ms))
		return;
	if (basic_load(st->cfg, &bs->file, &users, &err) == -1) {
		log_error("basic_auth: %s; the users before it stay",
		    err.text);
		return;
	}
	users_done(&bs->users);
	bs->users = users;
	cache_forget(bs);
	log_info("basic_auth: took the changed users of '%s'", bs->file.path);
}

static int
basic_state_init(struct basic_state *bs, const struct config_middleware *cfg,
    struct error *err)
{
	if (getrandom(bs->key, sizeof(bs->key), 0) != sizeof(bs->key))
		return error_sys(err, "getrandom");
	if (cfg->basic_auth.cache_ms > 0) {
		bs->cache = calloc(CACHE_ENTRIES, sizeof(*bs->cache));
		if (bs->cache == NULL)
			return error_nomem(err, "a cache");
	}
	watch_init(&bs->file, cfg->basic_auth.file.p);
	return basic_load(cfg, &bs->file, &bs->users, err);
}

static int
basic_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct basic_auth *st = calloc(1, sizeof(*st));

	if (st == NULL)
		return error_nomem(err, "middleware");
	st->cfg = cfg;
	if (server_config(srv)->offload_threads == 0) {
		error_set(err, ERROR_INVALID, "needs threads for crypt(3): "
		    "\"offload_threads\" must not be 0");
		goto fail;
	}
	st->state = calloc(1, sizeof(*st->state));
	if (st->state == NULL || asprintf(&st->challenge,
	    "Basic realm=\"%.*s\", charset=\"UTF-8\"",
	    STR_FMT(cfg->basic_auth.realm)) == -1) {
		st->challenge = NULL;
		error_nomem(err, "middleware");
		goto fail;
	}
	if (basic_state_init(st->state, cfg, err) == -1)
		goto fail;
	*ret_state = st;
	return 0;
fail:
	basic_teardown(st);
	return -1;
}

/* The cache. */

static struct remembered *
cache_at(struct basic_state *bs, const uint64_t hash[2])
{
	return &bs->cache[hash[0] & (CACHE_ENTRIES - 1)];
}

static bool
cache_has(struct basic_state *bs, const uint64_t hash[2], uint64_t now_ms)
{
	const struct remembered *m;

	if (bs->cache == NULL)
		return false;
	m = cache_at(bs, hash);
	return m->until_ms > now_ms && m->hash[0] == hash[0] &&
	    m->hash[1] == hash[1];
}

/* In place of whoever was there. */
static void
cache_put(struct basic_state *bs, const uint64_t hash[2], uint64_t until_ms)
{
	if (bs->cache != NULL)
		*cache_at(bs, hash) = (struct remembered){
		    {hash[0], hash[1]}, until_ms};
}

/* Checking. */

static void
check_work(struct offload_job *job)
{
	struct check *ck = (struct check *)((char *)job -
	    offsetof(struct check, job));
	struct crypt_data *data = calloc(1, sizeof(*data));
	const char *hash;

	if (data == NULL)
		return;
	hash = crypt_r(ck->password, ck->stored, data);
	/* What crypt(3) can't do it tells by a text with '*' in front. */
	ck->is_right = hash != NULL && hash[0] != '*' && ck->is_known &&
	    strcmp(hash, ck->stored) == 0;
	explicit_bzero(data, sizeof(*data));
	free(data);
}

static void
check_free(struct check *ck)
{
	explicit_bzero(ck->text, ck->text_bytes);
	free(ck);
}

static int
basic_accept(struct request *r, struct str name)
{
	struct lane_value user = {.kind = LANE_TEXT,
	    .u.s = {name.p, name.len}};

	return attr_set(&r->attrs, &r->arena, STR("user"), user) < 0 ?
	    -ENOMEM : REQUEST_NEXT;
}

static int
basic_refuse(struct request *r, const struct basic_auth *st)
{
	return challenge_refuse(r, 401, str_of(st->challenge),
	    "a user name and its password are needed");
}

static void
check_done(struct offload_job *job)
{
	struct check *ck = (struct check *)((char *)job -
	    offsetof(struct check, job));
	struct request *r = ck->r;
	const struct basic_auth *st = ck->auth;
	int result;

	if (r == NULL) {
		check_free(ck);
		return;
	}
	op_finish(&ck->op);
	server_wake(r->srv);
	if (ck->is_right) {
		cache_put(st->state, ck->hash, r->srv->clock.mono_ms +
		    (uint64_t)st->cfg->basic_auth.cache_ms);
		result = basic_accept(r, str_of(ck->text));
	} else {
		result = basic_refuse(r, st);
	}
	check_free(ck);
	request_resume(r, result);
}

/* The client is gone.  What waits is dropped, what runs ends unheard. */
static void
check_cancel(struct op *op)
{
	struct check *ck = (struct check *)((char *)op -
	    offsetof(struct check, op));
	struct offload *pool = ck->r->srv->offload;

	ck->r = NULL;
	if (offload_cancel(pool, &ck->job))
		check_free(ck);
}

/* name, password: what the client sends, both without NUL. */
static struct check *
check_new(const struct users *users, struct str name, struct str password)
{
	const char *stored = users_find(users, name);
	bool is_known = stored != NULL;
	struct check *ck;
	size_t bytes;

	/* As slow as the rest: somebody's, whose result doesn't count. */
	if (!is_known)
		stored = users->user[0].hash;
	bytes = name.len + password.len + strlen(stored) + 3;
	ck = calloc(1, sizeof(*ck) + bytes);
	if (ck == NULL)
		return NULL;
	ck->is_known = is_known;
	ck->text_bytes = bytes;
	memcpy(ck->text, name.p, name.len);
	ck->password = ck->text + name.len + 1;
	memcpy(ck->password, password.p, password.len);
	ck->stored = ck->password + password.len + 1;
	memcpy(ck->stored, stored, strlen(stored));
	ck->job.work = check_work;
	ck->job.done = check_done;
	return ck;
}

static int
check_start(struct request *r, const struct basic_auth *st, struct check *ck)
{
	struct lane_ctx *c = ctx_of(r);
	int rc = -ENOMEM;

	ck->r = r;
	ck->auth = st;
	if (c != NULL)
		rc = offload_submit(r->srv->offload, &st->state->line,
		    &ck->job);
	if (rc == 0) {
		op_start(c, &ck->op, check_cancel);
		return REQUEST_PENDING;
	}
	check_free(ck);
	if (rc != -EAGAIN)
		return rc;
	if (response_add_checked(r, STR("Retry-After"), STR("1")) == -1)
		return -ENOMEM;
	return response_error(r, 503, "too many passwords are being checked");
}

/* "name:password" in base64.  Returns 0 with the two in *ret_name and
 * *ret_password, slices of `out`, or -1. */
static int
basic_split(struct str credentials, char *out, struct str *ret_name,
    struct str *ret_password)
{
	ptrdiff_t len;

	if (credentials.len == 0 || credentials.len > CREDENTIALS_BYTES_MAX)
		return -1;
	len = base64_decode(credentials, BASE64_PLAIN, out);
	if (len <= 0 || memchr(out, '\0', (size_t)len) != NULL)
		return -1;
	*ret_password = str_from(out, (size_t)len);
	return str_cut(ret_password, ':', ret_name) &&
	    ret_password->p != NULL && ret_name->len > 0 ? 0 : -1;
}

static int
basic_before(struct request *r, const void *state)
{
	const struct basic_auth *st = state;
	struct basic_state *bs = st->state;
	char text[BASE64_DATA_BYTES(CREDENTIALS_BYTES_MAX)];
	struct str name, password, all;
	uint64_t hash[2];
	struct check *ck;
	int rc;

	if (challenge_is_ambiguous(r) || basic_split(challenge_find(r,
	    STR("Basic")), text, &name, &password) == -1)
		return basic_refuse(r, st);
	basic_refresh(st, r->srv->clock.mono_ms);
	all = str_from(name.p, name.len + 1 + password.len);
	hash[0] = siphash(bs->key[0], all);
	hash[1] = siphash(bs->key[1], all);
	if (cache_has(bs, hash, r->srv->clock.mono_ms)) {
		rc = basic_accept(r, name);
	} else if ((ck = check_new(&bs->users, name, password)) == NULL) {
		rc = -ENOMEM;
	} else {
		memcpy(ck->hash, hash, sizeof(hash));
		rc = check_start(r, st, ck);
	}
	explicit_bzero(text, sizeof(text));
	return rc;
}

const struct middleware middleware_basic_auth = {
	.name = "basic_auth",
	.setup = basic_setup,
	.teardown = basic_teardown,
	.before = basic_before,
};
