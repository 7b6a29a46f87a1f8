#!/bin/sh
# Makes one model anew: models/training/train.sh NAME, or `make train MODEL=NAME`.
#
# NAME is a folder here with a make.py, which writes its model into
# models/catalog/NAME/<version> (contract: into models/modeltest). The Python
# environment is kept in the cache folder and made anew when requirements.txt
# changes. The same command writes the same bytes.
set -eu

name=${1:?usage: train.sh NAME}
here=$(cd "$(dirname "$0")" && pwd)
[ -f "$here/$name/make.py" ] || { echo "no $name/make.py in models/training" >&2; exit 1; }

needs="$here/requirements.txt" more=
if grep -q 'from learn import' "$here/$name/make.py"; then needs="$here/requirements-learn.txt" more=$needs; fi
if grep -q 'from series import' "$here/$name/make.py"; then needs="$here/requirements-series.txt" more="$more $needs"; fi
# shellcheck disable=SC2086 # a list of files
key=$(cat "$here/requirements.txt" $more | sha256sum | cut -c 1-12)
venv="${XDG_CACHE_HOME:-$HOME/.cache}/galen/training-$key"
if [ ! -f "$venv/ready" ]; then
	rm -rf "$venv"
	/usr/bin/env python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$needs"
	: >"$venv/ready"
fi
PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" "$here/$name/make.py"
