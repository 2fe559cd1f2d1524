#!/bin/sh
# Installs exactly what the lock files name, each file checked by hash, then medlock itself, editable.
# uv is tried first because it is ten times faster; pip serves where uv finds no registry.
set -eu
bin=$1
run() {
    if [ -z "${MEDLOCK_NO_UV:-}" ] && "$bin/uv" pip install --quiet --python "$bin/python" "$@"; then
        return
    fi
    "$bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}
run --require-hashes -r locks/dev.txt
run --require-hashes --no-deps -r locks/definitions.txt
run --no-deps --no-build-isolation -e .
