#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the folders beside it: reference numbers for `igvk parity`, computed by numpy alone.

    tests/cases/make.py          (needs python3-numpy; about a minute)

The model is written down once more here, from the paper and method, in float64 and without regard for igvk's sources.
Bounds are 8 times the largest difference of the same code in float32 (the products also summed from the other end),
never under 1e-6 of the tensor's largest magnitude; those of gradients are GRADIENT_BOUND, see there.
"""
import json
import math
import os
import struct

import numpy as np

# Gradients are central differences in float64, so no float32 run of this code bounds them. Of the tensor's largest
# magnitude; float32 back-propagation of models of this size differs by a tenth of it.
GRADIENT_BOUND = 1e-5
DIFFERENCE = 1e-5  # step of the central differences: error about 1e-9 of the loss's scale

HERE = os.path.dirname(os.path.abspath(__file__))


# ---- arithmetic: a type and an order of summation ------------------------------------------------------------

class Arithmetic:
    def __init__(self, real, backwards=False):
        self.real, self.backwards = real, backwards

    def product(self, a, b):  # a [..., K] b [..., K, M]
        if self.backwards:
            a, b = a[..., ::-1], b[..., ::-1, :]
        return np.matmul(np.ascontiguousarray(a), np.ascontiguousarray(b))

    def linear(self, w, name, x):
        return self.product(x, w[name + '.weight'].reshape(w[name + '.weight'].shape[0], -1).T) + w[name + '.bias']


EXACT = Arithmetic(np.float64)
ROUNDED = [Arithmetic(np.float32), Arithmetic(np.float32, backwards=True)]


def silu(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    return x * (1 + np.tanh(x.dtype.type(math.sqrt(2 / math.pi)) * (x + x.dtype.type(0.044715) * x ** 3))) / 2


def normalize(x, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + x.dtype.type(epsilon))


# ---- SiT with the auxiliary head -----------------------------------------------------------------------------

def position_table(rows, columns, width):
    omega = 10000.0 ** (-np.arange(width // 4) / (width // 4))
    row, column = np.divmod(np.arange(rows * columns), columns)
    parts = [f(place[:, None] * omega) for place in (column, row) for f in (np.sin, np.cos)]
    return np.concatenate(parts, 1)[None].astype(np.float32)


def time_features(t, real):
    # Arguments in float32, as in the official code.
    frequency = np.exp(np.float32(-math.log(10000)) * np.arange(128, dtype=np.float32) / np.float32(128))
    argument = (t.astype(np.float32)[:, None] * frequency).astype(real)
    return np.concatenate([np.cos(argument), np.sin(argument)], 1)


def attention(a, w, name, x, heads, qk_norm):
    n, tokens, width = x.shape
    qkv = a.linear(w, name + '.qkv', x).reshape(n, tokens, 3, heads, width // heads).transpose(2, 0, 3, 1, 4)
    q, k, v = qkv
    if qk_norm:
        q = normalize(q, 1e-5) * w[name + '.q_norm.weight'] + w[name + '.q_norm.bias']
        k = normalize(k, 1e-5) * w[name + '.k_norm.weight'] + w[name + '.k_norm.bias']
    scores = a.product(q, k.swapaxes(-1, -2)) * x.dtype.type((width // heads) ** -0.5)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights = weights / weights.sum(-1, keepdims=True)
    return a.linear(w, name + '.proj', a.product(weights, v).swapaxes(1, 2).reshape(n, tokens, width))


def modulation(a, w, name, c, count):
    return np.split(a.linear(w, name + '.adaLN_modulation.1', silu(c))[:, None], count, -1)


def head(a, w, name, x, c, config, shape):
    shift, scale = modulation(a, w, name, c, 2)
    y = a.linear(w, name + '.linear', normalize(x, 1e-6) * (1 + scale) + shift)
    n, channels, height, width = shape
    p = config['patch_size']
    y = y.reshape(n, height // p, width // p, p, p, channels)
    return y.transpose(0, 5, 1, 3, 2, 4).reshape(shape)


def forward(a, config, weights, x, t, labels):
    """Every named value of one evaluation; weights: float32 by name."""
    w = {name: value.astype(a.real) for name, value in weights.items()}
    n, channels, height, width = x.shape
    p, out = config['patch_size'], {}
    patches = x.astype(a.real).reshape(n, channels, height // p, p, width // p, p).transpose(0, 2, 4, 1, 3, 5)
    h = a.linear(w, 'x_embedder.proj', patches.reshape(n, -1, channels * p * p)) + w['pos_embed']
    out['tokens'] = h
    out['t_freq'] = time_features(t, a.real)
    out['t_emb'] = a.linear(w, 't_embedder.mlp.2', silu(a.linear(w, 't_embedder.mlp.0', out['t_freq'])))
    c = out['c'] = out['t_emb'] + w['y_embedder.embedding_table.weight'][labels]
    for k in range(config['depth']):
        block = f'blocks.{k}'
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = modulation(a, w, block, c, 6)
        y = normalize(h, 1e-6) * (1 + scale_a) + shift_a
        h = h + gate_a * attention(a, w, block + '.attn', y, config['num_heads'], config['qk_norm'])
        y = normalize(h, 1e-6) * (1 + scale_m) + shift_m
        h = h + gate_m * a.linear(w, block + '.mlp.fc2', gelu(a.linear(w, block + '.mlp.fc1', y)))
        out[f'block.{k}'] = h
        if k + 1 == config['encoder_depth']:
            out['D_i'] = head(a, w, 'final_layer_xr', h, c, config, x.shape)
    out['D_f'] = head(a, w, 'final_layer', h, c, config, x.shape)
    return out


def make_weights(config, height, width, random):
    d, p, channels = config['hidden_size'], config['patch_size'], config['in_channels']
    hidden = int(d * config['mlp_ratio'])
    w = {'pos_embed': position_table(height // p, width // p, d)}

    def linear(name, outputs, inputs, scale=1.0):
        w[name + '.weight'] = random.normal(0, scale / math.sqrt(inputs), (outputs, inputs))
        w[name + '.bias'] = random.normal(0, 0.1, outputs)

    linear('x_embedder.proj', d, channels * p * p)
    w['x_embedder.proj.weight'] = w['x_embedder.proj.weight'].reshape(d, channels, p, p)
    linear('t_embedder.mlp.0', d, 256)
    linear('t_embedder.mlp.2', d, d)
    rows = config['num_classes'] + (config['class_dropout_prob'] > 0)
    w['y_embedder.embedding_table.weight'] = random.normal(0, 0.5, (rows, d))
    for k in range(config['depth']):
        linear(f'blocks.{k}.attn.qkv', 3 * d, d)
        if config['qk_norm']:
            for norm in ('q_norm', 'k_norm'):
                w[f'blocks.{k}.attn.{norm}.weight'] = 1 + random.normal(0, 0.2, d // config['num_heads'])
                w[f'blocks.{k}.attn.{norm}.bias'] = random.normal(0, 0.2, d // config['num_heads'])
        linear(f'blocks.{k}.attn.proj', d, d)
        linear(f'blocks.{k}.mlp.fc1', hidden, d)
        linear(f'blocks.{k}.mlp.fc2', d, hidden)
        linear(f'blocks.{k}.adaLN_modulation.1', 6 * d, d, 0.5)
    for name in ('final_layer_xr', 'final_layer'):
        linear(name + '.linear', p * p * channels, d)
        linear(name + '.adaLN_modulation.1', 2 * d, d, 0.5)
    return {name: value.astype(np.float32) for name, value in w.items()}


def synthetic(name, scale, offset, shape):
    """Weights that need no file: element i is made from i and the tensor's name (FNV-1a, then splitmix64)."""
    mask, h, values = 2 ** 64 - 1, 14695981039346656037, []
    for byte in name.encode():
        h = (h ^ byte) * 1099511628211 & mask
    for i in range(math.prod(shape)):
        z = h + (i + 1) * 0x9E3779B97F4A7C15 & mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        values.append(offset + scale * (2 * ((z ^ z >> 31) >> 40) * 2.0 ** -24 - 1))
    return np.array(values).astype(np.float32).reshape(shape)


