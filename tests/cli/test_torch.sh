#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Files for PyTorch and back: export --torch, inspect, import. Where Python has PyTorch (Debian package python3-torch),
# it reads what igvk writes, with weights_only, and igvk reads what it writes; else that part is left out.
#
#     tests/cli/test_torch.sh SOURCE_FOLDER PROGRAM
set -u
model=$1/assets/demo.safetensors
program=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

fail() {
    echo "FAILED: $1"
    cat log 2>/dev/null
    exit 1
}
igvk() { "$program" "$@" >log 2>&1 || fail "igvk $*: exit code $?"; }
tensors() { "$program" inspect "$1" | grep -v '^__metadata__\|^igvk\|: \(PyTorch\|safetensors\)'; }

# ---- there and back: the same tensors, to the bit, under the same names
igvk export --model "$model" --torch --half --out half.pt
igvk import half.pt --out half.safetensors
bytes() { tail -c 5000000 "$1" | cksum; } # of the tensors, less the header
[[ $(bytes half.safetensors) == "$(bytes "$model")" ]] || fail 'other bytes after export and import'
diff <(tensors "$model") <(tensors half.safetensors) >log || fail 'other tensors after export and import'
igvk export --model half.pt --torch --out whole.pt
igvk export --model whole.pt --half --out again.safetensors
diff <(tensors "$model") <(tensors again.safetensors) >log || fail 'other tensors after two exports'
tensors whole.pt | sed -n 's#^model/##p' | sed 's/F32/F16/' | diff <(tensors "$model") - >log || fail 'no "model" as in "ema"'
"$program" inspect whole.pt | grep -q '^igvk/model  text = ' || fail 'no configuration in the exported file'

# ---- nothing half-written, whatever is wrong
refused() { # TEXT ARGUMENT...: exit 2, one line with TEXT, no file
    local text=$1 got
    shift
    "$program" "$@" >log 2>&1
    got=$?
    [[ $got -eq 2 && $(wc -l <log) -eq 1 ]] && grep -q -- "$text" log || fail "igvk $*: exit code $got, must be 2 with '$text'"
    [[ ! -e out ]] || fail "igvk $*: wrote a file"
}
head -c 1000000 whole.pt >cut.pt
refused 'cut short' inspect cut.pt
refused 'cut short' import cut.pt --out out
refused 'cut short' export --model cut.pt --out out
echo hello >text.pt
refused 'no PyTorch checkpoint' inspect text.pt
refused 'text.pt' import text.pt --out out
refused 'is a folder' import half.pt --out .
printf '\x80\x02cos\nsystem\n(X\x0b\0\0\0touch PWNEDtR.' >evil.pt
refused 'no PyTorch checkpoint' inspect evil.pt
printf '\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02cos\nsystem\n(X\x0b\0\0\0touch PWNEDtR.' >evil.pt
refused 'asks for os.system' inspect evil.pt
refused 'asks for os.system' import evil.pt --out out
[[ ! -e PWNED ]] || fail 'a checkpoint was executed'

# ---- PyTorch
python=${IGVK_PYTHON:-python3}
if ! "$python" -c 'import torch' >/dev/null 2>&1; then
    echo 'export, import and inspect agree; skipped: python3-torch is not installed, so PyTorch itself was not asked'
    exit 77
fi
cat >check.py <<'END'
import argparse, collections, json, struct, sys, torch

def stored(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__")
    return {k: (v["shape"], data[8 + size + v["data_offsets"][0]:8 + size + v["data_offsets"][1]]) for k, v in header.items()}

halves = stored(sys.argv[1])
for name, type in ("half.pt", torch.float16), ("whole.pt", torch.float32):
    root = torch.load(name, map_location="cpu", weights_only=True)
    for part in "ema", "model":
        assert set(root[part]) == set(halves)
        for key, t in root[part].items():
            assert t.dtype == type and list(t.shape) == halves[key][0], key
            assert t.to(torch.float16).contiguous().numpy().tobytes() == halves[key][1], key

whole = torch.arange(12, dtype=torch.float32).reshape(3, 4)
things = collections.OrderedDict(
    whole=whole[:2, :4], turned=whole.t()[1:3], strided=whole[::2, 1::2], scalar=torch.tensor(2.5),
    f64=torch.tensor([0.1], dtype=torch.float64), bf16=torch.tensor([1.5, -2], dtype=torch.bfloat16),
    i64=torch.tensor([-7, 1 << 40]), bool=torch.tensor([True, False]), parameter=torch.nn.Parameter(torch.ones(2)),
    args=argparse.Namespace(lr=1e-4, name="SiT-XL/2", none=None), list=[1, 2.5, "x", None, False])
torch.save(things, "zip.pt")
torch.save(things, "old.pt", _use_new_zipfile_serialization=False)
torch.save(things, "four.pt", pickle_protocol=4)
END
"$python" check.py "$model" >log 2>&1 || fail 'PyTorch reads something else'
cat >expected <<'END'
whole  F32 [2, 4] = 0 1 2 3 4 5 6 7
turned  F32 [2, 3] = 1 5 9 2 6 10
strided  F32 [2, 2] = 1 3 9 11
scalar  F32 [] = 2.5
f64  F64 [1] = 0.1
bf16  BF16 [2] = 1.5 -2
i64  I64 [2] = -7 1099511627776
bool  BOOL [2] = true false
parameter  F32 [2] = 1 1
args/lr  number = 0.0001
args/name  text = "SiT-XL/2"
args/none  none = none
list  list = [1, 2.5, "x", none, false]
END
for file in zip old four; do
    igvk inspect $file.pt
    sed -i '$d' log
    diff expected log || fail "$file.pt of PyTorch reads otherwise"
done
echo 'PyTorch reads what igvk writes, and igvk what PyTorch writes'
