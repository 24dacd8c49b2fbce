#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the program says and returns when it is used wrongly, and what it prints of itself. Needs no device.
#
#     tests/cli/test_commands.sh SOURCE_FOLDER PROGRAM
set -u
igvk=$2
demo=$(cd "$1" && pwd)/assets/demo.safetensors
export VK_DRIVER_FILES=/nowhere VK_ICD_FILENAMES=/nowhere
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0
tests=0

miss() {
    echo "FAILED: igvk $1"
    echo "  $2"
    failures=$((failures + 1))
}

expect() { # CODE PATTERN ARGUMENTS...: exit code, and a pattern that the one line of error must match
    local code=$1 pattern=$2 got
    shift 2
    tests=$((tests + 1))
    "$igvk" "$@" >out 2>err </dev/null
    got=$?
    [[ $got -eq $code ]] || miss "$*" "exit code $got, not $code: $(cat err)"
    # shellcheck disable=SC2053 # a pattern
    [[ $(cat err) == $pattern ]] || miss "$*" "says \"$(cat err)\", not \"$pattern\""
    [[ $code -eq 0 || $(wc -l <err) -eq 1 ]] || miss "$*" "errors are one line"
    [[ -z $(find . -mindepth 1 ! -name out ! -name err) ]] || miss "$*" "left files behind: $(ls)"
}

shows() { # PATTERN ARGUMENTS...: succeeds quietly and prints a match
    local pattern=$1
    shift
    expect 0 '' "$@"
    # shellcheck disable=SC2053
    [[ $(cat out) == $pattern ]] || miss "$*" "prints no match of \"$pattern\""
}

# ---- commands
shows 'igvk [0-9].[0-9]*.[0-9]*' --version
shows '*Usage: igvk COMMAND*data glyphs*sample*A first session*' --help
shows '*Usage: igvk COMMAND*' help
shows '*data glyphs*data images*data latents*data show*' help data
shows '*data glyphs*data images*data latents*data show*' data --help
expect 2 'igvk: smaple: no such command; did you mean `igvk sample`?' smaple
expect 2 'igvk: data glyph: no such command; did you mean `igvk data glyphs`?' data glyph
expect 2 'igvk: data: what of it?*' data
expect 2 'igvk: zzzzzzzzz: no such command; `igvk help` lists them' zzzzzzzzz
expect 2 'igvk: zzzzzzzzz: no such command*' help zzzzzzzzz
expect 2 'igvk: --device: the command comes first*' --device 0 sample
"$igvk" >out 2>err
[[ $? -eq 2 && ! -s out ]] && grep -q Usage err || miss '' 'without words it is told how it is used, and that is wrong use'

# ---- flags
expect 2 'igvk: --cfg-scal: no such option; did you mean --cfg-scale?' sample --cfg-scal 2
expect 2 'igvk: -cfg-scale: flags begin with two dashes: --cfg-scale' sample -cfg-scale 2
expect 2 'igvk: -out: flags begin with two dashes: --out' sample -out x
expect 2 'igvk: --o: no such option*' sample -o x
expect 2 'igvk: --cfg-scale: its value is missing: --cfg-scale W' sample --cfg-scale
expect 2 'igvk: --cfg-scale: its value is missing before --heun;*' sample --cfg-scale --heun
expect 2 'igvk: --cfg-scale "-1": must be a number from 1 to 1000' sample --cfg-scale -1
expect 2 'igvk: --cfg-scale "-.5": must be*' sample --cfg-scale -.5
expect 2 'igvk: --cfg-scale "": must be*' sample --cfg-scale=
expect 2 'igvk: --cfg-scale "1,5": must be*' sample --cfg-scale 1,5
expect 2 'igvk: --cfg-scale is given twice: "2" and "3"' sample --cfg-scale 2 --cfg-scale=3
expect 2 'igvk: --heun "maybe": must be true or false' sample --heun=maybe
expect 2 'igvk: --mode "foo": must be auto, sde or ode' sample --mode foo
expect 2 'igvk: --num-steps "0": must be*' sample --num-steps 0
expect 2 'igvk: --seed "9007199254740992": must be*' sample --seed 9007199254740992
expect 2 'igvk: --guidance-high "1.1": must be a number from 0 to 1' sample --guidance-high 1.1
expect 2 'igvk: --time "8x": must be a time*' train --time 8x
expect 2 'igvk: --ema "1": must be*' train --ema 1
expect 2 'igvk: "x": `igvk sample` takes flags alone*' sample x
expect 2 'igvk: "true": `igvk sample` takes flags alone*' sample --heun true
expect 2 'igvk: "--heun": `igvk sample` takes flags alone*' sample -- --heun
expect 2 'igvk: "b": `igvk data images` takes one DIR, and "a" is it' data images a b
expect 2 'igvk: --from is given twice*' data images a --from b
expect 2 'igvk: --x: `igvk info` takes no flags' info --x
expect 2 "igvk: --out: its text is 1024 bytes long*" sample --out "$(printf '%1024s' | tr ' ' a)"
expect 2 'igvk: --mode "a??[[]2Jb": must be auto, sde or ode' sample --mode $'a\n\033[2Jb'
expect 2 'igvk: completion: for which shell?*' completion tcsh

