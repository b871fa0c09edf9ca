/* SPDX-License-Identifier: MIT */
/*
 * What this binary was built with: see version.h.
 *
 * Owns: nothing; constant text.
 * Here: facts known at build time.  Not here: facts of the machine it runs on.
 * Context: any process.
 */
#include "workers/version.h"

#include <event2/event-config.h>
#include <gnu/libc-version.h>

#include <corelane/types.h>

#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)

#ifdef __clang__
#define VERSION_COMPILER "clang " __clang_version__
#else
#define VERSION_COMPILER "gcc " __VERSION__
#endif

#ifdef __SANITIZE_ADDRESS__
#define VERSION_SANITIZER "address"
#else
#define VERSION_SANITIZER "none"
#endif

const char version_build[] =
    "compiler:  " VERSION_COMPILER "\n"
    "build:     " CORELANE_BUILDTYPE ", sanitizer " VERSION_SANITIZER "\n"
    "allocator: " CORELANE_ALLOCATOR "\n"
    "libevent:  " EVENT__VERSION "\n"
    "glibc:     " TEXT_OF(__GLIBC__) "." TEXT_OF(__GLIBC_MINOR__) "\n"
    "modules:   ABI " TEXT_OF(LANE_ABI) "\n"
    "features:  " CORELANE_FEATURES "\n";
