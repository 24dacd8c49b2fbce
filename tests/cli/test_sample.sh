#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `igvk sample` with the demo model: folders that are gone on with, sheets over one scale, nearest training images.
#
#     tests/cli/test_sample.sh SOURCE_FOLDER PROGRAM
set -u
program=$2
demo=$(cd "$1" && pwd)/assets/demo.safetensors
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

"$program" info >/dev/null 2>info.err || { cat info.err && echo 'skipped: no device' && exit 77; }

fail() {
    echo "FAILED: $1"
    [[ ! -s log ]] || tail -5 log
    exit 1
}

sample() { "$program" sample --mode ode --num-steps 2 "$@" >log 2>&1 </dev/null; }
works() { sample "$@" || fail "$*: exit code $?"; }
refuses() { # TEXT ARGUMENTS...
    local text=$1
    shift
    sample "$@"
    [[ $? -eq 2 ]] && grep -q -- "$text" log || fail "$*: not refused with '$text'"
}
side() { # FILE OFFSET: a PNG's width (16) or height (20)
    od -An -tu1 -j"$2" -N4 "$1" | awk '{print (($1 * 256 + $2) * 256 + $3) * 256 + $4}'
}

# ---- a folder is gone on with under the same weights alone, whatever their file is called
mkdir run other
cp "$demo" run/checkpoint-00004000.safetensors
"$program" export --model run/checkpoint-00004000.safetensors --out other/checkpoint-00004000.safetensors || fail export
works --model run --classes A,B,C --out images
rm images/000002.png
works --model run --classes A,B,C --out images
grep -q '2 images are there already' log || fail 'a folder was not gone on with'
rm images/000002.png
refuses 'made with other settings' --model other --classes A,B,C --out images
works --model run --classes A,B,C --out images --sheet images.png

# ---- grids over one scale
works --model run --classes A,B --grid ig=1,1.5 --sheet ig.png
works --model run --classes A,B --grid cfg=1,1.5 --sheet cfg.png
works --model run --classes A,B --grid 'ig=1 cfg=1,1.5' --sheet same.png
cmp -s cfg.png same.png || fail 'a grid over CFG alone is not that of IG 1'
works --model run --classes A,B --grid ig=1 --sheet row.png
[[ $(($(side ig.png 20) - $(side row.png 20))) -eq 52 ]] || fail 'a grid over IG has not a row a scale' # 3 * 16 + 4

# ---- a model without a no-class row takes IG alone
"$program" data glyphs --characters AB --variants 20 --out glyphs >log 2>&1 || fail 'data glyphs'
"$program" train --data glyphs --out plain --width 32 --depth 2 --heads 2 --patch 4 --head-after 1 --batch 4 \
    --label-dropout 0 --steps 2 --sheet-every 0 --validate-every 0 >log 2>&1 || fail train
works --model plain --grid ig=1,1.4 --sheet plain.png
refuses 'no-class label' --model plain --grid 'ig=1 cfg=1,1.5' --sheet no.png
refuses 'no-class label' --model plain --cfg-scale 1.5 --sheet no.png
refuses 'are of DiT and MDTv2' --model plain --solver ddim --sheet no.png
refuses 'are of DiT and MDTv2' --model plain --cfg-channels all --sheet no.png
refuses '--eta' --model plain --eta 0.5 --sheet no.png
[[ ! -e no.png ]] || fail 'a refused sheet was written'

# ---- a recipe's settings, which flags override wherever they stand
"$program" sample --num-steps 2 --ig-scale 1.2 --recipe sit-b2-ig-high --mode ode --model "$demo" --classes A,B \
    --sheet recipe.png >log 2>&1 || fail 'a recipe with flags'
grep -q 'recipe sit-b2-ig-high of SiT-B/2: --mode sde.*--ig-guidance-low 0.3' log || fail 'the recipe is not told'
grep -q 'is not a SiT-B/2' log || fail 'that the model is another is not told'
works --model "$demo" --ig-scale 1.2 --ig-guidance-low 0.3 --classes A,B --sheet flags.png
cmp -s recipe.png flags.png || fail 'a recipe with flags is not these flags'

# ---- a second model in the auxiliary head's place
works --model "$demo" --classes A,B --autoguidance "$demo" --autoguidance-scale 1.5 --npz self.npz
works --model "$demo" --classes A,B --npz none.npz
cmp -s self.npz none.npz || fail 'a model guided by itself is not that model'
"$program" train --data glyphs --out weak --width 32 --depth 2 --heads 2 --patch 4 --head-after 1 --batch 4 \
    --steps 2 --sheet-every 0 --validate-every 0 >log 2>&1 || fail train
works --model weak --count 2 --autoguidance plain --autoguidance-scale 1.5 --npz guided.npz
grep -q 'no-class' log && fail 'a weak model without a no-class row is refused without CFG'
refuses '--autoguidance plain: was trained without a no-class label' --model weak --autoguidance plain \
    --autoguidance-scale 1.5 --cfg-scale 1.5 --sheet no.png
refuses 'needs --autoguidance' --model "$demo" --autoguidance-scale 1.5 --sheet no.png
refuses 'does nothing at --autoguidance-scale 1' --model "$demo" --autoguidance "$demo" --sheet no.png
refuses 'exclude each other' --model "$demo" --autoguidance "$demo" --autoguidance-scale 2 --ig-scale 1.4 --sheet no.png
refuses '--autoguidance plain: makes images of 1x16x16 in 2 classes, --model of 1x16x16 in 26' --model "$demo" \
    --autoguidance plain --autoguidance-scale 1.5 --sheet no.png
refuses 'nowhere' --model "$demo" --autoguidance nowhere --autoguidance-scale 1.5 --sheet no.png
[[ ! -e no.png ]] || fail 'a refused sheet was written'

# ---- each sample above its nearest training image
works --model plain --count 5 --against glyphs --nearest-sheet nearest.png
grep -q 'nearest training image is of the class asked for: all: [0-5] of 5' log || fail 'no count of classes'
works --model plain --count 5 --sheet alone.png
rows=$(((5 + 1) / 2)) # classes A and B in turn: two columns
[[ $(($(side nearest.png 20) - $(side alone.png 20))) -eq $((rows * 52)) ]] || fail 'not a row of nearest images a row of samples'
works --model plain --grid ig=1,1.4 --against glyphs --sheet grid.png --nearest-sheet nearest.png
[[ $(grep -c 'nearest training image is of the class' log) -eq 2 ]] || fail 'not a count for each row'
refuses 'cannot write nowhere/x.png' --model plain --against glyphs --nearest-sheet nowhere/x.png
# ---- what does not fit is refused like other wrong numbers
(export IGVK_MEMORY=3000000; refuses 'its weights need' --model "$demo" --count 1 --sheet no.png) || exit 1
[[ ! -e no.png ]] || fail 'a sheet that does not fit was written'
# ---- vectors of a software driver, with a cache of their own
works --model plain --count 2 --vector-width 128 --sheet narrow.png
if "$program" info | grep -q '^\* .*llvmpipe'; then
    for bits in 128 256; do
        XDG_CACHE_HOME=$PWD/cache "$program" bench --only kernels --vector-width $bits >log || fail "kernels of $bits bits"
        grep -q "^| patch, $((bits / 32)) invocations" log || fail "vectors are not of $bits bits"
        compgen -G "cache/igvk/pipelines-*-$((bits / 32)).bin" >/dev/null || fail "no cache of $bits bits"
    done
fi
echo 'samples: folders, grids and nearest images as they should be'