# ---- input that the library refuses
expect 2 'igvk: --out: name the folder to make' data glyphs
expect 2 'igvk: --from: name*' data images --out x
expect 2 'igvk: --out: name*' data images .
expect 2 'igvk: --data: name*' data show --out x.png
expect 2 'igvk: --data: name*' data latents --out x
expect 2 'igvk: --vae: name*' data latents . --out x
expect 2 'igvk: *nowhere*' data images nowhere --out x
expect 2 'igvk: *nowhere*' data show nowhere --out x.png
expect 2 'igvk: *nowhere*' train --resume nowhere
expect 2 'igvk: *nowhere*' train --data nowhere --out x --model SiT-S/2
expect 2 'igvk: *nowhere*' sample --model nowhere --out x
expect 2 'igvk: *nowhere*' export --model nowhere --out x
expect 2 'igvk: *nowhere*' inspect nowhere
expect 2 'igvk: name the file to import*' import --out x
expect 2 'igvk: --out: name*' import x
expect 2 'igvk: *nowhere*' import nowhere --out x
expect 2 'igvk: --kind "x": no kind*' import nowhere --out x --kind x
expect 2 'igvk: *nowhere*' inspect nowhere.pt
expect 2 'igvk: inspect: which file*' inspect
expect 2 'igvk: *nowhere*' parity nowhere
expect 2 'igvk: cannot write nowhere/x.json: *' bench --json nowhere/x.json

# ---- what sampling refuses before it opens a device
refuses() { # PATTERN ARGUMENTS...
    local pattern=$1
    shift
    expect 2 "$pattern" sample --model "$demo" "$@"
}
refuses 'igvk: nothing to write*' --count 2
refuses 'igvk: --classes: *Z9*' --classes A,Z9 --sheet x.png
refuses "igvk: cannot write nowhere/x.png: *" --sheet nowhere/x.png
refuses "igvk: cannot write nowhere/x.npz: *" --npz nowhere/x.npz
refuses 'igvk: cannot create folder out*' --out out # a file of that name is the test's own
refuses 'igvk: x.png: a sheet of *' --classes A,B --count 4000 --sheet x.png
refuses 'igvk: --count 5000: *4096*' --count 5000 --sheet x.png
refuses 'igvk: x.png: a sheet of *' --count 1000 --grid ig=1,2,3,4 --sheet x.png
refuses 'igvk: cannot write nowhere/x.png: *' --grid ig=1,2 --sheet nowhere/x.png
refuses 'igvk: --grid: *x=1*' --grid x=1 --sheet x.png
refuses 'igvk: --grid: names no scale*' --grid ' ' --sheet x.png
refuses "igvk: --sheet-rows: row 'ig'*" --sheet-rows none,ig --sheet x.png
refuses 'igvk: *nowhere*' --sheet x.png --against nowhere
refuses 'igvk: *nowhere*' --sheet-rows none --sheet x.png --compare nowhere
refuses 'igvk: --nearest-sheet *--against DIR' --sheet x.png --nearest-sheet y.png

# ---- recipes
refuses 'igvk: --recipe "x": no recipe is called so; one of sit-xl2-ig-cfg*' --recipe x --sheet x.png
refuses 'igvk: --recipe lightningdit-xl1-ig: is of LightningDiT-XL/1*kind sit*' --recipe lightningdit-xl1-ig --sheet x.png
expect 2 'igvk: --recipe "x": no recipe*one of sit-xl2*' train --recipe x --data . --out x
shows '*sit-xl2-ig-cfg  (SiT-XL/2)*--cfg-scale 1.35 --guidance-high 0.7*FID 1.46*source: paper*' sample --recipes
shows '*sit-b2  (SiT-B/2)*--head-after 4*source: paper*' train --recipes

# ---- what it prints of itself
for command in info 'data glyphs' 'data images' 'data latents' 'data show' train sample export import inspect parity bench completion help; do
    # shellcheck disable=SC2086 # two words
    shows "*Usage: igvk $command*Example*  igvk *" $command --help
    [[ $(awk 'length > 110' out) ]] && miss "help $command" 'has lines of more than 110 columns'
    # shellcheck disable=SC2086
    "$igvk" help $command | cmp -s - out || miss "help $command" "is not $command --help"
done
shows '.TH IGVK 1*.SS igvk sample*cfg\\-scale*EXIT STATUS*' help --man
if command -v man >/dev/null && man --warnings -l /dev/null >/dev/null 2>&1; then
    "$igvk" help --man >igvk.1
    warnings=$(LC_ALL=C.UTF-8 MANROFFSEQ='' man --warnings -l -Tutf8 ./igvk.1 2>&1 >/dev/null)
    [[ -z $warnings ]] || miss 'help --man' "$warnings"
    rm igvk.1
fi
for shell in bash zsh fish; do
    shows '*cfg-scale*' completion $shell
    command -v $shell >/dev/null || continue
    cp out script
    $shell -n script || miss "completion $shell" 'is no valid script'
    rm script
done
if [[ -w /dev/full ]]; then
    "$igvk" help >/dev/full 2>err
    [[ $? -eq 2 ]] || miss 'help >/dev/full' 'a full disk is an error'
    grep -q '^igvk: cannot write to standard output' err || miss 'help >/dev/full' "says $(cat err)"
fi

# ---- bash's completion, driven as bash drives it
completes() { # WORDS... EXPECTED: completions of the last word contain EXPECTED
    local expected=${!#}
    COMP_WORDS=(igvk "${@:1:$#-1}")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _igvk
    tests=$((tests + 1))
    [[ " ${COMPREPLY[*]} " == *" $expected "* ]] || miss "${COMP_WORDS[*]}<Tab>" "offers \"${COMPREPLY[*]}\", no $expected"
}
eval "$("$igvk" completion bash)"
touch some.file
completes sam sample
completes '' data
completes data gl glyphs
completes data glyphs --var --variants
completes sample --cf --cfg-scale
completes sample --mode o ode
completes sample --mode = o ode
completes sample --model so some.file
completes sample --seed 1 --he --heun
completes parity so some.file
completes completion z zsh
completes help tr train
rm some.file

echo "$tests uses of the program, $failures wrong"
exit $((failures > 0))
