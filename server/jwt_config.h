/* SPDX-License-Identifier: MIT */
/*
 * The keys that a "jwt" of the configuration names.
 *
 * Context: the loop's thread, or a command's process: reads files.
 */
#ifndef CORELANE_SERVER_JWT_CONFIG_H
#define CORELANE_SERVER_JWT_CONFIG_H

#include "server/jwt.h"
#include "server/watch.h"

/*
 * All keys that tokens are checked with.  jwks: of the file, if one is named;
 * notes what was read.  Returns NULL with the reason where one can't be used,
 * or where an algorithm has no key.
 */
struct jwt_keys *jwt_config_keys(const struct config_middleware *cfg,
    struct watch *jwks, struct error *err)
    __attribute__((warn_unused_result));

/*
 * Appends a token of that payload, made with the secret or the signing key.
 * Returns 0 or -1.
 */
int jwt_config_sign(const struct config_middleware *cfg, struct str payload,
    struct buf *out, struct error *err) __attribute__((warn_unused_result));

#endif
