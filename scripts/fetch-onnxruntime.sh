#!/bin/sh
# Fetches the ONNX Runtime library into the cache folder and prints its path.
#
# The library is taken from the npm package onnxruntime-node through npm, so the
# machine's own registry settings and mirrors hold. Only the .so is kept, only
# after its SHA-256 is right, and it appears in the cache whole or not at all.
# With the library there already it only checks and prints. GALEN_ONNXRUNTIME
# names a library of your own and turns the download off.
#
# galen/models/onnx looks in the same place (onnx.DefaultPath): a change of
# version is a change there as well.
set -eu

version=1.30.0

if [ -n "${GALEN_ONNXRUNTIME:-}" ]; then
	[ -f "$GALEN_ONNXRUNTIME" ] || { echo "GALEN_ONNXRUNTIME: no such file" >&2; exit 1; }
	printf '%s\n' "$GALEN_ONNXRUNTIME"
	exit 0
fi

[ "$(uname -s)" = Linux ] || { echo "only Linux has a library here: set GALEN_ONNXRUNTIME to your own" >&2; exit 1; }
case "$(uname -m)" in
x86_64 | amd64) arch=x64 sum=ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23 ;;
aarch64 | arm64) arch=arm64 sum=1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76 ;;
*) echo "no library for $(uname -m): set GALEN_ONNXRUNTIME to your own" >&2; exit 1 ;;
esac

dir="${XDG_CACHE_HOME:-$HOME/.cache}/galen/onnxruntime-$version/linux-$arch"
lib="$dir/libonnxruntime.so.1"
right() { printf '%s  %s\n' "$sum" "$1" | sha256sum --check --status; }

if [ -f "$lib" ] && right "$lib"; then
	printf '%s\n' "$lib"
	exit 0
fi

mkdir -p "$dir"
tmp=$(mktemp -d "$dir/.fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

echo "fetching onnxruntime-node@$version (once)" >&2
(cd "$tmp" && npm pack --silent "onnxruntime-node@$version" >name)
member="package/bin/napi-v6/linux/$arch/libonnxruntime.so.1"
tar -xzf "$tmp/$(tail -n 1 "$tmp/name")" -C "$tmp" "$member"
right "$tmp/$member" || { echo "the library's SHA-256 is not $sum: not installed" >&2; exit 1; }
chmod 0644 "$tmp/$member"
mv -f "$tmp/$member" "$lib"
printf '%s\n' "$lib"
