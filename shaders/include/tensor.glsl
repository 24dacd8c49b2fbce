// SPDX-License-Identifier: MIT
// The one way to bind. Every shader is compiled twice: IGVK_ADDRESS=1 reaches tensors by device address in
// the push constants (no descriptor, no range limit, and on software drivers no bounds check per scalar),
// IGVK_ADDRESS=0 by descriptors, which validation layers can check. A kernel names its tensors once:
//
//     TENSOR_READ(0, f32, x)        slot = index in the host's dispatch.arguments
//     TENSOR_WRITE(1, f32, y)       written or updated
//
// and reaches elements by index: LOAD(f32, x, i), STORE(f32, y, i, value), LOAD_OWN(f32, y, i) for reading a
// written tensor; or through a pointer with a base, so that constant offsets fold into the address:
//
//     POINT_READ(f32, p, x, base)   AT(f32, p, x, offset)
//     POINT_WRITE(f32, q, y, base)  STORE_AT(f32, q, y, offset, value)
//
// and two f32 elements at once, 2 i and 2 i + 1 of a tensor that lies on a multiple of 8 bytes:
//
//     LOAD_PAIR(y, i), STORE_PAIR(y, i, vec2)     of a written tensor. By address one access of 64 bits: software
//                                                 drivers gather and scatter vectors of lanes one by one.
//     POINT_PAIRS(p, x, base)                     base: an even element
//     PAIR_AT(p, x, i), STORE_PAIR_AT(p, x, i, vec2)
//
// Types: f32, u32; with STORAGE_16BIT defined f16 and bf16 too, which kernels see as float (half.glsl). A type may be
// a macro, so that one source serves several.
//
// Where many values are chosen from before one is used, AT_STORED(f16, p, x, offset) gives a STORED(f16), what is stored,
// which VALUE_OF(f16, stored) converts: once, not for every choice.
//
// SCALAR(k) is push word k, SCALAR_F32(k) as float. Specialization constant 0 is the workgroup's size.
#extension GL_EXT_control_flow_attributes : require
#define UNROLL [[unroll]]
#define NO_UNROLL [[dont_unroll]]

layout(local_size_x_id = 0) in;

// As stored; as stored in a variable; to the kernel's value; from it; bytes.
#define T_f32 float
#define STORED_f32 float
#define FROM_f32(x) (x)
#define TO_f32(x) (x)
#define SIZE_f32 4u
#define T_u32 uint
#define STORED_u32 uint
#define FROM_u32(x) (x)
#define TO_u32(x) (x)
#define SIZE_u32 4u
#if STORAGE_16BIT
#extension GL_EXT_shader_16bit_storage : require
#include "half.glsl"
#define T_f16 uint16_t
#define STORED_f16 uint
#define FROM_f16(x) f32_of_f16(uint(x))
#define TO_f16(x) uint16_t(f16_of_f32(x))
#define SIZE_f16 2u
#define T_bf16 uint16_t
#define STORED_bf16 uint
#define FROM_bf16(x) f32_of_bf16(uint(x))
#define TO_bf16(x) uint16_t(bf16_of_f32(x))
#define SIZE_bf16 2u
#endif

// Each macro hands on to one that pastes: a type that is a macro is expanded by then.
#define TENSOR_READ(slot, type, name) TENSOR_READ_(slot, type, name)
#define TENSOR_WRITE(slot, type, name) TENSOR_WRITE_(slot, type, name)
#define LOAD(type, name, i) LOAD_(type, name, i)
#define LOAD_OWN(type, name, i) LOAD_OWN_(type, name, i)
#define STORE(type, name, i, x) STORE_(type, name, i, x)
#define POINT_READ(type, p, name, base) POINT_READ_(type, p, name, base)
#define POINT_WRITE(type, p, name, base) POINT_WRITE_(type, p, name, base)
#define AT(type, p, name, i) AT_(type, p, name, i)
#define STORE_AT(type, p, name, i, x) STORE_AT_(type, p, name, i, x)
#define STORED(type) STORED_EXPANDED(type)
#define STORED_EXPANDED(type) STORED_##type
#define VALUE_OF(type, stored) VALUE_OF_(type, stored)
#define VALUE_OF_(type, stored) FROM_##type(stored)
#define AT_STORED(type, p, name, i) AT_STORED_(type, p, name, i)