def make_synthetic(prefix, weights):
    """The table of case.json for weights of the same sizes, and those weights."""
    table, made = {}, {'pos_embed': weights['pos_embed']}
    for name, value in weights.items():
        if name != 'pos_embed':
            # Powers of two read back exactly. The spread is about that of `weights`.
            scale, offset = 2.0 ** round(math.log2(value.std() * 3 ** 0.5)), float('norm.weight' in name)
            table[prefix + name] = {'shape': list(value.shape), 'scale': scale, 'offset': offset}
            made[name] = synthetic(prefix + name, scale, offset, value.shape)
    return table, made


# ---- sampling ------------------------------------------------------------------------------------------------

def path(t, kind):
    """alpha, sigma and their derivatives."""
    if kind == 'linear':
        return 1 - t, t, -1.0 + 0 * t, 1.0 + 0 * t
    angle = math.pi / 2 * t
    return np.cos(angle), np.sin(angle), -math.pi / 2 * np.sin(angle), math.pi / 2 * np.cos(angle)


def scale_at(run, scale, low, high, t):
    return run[scale] if run[scale] > 1 and run[low] <= t <= run[high] else 1.0


def trajectory(a, config, weights, run, latents, labels, noise):
    """The state after each step. Solver in float64, model in a's type on float32 inputs."""
    n, steps, sde = len(latents), run['num_steps'], run['sampler'].startswith('euler_maruyama')
    grid = np.append(np.linspace(1, 0.04, steps), 0) if sde else np.linspace(1, 0, steps + 1)
    null = np.full(n, config['num_classes'])

    def drift(x, t, start):
        ig = scale_at(run, 'sg_scale', 'sg_guidance_low', 'sg_guidance_high', start)
        cfg = scale_at(run, 'cfg_scale', 'guidance_low', 'guidance_high', start)

        def one(classes):
            out = forward(a, config, weights, x.astype(np.float32), np.full(n, t, np.float32), classes)
            v, early = out['D_f'].astype(np.float64), out['D_i'].astype(np.float64)
            if ig != 1:
                v = early + ig * (v - early)
            if not sde:
                return v
            alpha, sigma, alpha_rate, sigma_rate = path(t, run['path_type'])
            ratio = alpha / alpha_rate
            score = (ratio * v - x) / (sigma ** 2 - ratio * sigma_rate * sigma)
            return v - 0.5 * (2 * t) * score
        d = one(labels)
        if cfg == 1:
            return d
        d_null = one(null)
        return d_null + cfg * (d - d_null)

    x, states = latents.astype(np.float64), []
    for k in range(steps):
        t, dt = grid[k], grid[k + 1] - grid[k]
        d = drift(x, t, t)
        if sde and k + 1 < steps:
            x = x + d * dt + math.sqrt(2 * t) * math.sqrt(-dt) * noise[k].astype(np.float64)
        elif run['heun'] and k + 1 < steps:
            x = x + dt * (0.5 * d + 0.5 * drift(x + dt * d, grid[k + 1], t))
        else:
            x = x + dt * d
        states.append(x)
    return states


