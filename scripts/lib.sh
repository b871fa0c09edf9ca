# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What every script here shares: where the tree is, how to speak, and the one
# list of packages that the tree needs, by purpose.
#
#	. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#	packages_need build test
#
# Here: folders, messages, packages.  Not here: anything that builds or runs.

set -euo pipefail

# shellcheck disable=SC2034 # read by those who include this
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Debian 12 packages, by purpose.
declare -A PACKAGES=(
	[build]="meson ninja-build gcc libc6-dev pkgconf libevent-dev
	    libhttp-parser-dev libcjson-dev libbsd-dev libpcre2-dev zlib1g-dev
	    libcmocka-dev libsqlite3-dev libpq-dev libssl-dev
	    libcurl4-openssl-dev libcrypt-dev libhiredis-dev g++"
	[jemalloc]="libjemalloc-dev"
	[mimalloc]="libmimalloc-dev"
	[test]="python3 python3-pytest python3-jsonschema curl apache2-utils
	    procps git valgrind libc6-dbg postgresql sqlite3 openssl
	    python3-websockets chromium chromium-driver python3-selenium
	    redis-server"
	[lint]="git clang clang-format clang-tidy shellcheck universal-ctags
	    python3"
	[bench]="python3 util-linux postgresql"
	[profile]="linux-perf python3"
)

say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "${0##*/}: $*"
	exit 1
}

# A wrong command line: exit 2, as corelane itself does.
die_usage() {
	say "${0##*/}: $*"
	say "try: scripts/${0##*/} --help"
	exit 2
}

# Prints the comment at the head of the script, which is its manual.
help_print() {
	sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
}

# The packages of these purposes that are not installed, one a line.
packages_missing() {
	local purpose want=()

	for purpose in "$@"; do
		read -r -d '' -a wanted <<<"${PACKAGES[$purpose]}" || true
		want+=("${wanted[@]}")
	done
	# It fails for a name that it has never heard of, which is an answer too.
	{ dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' \
	    "${want[@]}" 2>/dev/null || true; } |
	    awk -v want="${want[*]}" '
		$2 == "installed" { sub(/:.*/, "", $1); have[$1] = 1 }
		END {
			n = split(want, name, /[ \n]+/)
			for (i = 1; i <= n; i++)
				if (!(name[i] in have) && !seen[name[i]]++)
					print name[i]
		}'
}

# Installs what is missing for these purposes; does nothing, and needs no
# privilege, when nothing is.
packages_need() {
	local missing as_root=() log

	command -v dpkg-query >/dev/null || {
		say "not a Debian system: install by hand what scripts/lib.sh lists"
		return 0
	}
	mapfile -t missing < <(packages_missing "$@")
	[ "${#missing[@]}" -gt 0 ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null ||
		    die "needs root, or sudo, to install: ${missing[*]}"
		as_root=(sudo)
	fi
	say "installing: ${missing[*]}"
	log=$(mktemp)
	if ! { "${as_root[@]}" apt-get -qq update &&
	    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
	    apt-get -qq install -y --no-install-recommends "${missing[@]}"; } \
	    >"$log" 2>&1 </dev/null; then
		cat "$log" >&2
		rm -f "$log"
		die "could not install: ${missing[*]}"
	fi
	rm -f "$log"
}
