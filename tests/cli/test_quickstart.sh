#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tools/quickstart without its packages and its build, which are there: what it says of the device and of the run, and
# that a second call goes on with the run.
#
#     tests/cli/test_quickstart.sh SOURCE_FOLDER PROGRAM
set -u
source=$(cd "$1" && pwd)
program=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

"$program" info >info 2>&1 || { cat info && echo 'skipped: no device' && exit 77; }
mkdir tools build bin
sed 's/--num-steps 18/--num-steps 2/' "$source/tools/quickstart" >tools/quickstart # slow drivers
chmod +x tools/quickstart
ln -s "$program" build/igvk
ln -s "$source/assets" assets
printf '#!/bin/sh\n' | tee tools/packages >bin/cmake
chmod +x tools/packages bin/cmake
PATH=$folder/bin:$PATH

fail() {
    echo "FAILED: $1"
    cat log
    exit 1
}
newest() { (cd quickstart/run && ls checkpoint-*.safetensors | tail -n 1); }
quickstart() { IGVK_QUICKSTART_TIME=6s tools/quickstart >log 2>&1 </dev/null || fail "exit code $?"; }

quickstart
grep -q 'from scratch' log || fail 'the first call does not begin a run'
if grep -q '^\* .*(cpu)$' info; then
    grep -q '^No GPU' log || fail 'does not say that it runs on the processor'
else
    ! grep -q '^No GPU' log || fail 'says that there is no GPU'
fi
first=$(newest)
step=$(sed 's/checkpoint-0*\([0-9][0-9]*\).*/\1/' <<<"$first")
grep -q "^The run is at step $step[,;]" log || fail "does not say that the run is at step $step"
grep -q 'igvk train --resume quickstart/run --time' log || fail 'does not say how to go on'
[[ -s quickstart/sheet.png ]] || fail 'no sheet'

quickstart
grep -q 'going on with the run' log || fail 'the second call does not go on'
[[ ! $(newest) < $first ]] || fail "the second call lost the run: it is at $(newest)"
grep -q "resuming at step $step" log || fail 'the run did not begin where it was'
echo 'quickstart: begins and goes on'
