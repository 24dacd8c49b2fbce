#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A checkpoint trained here and exported for PyTorch gives the same outputs there: the official network in a few lines of
# plain PyTorch (Debian package python3-torch) on torch.load's weights, compared by `igvk parity` with igvk's forward.
#
#     tests/cli/test_torch_forward.sh SOURCE_FOLDER PROGRAM
set -u
program=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export XDG_CACHE_HOME=$folder/cache

fail() {
    echo "FAILED: $1"
    cat log 2>/dev/null
    exit 1
}
python=${IGVK_PYTHON:-python3}
if ! "$python" -c 'import torch' >/dev/null 2>&1; then
    echo 'skipped: python3-torch is not installed'
    exit 77
fi
igvk() { "$program" "$@" >log 2>&1 </dev/null || fail "igvk $*: exit code $?"; }

cat >forward.py <<'END'
import json, math, struct, torch
import torch.nn.functional as F

torch.manual_seed(1)
root = torch.load("run.pt", map_location="cpu", weights_only=True)
config, w = json.loads(root["igvk"]["model"]), {k: v.double() for k, v in root["ema"].items()}
heads, patch, channels = config["heads"], config["patch"], config["channels"]
height, width, depth = config["height"], config["width"], config["hidden"]

def linear(x, name):
    return F.linear(x, w[name + ".weight"], w[name + ".bias"])

def norm(x, shift, scale):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)

def block(x, c, k):
    name = f"blocks.{k}."
    shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = linear(F.silu(c), name + "adaLN_modulation.1").chunk(6, -1)
    n, t, d = x.shape
    q, k, v = linear(norm(x, shift_a, scale_a), name + "attn.qkv").reshape(n, t, 3, heads, -1).permute(2, 0, 3, 1, 4)
    a = (q @ k.transpose(-2, -1) / math.sqrt(d // heads)).softmax(-1) @ v
    x = x + gate_a.unsqueeze(1) * linear(a.transpose(1, 2).reshape(n, t, d), name + "attn.proj")
    h = F.gelu(linear(norm(x, shift_m, scale_m), name + "mlp.fc1"), approximate="tanh")
    return x + gate_m.unsqueeze(1) * linear(h, name + "mlp.fc2")

def final(x, c, name):
    shift, scale = linear(F.silu(c), name + ".adaLN_modulation.1").chunk(2, -1)
    y = linear(norm(x, shift, scale), name + ".linear")
    y = y.reshape(len(y), height // patch, width // patch, patch, patch, channels)
    return torch.einsum("nhwpqc->nchpwq", y).reshape(len(y), channels, height, width)

def forward(x, t, y):
    angles = t[:, None] * torch.exp(-math.log(10000) * torch.arange(128, dtype=t.dtype) / 128)
    c = linear(torch.cat([angles.cos(), angles.sin()], -1), "t_embedder.mlp.0")
    c = linear(F.silu(c), "t_embedder.mlp.2") + w["y_embedder.embedding_table.weight"][y]
    x = F.conv2d(x, w["x_embedder.proj.weight"], w["x_embedder.proj.bias"], stride=patch)
    x = x.flatten(2).transpose(1, 2) + w["pos_embed"]
    out = {}
    for k in range(config["depth"]):
        x = block(x, c, k)
        if k + 1 == config["head_after"]:
            out["D_i"] = final(x, c, "final_layer_xr")
    out["D_f"] = final(x, c, "final_layer")
    return out

def save(name, tensors):
    header, data = {}, b""
    for key, t in tensors.items():
        raw = t.contiguous().numpy().tobytes()
        header[key] = {"dtype": "I64" if t.dtype == torch.int64 else "F32", "shape": list(t.shape),
                       "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    open("case/" + name, "wb").write(struct.pack("<Q", len(text)) + text + data)

x, t = torch.randn(3, channels, height, width), torch.tensor([0.02, 0.5, 0.97])
y = torch.tensor([0, 1, config["classes"]])
out = {k: v for k, v in forward(x.double(), t.double(), y).items()}
save("inputs.safetensors", {"run/x": x, "run/t": t, "run/y": y})
save("outputs.safetensors", {"run/" + k: v.float() for k, v in out.items()})
save("weights.safetensors", {"run/" + k: v.contiguous() for k, v in root["ema"].items()})
bounds = {"run/" + k: {"f32": 1e-5 * float(v.abs().max())} for k, v in out.items()}
assert all(b["f32"] > 1e-7 for b in bounds.values()), "outputs are zero"
json.dump({"case": bounds}, open("case/tolerances.json", "w"))
names = {"patch_size": patch, "in_channels": channels, "hidden_size": depth, "depth": config["depth"], "num_heads": heads,
         "encoder_depth": config["head_after"], "mlp_ratio": 4.0, "class_dropout_prob": 0.1, "qk_norm": False,
         "num_classes": config["classes"], "decoder_hidden_size": depth}
json.dump({"kind": "sit_forward", "config": {}, "notes": [], "runs": [
    {"name": "run", "weights_prefix": "run/", "config": names}]}, open("case/case.json", "w"))
END

igvk data glyphs --characters A-C --size 16 --variants 2 --out glyphs
igvk train --data glyphs --out run --width 64 --depth 3 --heads 4 --patch 4 --batch 8 --steps 20 --learning-rate 1e-2 \
    --ema 0.5 --sheet-every 0 --validate-every 0
igvk export --model run --torch --out run.pt
mkdir case
"$python" forward.py >log 2>&1 || fail 'PyTorch computes nothing'
igvk parity case
grep -q '^2 within, 0 out' log || fail 'other outputs than PyTorch'
cat log
# And that it would be noticed: one weight changed.
sed -i 's|w\["pos_embed"\]|1.001 * w["pos_embed"]|' forward.py
"$python" forward.py >log 2>&1 || fail 'PyTorch computes nothing'
"$program" parity case >log 2>&1 && fail 'a changed weight was not noticed'
echo 'PyTorch and igvk agree on a trained and exported checkpoint'
