#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `igvk parity` does with folders that are not as they should be, and what --out writes.
#
#     tests/cases/test_parity.sh SOURCE_FOLDER PROGRAM
set -u
cases=$1/tests/cases
program=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

fresh() { # CASE: a copy to spoil
    rm -rf spoilt
    mkdir spoilt
    cp -r "$cases/$1" spoilt/
}

expect() { # WHAT CODE TEXT ARGUMENT...: the exit code, and what must be said
    local what=$1 code=$2 text=$3 got
    shift 3
    "$program" parity "$@" >log 2>&1
    got=$?
    [[ $got == "$code" ]] && grep -q -- "$text" log && return
    echo "FAILED: $what: exit code $got, must be $code, with '$text'"
    cat log
    exit 1
}

# Out of bounds in one way or another: 1.
fresh forward && sed -i 's#"uncond/D_f"#"uncond/D_g"#' spoilt/forward/tolerances.json
expect 'no tolerance for a tensor' 1 '^OUT .*uncond/D_f.*no tolerance' spoilt/forward
fresh forward && LC_ALL=C sed -i 's#"uncond/D_f"#"uncond/D_g"#' spoilt/forward/outputs.safetensors
expect 'a tensor that nothing computes' 1 '^OUT .*uncond/D_g.*not computed' spoilt/forward
fresh forward && sed -i 's#"f32": .*#"f32": 1e-30#' spoilt/forward/tolerances.json
expect 'bounds that nothing can hold' 1 '^OUT .*uncond/D_f' spoilt/forward
expect 'other bounds by --tolerances' 0 ' 0 out$' --tolerances "$cases/forward/tolerances.json" spoilt/forward

# Unusable: 2.
fresh forward && rm spoilt/forward/case.json
expect 'no case.json' 2 'case.json' spoilt/forward
fresh forward && rm spoilt/forward/tolerances.json
expect 'no tolerances' 2 'tolerances' spoilt/forward
fresh forward && mv spoilt/forward spoilt/other
expect 'no tolerances for this case' 2 "'other'" spoilt/other
fresh forward && truncate -s -8 spoilt/forward/outputs.safetensors
expect 'a cut file' 2 'outputs.safetensors' spoilt/forward
fresh forward && sed -i 's#sit_forward#sit_backward#' spoilt/forward/case.json
expect 'an unknown kind' 2 'sit_backward' spoilt/forward
fresh forward && rm spoilt/forward/weights.safetensors
expect 'no weights' 2 'uncond/' spoilt/forward
expect 'no such folder' 2 'nowhere' nowhere

# Tolerances beside the folder; its name by the resolved path.
fresh forward && mv spoilt/forward/tolerances.json spoilt/
expect 'tolerances of the parent' 0 ' 0 out$' spoilt/forward/../forward/.

# --out: the same names, shapes and types, and what was computed: compared with itself nothing differs.
fresh forward
expect '--out' 0 ' 0 out$' --out computed spoilt/forward
cp computed/outputs.safetensors spoilt/forward/
expect 'against what was computed' 0 ' 0 out$' spoilt/forward
! grep -v 'error 0.000e+00' log | grep '^ok' || { echo 'FAILED: --out did not write what was computed'; exit 1; }
[[ $(stat -c %s computed/outputs.safetensors) == "$(stat -c %s "$cases/forward/outputs.safetensors")" ]] ||
    { echo 'FAILED: --out wrote another size'; exit 1; }
fresh sampler && cp -r "$cases/forward" spoilt/ && sed -i 's#"f32": .*#"f32": 1e-30#' spoilt/*/tolerances.json
expect '--out of several folders, all out' 1 ' out$' --out both spoilt/forward spoilt/sampler
for case in forward sampler; do
    [[ -s both/$case/outputs.safetensors ]] || { echo "FAILED: no both/$case/outputs.safetensors"; exit 1; }
done
echo 'parity: folders as they should not be are told apart'