# ---- training ------------------------------------------------------------------------------------------------

def losses(a, config, weights, run, batch):
    """Per image: the final output's and the auxiliary one's."""
    image, noise, t, labels = batch
    t64 = t.astype(np.float64)[:, None, None, None]
    alpha, sigma, alpha_rate, sigma_rate = (np.asarray(v, a.real) for v in path(t64, run['path_type']))
    image, noise = image.astype(a.real), noise.astype(a.real)
    target = alpha_rate * image + sigma_rate * noise
    out = forward(a, config, weights, alpha * image + sigma * noise, t, labels)
    return [((out[name] - target) ** 2).mean((1, 2, 3)) for name in ('D_f', 'D_i')]


def total(a, config, weights, run, batches):
    each = [losses(a, config, weights, run, b) for b in batches]
    return np.mean([f.mean() + a.real(run['auxiliary_weight']) * i.mean() for f, i in each])


def gradients(config, weights, run, batches):
    exact = {name: value.astype(np.float64) for name, value in weights.items()}
    result = {}
    for name in sorted(exact):
        if name == 'pos_embed':
            continue
        flat, gradient = exact[name].reshape(-1), np.zeros(exact[name].size)
        for i in range(flat.size):
            kept, sums = flat[i], []
            for sign in (1, -1):
                flat[i] = kept + sign * DIFFERENCE
                sums.append(total(EXACT, config, exact, run, batches))
            flat[i] = kept
            gradient[i] = (sums[0] - sums[1]) / (2 * DIFFERENCE)
        result[name] = gradient.reshape(exact[name].shape)
    return result


# ---- files ---------------------------------------------------------------------------------------------------

