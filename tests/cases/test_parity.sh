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

# 16-bit weights have bounds of their own, which f32 would hold easily and f32's own bounds which they would not.
for type in f16 bf16; do
    fresh forward && sed -i "s#\"f32\": .*#\"f32\": 1e-30, \"$type\": 0.1#" spoilt/forward/tolerances.json
    expect "weights of $type" 0 ' 0 out$' --precision $type spoilt/forward
    if grep -q 'done in f32' log; then continue; fi
    fresh forward && sed -i "s#\"f32\": .*#\"f32\": 1, \"$type\": 1e-5#" spoilt/forward/tolerances.json
    expect "weights of $type by bounds of f32" 1 '^OUT ' --precision $type spoilt/forward
done
expect 'f16 without bounds' 1 'no tolerance' --precision f16 "$cases/forward"
expect 'training in f16 without bounds' 1 'no tolerance' --precision f16 "$cases/training"
for type in f16 bf16; do
    fresh training && sed -i "s#\"f32\": .*#\"f32\": 1e-30, \"$type\": 0.1#" spoilt/training/tolerances.json
    expect "training in $type" 0 ' 0 out$' --precision $type spoilt/training
done
expect 'built-in cases in f16' 2 'name folders' --precision f16

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

# Numbers of case.json that would wrap or be cut to others.
for value in 4294967297 1.5 -1 1e30; do
    fresh training && sed -i "s#\"steps\": 1#\"steps\": $value#" spoilt/training/case.json
    expect "$value steps" 2 "'steps'" spoilt/training
    fresh training && sed -i "s#\"gradient_accumulation_steps\": 2#\"gradient_accumulation_steps\": $value#" spoilt/training/case.json
    expect "$value batches a step" 2 "'gradient_accumulation_steps'" spoilt/training
done

# Weights of as many elements in another shape; a label that is no class.
transposed='s#\("uncond/t_embedder.mlp.0.weight":{"dtype":"F32","shape":\[\)12,256\]#\1256,12]#'
fresh forward && LC_ALL=C sed -i "$transposed" spoilt/forward/weights.safetensors
expect 'a transposed weight' 2 "weight 'uncond/t_embedder.mlp.0.weight'" spoilt/forward
fresh forward && sed -i 's#"num_classes": 5#"num_classes": 2#' spoilt/forward/case.json
expect 'a label that is no class' 2 'is no class' spoilt/forward

# Images of ones, stored as f16, f32 and f64: the same numbers.
ones() { # TYPE BYTES_OF_ONE(octal, low first): uncond's images of ones in inputs.safetensors
    local size=$((120 * ${#2} / 4)) data header
    header='{"uncond/y":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},'
    header+='"uncond/t":{"dtype":"F32","shape":[2],"data_offsets":[16,24]},'
    header+="\"uncond/x\":{\"dtype\":\"$1\",\"shape\":[2,1,10,6],\"data_offsets\":[24,$((24 + size))]}}"
    while ((${#header} % 8)); do header+=' '; done
    # shellcheck disable=SC2059 # escapes are what it is for
    {
        printf "\\$(printf '%03o' $((${#header} % 256)))\\$(printf '%03o' $((${#header} / 256)))\\0\\0\\0\\0\\0\\0"
        printf '%s' "$header"
        head -c 24 /dev/zero
        for ((i = 0; i < 120; i++)); do printf "$2"; done
    } >spoilt/forward/inputs.safetensors
}
fresh forward
sed -i '/"name": "wide"/,/"name": "uncond"/{/"name": "uncond"/!d}' spoilt/forward/case.json # one run is left
one_f16='\000\074' one_f32='\000\000\200\077' one_f64='\000\000\000\000\000\000\360\077'
ones F32 "$one_f32"
expect 'one run of two' 1 'uncond/D_f' --out ones spoilt/forward
cp ones/outputs.safetensors spoilt/forward/
sed -i 's#"f32": .*#"f32": 0#' spoilt/forward/tolerances.json
ones F16 "$one_f16"
expect 'images stored as f16' 0 ' 0 out$' spoilt/forward
ones F64 "$one_f64"
expect 'images stored as f64' 0 ' 0 out$' spoilt/forward

# One unusable folder of several: told, passed over, and the rest is counted.
expect 'unusable folders among others' 2 'nowhere: no such folder' nowhere "$cases/forward" nothing "$cases/sampler"
for said in '^ok .*forward' '^ok .*sampler' '^[1-9][0-9]* within, 0 out$' '^igvk: 2 of 4 folders could not be used'; do
    grep -q "$said" log || { echo "FAILED: unusable folders among others: no '$said'"; cat log; exit 1; }
done

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
