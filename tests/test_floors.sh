#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The floors of src/: each includes only floors before it, with the exceptions of docs/conventions.md; the program
# includes the public headers and its own alone.
#
#     tests/test_floors.sh SOURCE_FOLDER
set -u

floors=(core formats graph ops vulkan models data sampling training api cli)

place() { # of a floor in the list; empty where it is none
    local i
    for i in "${!floors[@]}"; do
        [[ ${floors[i]} == "$1" ]] && echo "$i" && return
    done
}

allowed() { # FLOOR INCLUDE: whether a file of FLOOR may include INCLUDE (as written between quotes)
    local floor=$1 include=$2 head=${2%%/*}
    case $include in
    ../../shaders/include/*.h) include=${include##*/} head=$include ;; # the same by its path
    *..*) return 1 ;;                                # around the rule
    igvk/igvk.h) return 0 ;;
    igvk/igvk_experimental.h) [[ $floor == api || $floor == cli ]] && return 0 || return 1 ;;
    esac
    [[ $floor == cli ]] && { [[ $head == cli ]] && return 0 || return 1; }
    [[ $head == "$include" ]] && return 0            # no folder: generated, or shared with the shaders
    [[ $floor == models && $head == vulkan ]] && return 1
    local there
    there=$(place "$head")
    [[ -n $there && $there -le $(place "$floor") ]]
}

check() { # SOURCE_FOLDER: prints every include that is not allowed; fails where there is one or nothing to check
    local line file include floor bad=0 seen=0
    while IFS= read -r line; do
        file=${line%%:*}
        include=${line#*\"}
        include=${include%%\"*}
        floor=${file#"$1"/src/}
        floor=${floor%%/*}
        seen=$((seen + 1))
        [[ -n $(place "$floor") ]] && allowed "$floor" "$include" && continue
        echo "$file includes \"$include\", which the floor $floor may not"
        bad=$((bad + 1))
    done < <(grep -rE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$1/src")
    [[ $bad -eq 0 && $seen -gt 0 ]]
}

# The check itself: each of these must be noticed, or let pass.
self_test() {
    local folder=$1 floor include verdict
    while read -r verdict floor include; do
        rm -rf "$folder/src"
        mkdir -p "$folder/src/$floor"
        printf '#include "%s"\n' "$include" >"$folder/src/$floor/file.c"
        if check "$folder" >/dev/null; then
            [[ $verdict == good ]]
        else
            [[ $verdict == bad ]]
        fi || { echo "the floors test takes $floor including $include for the opposite of $verdict"; return 1; }
    done <<'END'
good core core/status.h
bad core formats/image.h
good ops graph/graph.h
bad ops models/model.h
bad ops vulkan/device.h
bad models vulkan/device.h
good models ops/ops.h
bad data models/../training/loop.h
good training step_block.h
good training ../../shaders/include/step_block.h
bad training ../../src/api/options.h
bad training api/options.h
bad graph igvk/igvk_experimental.h
good api igvk/igvk_experimental.h
good cli cli/console.h
good cli igvk/igvk.h
bad cli core/text.h
bad cli api/options.h
bad cli step_block.h
bad cli ../../shaders/include/step_block.h
bad elsewhere core/status.h
END
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
self_test "$folder" || exit 1
check "$1" || exit 1
echo "floors: every include is allowed"