def write_tensors(file, tensors):
    kinds = {'float32': 'F32', 'int64': 'I64'}
    header, data = {}, b''
    # Labels before floats: eight-byte elements stay aligned.
    for name, value in sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        raw = np.ascontiguousarray(value).tobytes()
        header[name] = {'dtype': kinds[str(value.dtype)], 'shape': list(value.shape),
                        'data_offsets': [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(file, 'wb') as out:
        out.write(struct.pack('<Q', len(text)) + text + data)


def bound_of(exact, rounded):
    exact = np.asarray(exact, np.float64)
    worst = max(np.abs(np.asarray(r, np.float64) - exact).max() for r in rounded)
    return max(8 * worst, 1e-6 * np.abs(exact).max())


def write_case(name, case, inputs, outputs, bounds, weights):
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, 'case.json'), 'w') as out:
        json.dump(case, out, indent=1)
        out.write('\n')
    with open(os.path.join(folder, 'tolerances.json'), 'w') as out:
        json.dump({name: {k: {'f32': float('%.3g' % v)} for k, v in sorted(bounds.items())}}, out, indent=0)
        out.write('\n')
    write_tensors(os.path.join(folder, 'inputs.safetensors'), inputs)
    write_tensors(os.path.join(folder, 'weights.safetensors'), weights)
    write_tensors(os.path.join(folder, 'outputs.safetensors'),
                  {k: np.asarray(v, np.float64).astype(np.float32).reshape(np.shape(v) or (1,)) for k, v in outputs.items()})


def config_of(**changes):
    config = {'patch_size': 2, 'in_channels': 3, 'hidden_size': 24, 'depth': 2, 'encoder_depth': 1, 'num_heads': 2,
              'mlp_ratio': 4.0, 'class_dropout_prob': 0.1, 'num_classes': 3, 'qk_norm': False}
    config.update(changes)
    config['decoder_hidden_size'] = config['hidden_size']
    return config


# ---- the cases -----------------------------------------------------------------------------------------------

def make_forward():
    random = np.random.default_rng(61)
    runs = {
        # Synthetic weights. Rectangular, patch 4, heads of 20, qk-norm, an MLP of another width; the last label is "no class".
        'wide': (config_of(patch_size=4, in_channels=2, hidden_size=40, mlp_ratio=3.0, num_classes=5, qk_norm=True),
                 (3, 2, 8, 20), [4, 0, 5]),
        # Stored weights. Without classes: one row and no dropout. Higher than wide; the head after the last block.
        'uncond': (config_of(in_channels=1, hidden_size=12, encoder_depth=2, num_heads=3, class_dropout_prob=0.0,
                             num_classes=1), (2, 1, 10, 6), [0, 0]),
    }
    case, inputs, outputs, bounds, stored = {'kind': 'sit_forward', 'config': {}, 'runs': []}, {}, {}, {}, {}
    for name, (config, shape, labels) in runs.items():
        weights = make_weights(config, shape[2], shape[3], random)
        x = random.normal(0, 1, shape).astype(np.float32)
        t = random.uniform(0, 1, shape[0]).astype(np.float32)
        t[0] = 1
        y = np.array(labels, np.int64)
        case['runs'].append({'name': name, 'weights_prefix': name + '/', 'config': config})
        inputs.update({name + '/x': x, name + '/t': t, name + '/y': y})
        if name == 'wide':
            case['synthetic'], weights = make_synthetic('wide/', weights)
        else:
            stored.update({f'{name}/{k}': v for k, v in weights.items()})
        exact = forward(EXACT, config, weights, x, t, y)
        rounded = [forward(a, config, weights, x, t, y) for a in ROUNDED]
        for k, v in exact.items():
            outputs[f'{name}/{k}'] = v
            bounds[f'{name}/{k}'] = bound_of(v, [r[k] for r in rounded])
    write_case('forward', case, inputs, outputs, bounds, stored)


def make_sampler():
    random = np.random.default_rng(62)
    config, shape, steps = config_of(hidden_size=16), (2, 3, 4, 6), 6
    guided = {'cfg_scale': 1.6, 'guidance_low': 0.0, 'guidance_high': 0.65,
              'sg_scale': 1.45, 'sg_guidance_low': 0.25, 'sg_guidance_high': 1.0}
    plain = {'cfg_scale': 1.0, 'guidance_low': 0.0, 'guidance_high': 1.0,
             'sg_scale': 1.0, 'sg_guidance_low': 0.0, 'sg_guidance_high': 1.0}
    runs = [
        {'name': 'heun_both', 'sampler': 'euler_ig', 'path_type': 'linear', 'num_steps': 4, 'heun': True, **guided},
        {'name': 'sde_both_cosine', 'sampler': 'euler_maruyama_ig', 'path_type': 'cosine', 'num_steps': steps,
         'heun': False, **guided},
        {'name': 'sde_none', 'sampler': 'euler_maruyama_ig', 'path_type': 'linear', 'num_steps': 3, 'heun': False, **plain},
        {'name': 'euler_cfg', 'sampler': 'euler', 'path_type': 'linear', 'num_steps': 5, 'heun': False, **plain,
         'cfg_scale': 2.0, 'guidance_low': 0.2, 'guidance_high': 0.8},
    ]
    weights = make_weights(config, shape[2], shape[3], random)
    latents = random.normal(0, 1, shape).astype(np.float32)
    noise = random.normal(0, 1, (steps - 1,) + shape).astype(np.float32)
    labels = np.array([2, 0], np.int64)
    outputs, bounds = {}, {}
    for run in runs:
        exact = trajectory(EXACT, config, weights, run, latents, labels, noise)
        rounded = [trajectory(a, config, weights, run, latents, labels, noise) for a in ROUNDED]
        for k, state in enumerate(exact):
            name = '%s/x%02d' % (run['name'], k + 1)
            outputs[name], bounds[name] = state, bound_of(state, [r[k] for r in rounded])
    write_case('sampler', {'kind': 'sit_sampler', 'config': config, 'runs': runs},
               {'latents': latents, 'noise': noise, 'labels': labels}, outputs, bounds, weights)


