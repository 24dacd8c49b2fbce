#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The shipped demo model still draws letters: of 260 samples of fresh seeds, ten a letter, the nearest training image (L2)
# is of the class asked for in at least 90 % with IG, and in no fewer than without guidance.
#     test_demo.sh SOURCE_FOLDER PROGRAM
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

if ! "$2" data glyphs --out "$folder/letters" >"$folder/log" 2>&1; then
    echo "skipped: no glyph images: $(tail -n 1 "$folder/log")"
    exit 77
fi
"$2" sample --model "$1/assets/demo.safetensors" --classes balanced --count 260 --seed 20000 --mode ode --heun \
    --num-steps 18 --ig-scale 1.5 --sheet-rows none,ig --sheet "$folder/sheet.png" --against "$folder/letters" 2>&1 |
    tee "$folder/counts"

count() { # ROW: how many of 260
    sed -n "s/^nearest training image is of the class asked for: $1[^:]*: \([0-9]*\) of 260 .*/\1/p" "$folder/counts"
}
none=$(count none)
ig=$(count IG)
echo "of 260: $none unguided, $ig with IG"
[[ -n $none && -n $ig ]] || { echo "the counts are missing"; exit 1; }
[[ $ig -ge 234 ]] || { echo "fewer than 90 % with IG"; exit 1; }
[[ $ig -ge $none ]] || { echo "fewer with IG than without"; exit 1; }
