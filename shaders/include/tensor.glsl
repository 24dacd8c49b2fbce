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
//     POINT_WRITE(f32, q, y, base)  AT_WRITE(f32, q, y, offset) = value
//
// SCALAR(k) is push word k, SCALAR_F32(k) as float. Specialization constant 0 is the workgroup's size.
#extension GL_EXT_control_flow_attributes : require
#define UNROLL [[unroll]]
#define NO_UNROLL [[dont_unroll]]

layout(local_size_x_id = 0) in;

#define T_f32 float
#define T_u32 uint

#if IGVK_ADDRESS
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer f32_read { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer f32_write { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer u32_read { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer u32_write { uint v[]; };
layout(push_constant, std430) uniform push_block { uint scalar[12]; uint64_t address[10]; } push;
#define TENSOR_READ(slot, type, name) const uint name = slot;
#define TENSOR_WRITE(slot, type, name) const uint name = slot;
#define LOAD(type, name, i) type##_read(push.address[name]).v[i]
#define LOAD_OWN(type, name, i) type##_write(push.address[name]).v[i]
#define STORE(type, name, i, x) type##_write(push.address[name]).v[i] = (x)
#define POINT_READ(type, p, name, base) type##_read p = type##_read(push.address[name] + 4ul * uint64_t(base))
#define POINT_WRITE(type, p, name, base) type##_write p = type##_write(push.address[name] + 4ul * uint64_t(base))
#define AT(type, p, name, i) p.v[i]
#define AT_WRITE(type, p, name, i) p.v[i]
#else
layout(push_constant, std430) uniform push_block { uint scalar[12]; } push;
#define TENSOR_READ(slot, type, name) \
    layout(set = 0, binding = slot, std430) readonly buffer name##_block { T_##type v[]; } name;
#define TENSOR_WRITE(slot, type, name) \
    layout(set = 0, binding = slot, std430) buffer name##_block { T_##type v[]; } name;
#define LOAD(type, name, i) name.v[i]
#define LOAD_OWN(type, name, i) name.v[i]
#define STORE(type, name, i, x) name.v[i] = (x)
#define POINT_READ(type, p, name, base) const uint p = uint(base)
#define POINT_WRITE(type, p, name, base) const uint p = uint(base)
#define AT(type, p, name, i) name.v[p + (i)]
#define AT_WRITE(type, p, name, i) name.v[p + (i)]
#endif

#define SCALAR(k) push.scalar[k]
#define SCALAR_F32(k) uintBitsToFloat(push.scalar[k])

// Workgroups of a list folded into x and y (dispatch_groups_linear).
uint linear_group() { return gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x; }
uint linear_invocation() { return linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationIndex; }
