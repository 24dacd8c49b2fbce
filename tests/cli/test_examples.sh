#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The examples that end the help texts work as they stand, one after the other from an empty folder; training and
# sampling are cut to a few steps here. Then two ways of stopping.
#
#     tests/cli/test_examples.sh SOURCE_FOLDER PROGRAM
set -u
program=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
igvk() { "$program" "$@"; }

igvk info >/dev/null 2>info.err || { cat info.err && echo 'skipped: no device' && exit 77; }

examples() { # COMMAND...: one a line
    igvk help "$@" | sed '1,/^Example/d' | sed -e ':join' -e '/\\$/{N;s/ *\\\n */ /;b join}'
}

fail() {
    echo "FAILED: $1"
    [[ ! -s log ]] || tail -5 log
    exit 1
}

count=0
for command in info 'data glyphs' 'data show' train sample 'data images' export import inspect parity bench completion help; do
    # shellcheck disable=SC2086 # two words
    while IFS= read -r example; do
        example=${example/--time 5m/--steps 3}
        example=${example/--time 10m/--steps 5}
        example=${example/--batch 64/--batch 8}
        example=$(sed 's/--num-steps [0-9]*/--num-steps 2/' <<<"$example")
        echo "$example"
        eval "$example" >log 2>&1 </dev/null || fail "$example: exit code $?"
        grep '^igvk:' log && fail "$example: says that something is wrong"
        count=$((count + 1))
    done < <(examples $command)
done
[[ $count -ge 13 ]] || fail "only $count examples were found"
for made in glyphs/dataset.json glyphs.png run/config.json sheet.png samples/000000.png own/dataset.json model.safetensors; do
    [[ -s $made ]] || fail "no $made was made"
done

# ---- a resumed run refuses what contradicts it and takes what may change
igvk train --resume run --width 256 >/dev/null 2>log && fail 'a contradicting flag was taken'
grep -q '^igvk: --width "256" contradicts the run run, which has "192"' log || fail 'the contradiction is not told'
igvk train --resume run --width 192 --steps 6 >/dev/null 2>log || fail 'flags that agree were refused'

# ---- Ctrl-C and kill: work stops, is saved, and the exit code says why
stop() { # SIGNAL CODE COMMAND...
    local signal=$1 code=$2 got
    shift 2
    # A script's background jobs ignore Ctrl-C; env gives it back.
    env --default-signal=INT "$program" "$@" 2>log >/dev/null &
    sleep 2
    kill "-$signal" $!
    wait $!
    got=$?
    [[ $got -eq $code ]] || fail "$* after SIG$signal: exit code $got, not $code"
    grep -q '^igvk: stopping' log || fail "$* after SIG$signal: does not tell that it stops"
}
stop INT 130 train --resume run --steps 1000000
stop TERM 143 train --resume run --steps 1000000
igvk sample --model run --mode ode --num-steps 2 --sheet again.png >/dev/null 2>log || fail 'a stopped run is unreadable'
stop INT 130 data glyphs --variants 5000 --out many
[[ ! -e many/dataset.json ]] || fail 'an interrupted dataset was left'
echo "$count examples worked"
