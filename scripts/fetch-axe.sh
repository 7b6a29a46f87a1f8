#!/bin/sh
# Fetches axe-core, which the browser tests check the console's pages with, into
# the cache folder and prints its path. It comes from npm through npm, pinned by
# version and SHA-256, and is never part of the program. GALEN_AXE names a file
# of your own and turns the download off.
#
# server/console/browser_test.go looks in the same place.
set -eu

version=4.10.3
sum=880970c081707360e64f34cea25ff91892f5bc95675b0776925b9709dd8a68bb

if [ -n "${GALEN_AXE:-}" ]; then
	[ -f "$GALEN_AXE" ] || { echo "GALEN_AXE: no such file" >&2; exit 1; }
	printf '%s\n' "$GALEN_AXE"
	exit 0
fi

dir="${XDG_CACHE_HOME:-$HOME/.cache}/galen/axe-core-$version"
file="$dir/axe.min.js"
right() { printf '%s  %s\n' "$sum" "$1" | sha256sum --check --status; }

if [ -f "$file" ] && right "$file"; then
	printf '%s\n' "$file"
	exit 0
fi

mkdir -p "$dir"
tmp=$(mktemp -d "$dir/.fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

echo "fetching axe-core@$version (once)" >&2
(cd "$tmp" && npm pack --silent "axe-core@$version" >name)
tar -xzf "$tmp/$(tail -n 1 "$tmp/name")" -C "$tmp" package/axe.min.js
right "$tmp/package/axe.min.js" || { echo "the SHA-256 of axe-core is not $sum: not installed" >&2; exit 1; }
chmod 0644 "$tmp/package/axe.min.js"
mv -f "$tmp/package/axe.min.js" "$file"
printf '%s\n' "$file"