#if IGVK_ADDRESS
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer f32_read { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer f32_write { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer u32_read { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer u32_write { uint v[]; };
#if STORAGE_16BIT
layout(buffer_reference, std430, buffer_reference_align = 2) readonly buffer f16_read { uint16_t v[]; };
layout(buffer_reference, std430, buffer_reference_align = 2) buffer f16_write { uint16_t v[]; };
layout(buffer_reference, std430, buffer_reference_align = 2) readonly buffer bf16_read { uint16_t v[]; };
layout(buffer_reference, std430, buffer_reference_align = 2) buffer bf16_write { uint16_t v[]; };
#endif
layout(buffer_reference, std430, buffer_reference_align = 8) buffer pair_write { uint64_t v[]; };
layout(push_constant, std430) uniform push_block { uint scalar[12]; uint64_t address[10]; } push;
// By shifts: unpackUint2x32 and its inverse make llvmpipe write beyond its stack at vectors of 512 bits (Mesa 26.2).
vec2 pair_of_bits(uint64_t bits) { return uintBitsToFloat(uvec2(uint(bits), uint(bits >> 32))); }
uint64_t bits_of_pair(vec2 pair) {
    return uint64_t(floatBitsToUint(pair.x)) | uint64_t(floatBitsToUint(pair.y)) << 32;
}
#define LOAD_PAIR(name, i) pair_of_bits(pair_write(push.address[name]).v[i])
#define STORE_PAIR(name, i, pair) pair_write(push.address[name]).v[i] = bits_of_pair(pair)
#define POINT_PAIRS(p, name, base) pair_write p = pair_write(push.address[name] + 4 * uint64_t(base))
#define PAIR_AT(p, name, i) pair_of_bits(p.v[i])
#define STORE_PAIR_AT(p, name, i, pair) p.v[i] = bits_of_pair(pair)
#define TENSOR_READ_(slot, type, name) const uint name = slot;
#define TENSOR_WRITE_(slot, type, name) const uint name = slot;
#define LOAD_(type, name, i) FROM_##type(type##_read(push.address[name]).v[i])
#define LOAD_OWN_(type, name, i) FROM_##type(type##_write(push.address[name]).v[i])
#define STORE_(type, name, i, x) type##_write(push.address[name]).v[i] = TO_##type(x)
#define POINT_READ_(type, p, name, base) \
    type##_read p = type##_read(push.address[name] + SIZE_##type * uint64_t(base))
#define POINT_WRITE_(type, p, name, base) \
    type##_write p = type##_write(push.address[name] + SIZE_##type * uint64_t(base))
#define AT_(type, p, name, i) FROM_##type(p.v[i])
#define AT_STORED_(type, p, name, i) STORED_##type(p.v[i])
#define STORE_AT_(type, p, name, i, x) p.v[i] = TO_##type(x)
#else
layout(push_constant, std430) uniform push_block { uint scalar[12]; } push;
#define LOAD_PAIR(name, i) vec2(name.v[2 * (i)], name.v[2 * (i) + 1])
#define STORE_PAIR(name, i, pair) (name.v[2 * (i)] = (pair).x, name.v[2 * (i) + 1] = (pair).y)
#define POINT_PAIRS(p, name, base) const uint p = uint(base) / 2
#define PAIR_AT(p, name, i) LOAD_PAIR(name, p + (i))
#define STORE_PAIR_AT(p, name, i, pair) STORE_PAIR(name, p + (i), pair)
#define TENSOR_READ_(slot, type, name) \
    layout(set = 0, binding = slot, std430) readonly buffer name##_block { T_##type v[]; } name;
#define TENSOR_WRITE_(slot, type, name) \
    layout(set = 0, binding = slot, std430) buffer name##_block { T_##type v[]; } name;
#define LOAD_(type, name, i) FROM_##type(name.v[i])
#define LOAD_OWN_(type, name, i) FROM_##type(name.v[i])
#define STORE_(type, name, i, x) name.v[i] = TO_##type(x)
#define POINT_READ_(type, p, name, base) const uint p = uint(base)
#define POINT_WRITE_(type, p, name, base) const uint p = uint(base)
#define AT_(type, p, name, i) FROM_##type(name.v[p + (i)])
#define AT_STORED_(type, p, name, i) STORED_##type(name.v[p + (i)])
#define STORE_AT_(type, p, name, i, x) name.v[p + (i)] = TO_##type(x)
#endif

#define SCALAR(k) push.scalar[k]
#define SCALAR_F32(k) uintBitsToFloat(push.scalar[k])

// Workgroups of a list folded into x and y (dispatch_groups_linear).
uint linear_group() { return gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x; }
uint linear_invocation() { return linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationIndex; }