def make_training():
    """One optimizer step on two micro-batches. Adam's epsilon is large: a gradient near zero makes no full step."""
    random = np.random.default_rng(63)
    config, shape = config_of(in_channels=1, hidden_size=8, mlp_ratio=2.0, qk_norm=True), (2, 2, 1, 4, 6)
    run = {'name': 'accumulate', 'kind': 'train', 'steps': 1, 'path_type': 'cosine', 'auxiliary_weight': 0.3,
           'learning_rate': 0.01, 'adam_beta1': 0.8, 'adam_beta2': 0.95, 'adam_epsilon': 0.05,
           'adam_weight_decay': 0.2, 'max_grad_norm': 0.7, 'ema_decay': 0.9, 'gradient_accumulation_steps': 2}
    weights = make_weights(config, shape[3], shape[4], random)
    images, noise = (random.normal(0, 1, shape).astype(np.float32) for _ in range(2))
    times = random.uniform(0, 1, shape[:2]).astype(np.float32)
    labels = np.array([[1, 3], [0, 2]], np.int64)
    batches = [(images[k], noise[k], times[k], labels[k]) for k in range(2)]
    outputs, bounds = {}, {}

    def give(name, exact, bound):
        outputs[f'accumulate/step1.{name}'] = exact
        bounds[f'accumulate/step1.{name}'] = max(bound, 1e-6 * np.abs(exact).max())

    for which, name in enumerate(('loss_final', 'loss_aux')):
        values = [np.stack([losses(a, config, weights, run, b)[which] for b in batches]) for a in [EXACT] + ROUNDED]
        give(name, values[0], bound_of(values[0], values[1:]))
    values = [np.array([total(a, config, weights, run, batches)]) for a in [EXACT] + ROUNDED]
    give('loss', values[0], bound_of(values[0], values[1:]))
    gradient = gradients(config, weights, run, batches)
    for name, g in gradient.items():
        if name.endswith('k_norm.bias'):
            g[:] = 0  # what every key has in common softmax does not see
    norm = math.sqrt(sum((g ** 2).sum() for g in gradient.values()))
    give('grad_norm', np.array([norm]), GRADIENT_BOUND * norm)
    clip = min(1, run['max_grad_norm'] / (norm + 1e-6))
    for name, g in gradient.items():
        # Where the gradient is exactly zero, rounding noise of what cancels.
        p, g_bound = weights[name].astype(np.float64), GRADIENT_BOUND * (np.abs(g).max() or 0.1 * norm)
        lr, b1, b2 = run['learning_rate'], run['adam_beta1'], run['adam_beta2']
        first, second = (1 - b1) * clip * g, (1 - b2) * (clip * g) ** 2
        update = first / (1 - b1) / (np.sqrt(second / (1 - b2)) + run['adam_epsilon'])
        new = p * (1 - lr * run['adam_weight_decay']) - lr * update
        moved = lr * clip * g_bound / run['adam_epsilon']
        give('grad/' + name, g, g_bound)
        give('exp_avg/' + name, first, (1 - b1) * clip * g_bound)
        give('exp_avg_sq/' + name, second, 2 * (1 - b2) * clip ** 2 * max(np.abs(g).max(), g_bound) * g_bound)
        give('param/' + name, new, moved)
        give('ema/' + name, run['ema_decay'] * p + (1 - run['ema_decay']) * new, (1 - run['ema_decay']) * moved)
    write_case('training', {'kind': 'sit_train', 'config': config, 'runs': [run]},
               {'images': images, 'noise': noise, 'times': times, 'labels': labels}, outputs, bounds, weights)


if __name__ == '__main__':
    make_forward()
    make_sampler()
    make_training()
