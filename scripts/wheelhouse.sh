#!/bin/sh
# Gathers everything that a server needs into one directory, for machines that reach no registry:
#   sh scripts/wheelhouse.sh .venv/bin wheelhouse
# Then, anywhere with the same Python version and platform, from the directory alone, each file checked by hash:
#   python3 -m venv /opt/medlock
#   /opt/medlock/bin/python -m pip install --no-index --find-links wheelhouse --require-hashes -r wheelhouse/requirements.txt
# Further arguments go to `pip download` (--platform, --python-version). Only wheels are taken: nothing is built there.
set -eu
bin=$1
out=$2
shift 2
mkdir -p "$out"
"$bin/python" -m pip download --quiet --disable-pip-version-check --require-hashes --only-binary :all: --no-deps \
    -d "$out" "$@" -r locks/server.txt
rm -f "$out"/medlock-*.whl
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-315532800} "$bin/python" -m pip wheel --quiet --disable-pip-version-check \
    --no-deps --no-build-isolation -w "$out" .
wheel=$(cd "$out" && ls medlock-*.whl)
version=$(echo "$wheel" | cut -d- -f2)
hash=$(sha256sum "$out/$wheel" | cut -d' ' -f1)
{
    cat locks/server.txt
    echo "medlock==$version \\"
    echo "    --hash=sha256:$hash"
} > "$out/requirements.txt"
