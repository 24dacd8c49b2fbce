// SPDX-License-Identifier: MIT
// What the attention kernels share: the shape, the place of rows, the two products and the exponential.
//
// One workgroup is one vector of lanes, and every lane owns whole rows (queries; keys in the pass for their
// gradient): no lane ever needs another's numbers, so there is no shared memory, no barrier and no subgroup
// operation but with SPLIT (below). What all lanes need, the other side's rows, is loaded in blocks from addresses that do not depend
// on the lane: on software drivers one scalar load and a broadcast, on GPUs one transaction. Own rows live in
// registers or on the stack; every loop over them is unrolled, since an array indexed at run time is a gather.
//
// Element d of own row r is own[d * ROWS + r]; other row i against own row r is block[i * ROWS + r].
layout(constant_id = 1) const uint TOKENS = 256;
layout(constant_id = 2) const uint HEADS = 12;
layout(constant_id = 3) const uint DIMENSION = 64; // of a head
layout(constant_id = 4) const uint ROWS = 2;       // that a lane owns
layout(constant_id = 5) const uint BLOCK = 8;      // other rows in one turn of the loop, at most TOKENS
layout(constant_id = 6) const uint BROADCAST = 1;  // own rows from broadcasts that keep one lane, else gathers

layout(constant_id = 8) const uint GRID_ROWS = 16; // with BIAS: of the patches that tokens are
layout(constant_id = 9) const uint GRID_COLUMNS = 16;
layout(constant_id = 10) const uint HAS_ORDER = 0; // with BIAS: tokens are some of the patches, in an order of their own

layout(constant_id = 7) const uint PARTS = 4; // with SPLIT: lanes that share a row; divides DIMENSION

// With SPLIT, for GPUs, whose registers a whole row and its gradient do not fit: neighbouring lanes own a part of a row
// each, and add up their shares of a score by shuffles. Sums of two numbers are the same from both sides, so all
// lanes of a row get the same bits. Lanes of one row lie in one subgroup: PARTS divides its size, and workgroups of
// one dimension fill subgroups in order.
#ifdef SPLIT
#extension GL_KHR_shader_subgroup_shuffle : require
const uint LANES_A_ROW = PARTS;
uint part() { return gl_LocalInvocationIndex % PARTS; }
float sum_of_parts(float x) {
    UNROLL for (uint distance = 1; distance < PARTS; distance *= 2)
        x += subgroupShuffleXor(x, distance);
    return x;
}
#else
const uint LANES_A_ROW = 1;
uint part() { return 0; }
float sum_of_parts(float x) { return x; }
#endif
const uint PART = DIMENSION / LANES_A_ROW; // of a head's numbers, that a lane owns

const uint WIDTH = HEADS * DIMENSION;
const uint QKV_STRIDE = 3 * WIDTH;           // from a token to the next
const uint OWNERS = gl_WorkGroupSize.x / LANES_A_ROW;
const uint TILE = OWNERS * ROWS; // rows of a workgroup
const bool RAGGED = TOKENS % BLOCK != 0;

// Over a head's dimension. By descriptors every load brings its bounds check: unrolled, that compiles for minutes.
#if IGVK_ADDRESS
#define UNROLL_DIMENSION UNROLL
#else
#define UNROLL_DIMENSION NO_UNROLL
#endif

// Zero, which compilers don't know. Other rows needed a second time are loaded again from an address with NOTHING
// added: else each number, once a broadcast, is kept as a vector on the stack, at almost twice the time.
#define NOTHING SCALAR(2)

uint first_token() { return gl_WorkGroupID.z * TOKENS; }
uint head_column() { return gl_WorkGroupID.y * DIMENSION + part() * PART; }
uint qkv_base() { return first_token() * QKV_STRIDE + head_column(); }
uint width_base() { return first_token() * WIDTH + head_column(); }                           // of [N, T, D] tensors
uint statistics_base() { return (gl_WorkGroupID.z * HEADS + gl_WorkGroupID.y) * TOKENS; }     // of [N, heads, T]

// Rows are dealt a vector at a time. Lanes beyond the last row compute it once more and store nothing, so that
// all loads stay inside the tensor.
uint row_of(uint r, uint owner) { return gl_WorkGroupID.x * TILE + r * OWNERS + owner; }
uint own_row(uint r) { return row_of(r, gl_LocalInvocationIndex / LANES_A_ROW); }
bool stores_number(uint r) { return own_row(r) < TOKENS && part() == 0; } // one of a row, not of its parts
uint clamped(uint row) { return min(row, TOKENS - 1u); }

// The last block of a ragged number of rows starts early, at TOKENS - BLOCK; rows it shares with the block before
// count for nothing.
uint block_start(uint next) { return RAGGED ? min(next, TOKENS - BLOCK) : next; }
bool counts(uint row, uint next) { return !RAGGED || row >= next; }

// 2^x for x <= 127, 2^-126 below -126, NaN of NaN. Without the comparisons of igvk_exp2, which cost a tenth of the kernel on
// software drivers; 1.5 ulp. Adding 1.5 2^23 rounds to a whole number and leaves it in the low bits.
float exp2_of_score(float x) {
    x = x < -126.0 ? -126.0 : x; // no max: what is no number must stay none
    precise float shifted = x + 12582912.0;
    precise float whole = shifted - 12582912.0;
    const float r = x - whole;
    float p = 0.00015476096;
    p = fma(p, r, 0.0013399933);
    p = fma(p, r, 0.009618005);
    p = fma(p, r, 0.05550329);
    p = fma(p, r, 0.2402265);
    p = fma(p, r, 0.6931472);
    p = fma(p, r, 1.0);
    return uintBitsToFloat(floatBitsToUint(p) + (floatBitsToUint(shifted) << 23));
}

// own = the lanes' rows of `tensor`, row t at base + t * stride.
#define LOAD_OWN_ROWS(own, tensor, base, stride)                                                                       \
    UNROLL for (uint r = 0; r < ROWS; r++) {                                                                           \
        if (BROADCAST != 0) {                                                                                          \
            UNROLL for (uint lane = 0; lane < gl_WorkGroupSize.x; lane++) {                                            \
                POINT_READ(f32, p, tensor, (base) + clamped(row_of(r, lane)) * (stride));                              \
                UNROLL_DIMENSION for (uint d = 0; d < PART; d++) {                                                \
                    const float x = AT(f32, p, tensor, d);                                                             \
                    own[d * ROWS + r] = lane == 0 || gl_LocalInvocationIndex == lane ? x : own[d * ROWS + r];          \
                }                                                                                                      \
            }                                                                                                          \
        } else {                                                                                                       \
            POINT_READ(f32, p, tensor, (base) + clamped(own_row(r)) * (stride));                                       \
            UNROLL_DIMENSION for (uint d = 0; d < PART; d++)                                                      \
                own[d * ROWS + r] = AT(f32, p, tensor, d);                                                             \
        }                                                                                                              \
    }

// The lanes' rows of `tensor` = own * scale[r].
#define STORE_OWN_ROWS(tensor, base, stride, own, scale)                                                               \
    UNROLL for (uint r = 0; r < ROWS; r++) {                                                                           \
        if (own_row(r) < TOKENS) {                                                                                     \
            POINT_WRITE(f32, p, tensor, (base) + own_row(r) * (stride));                                               \
            UNROLL_DIMENSION for (uint d = 0; d < PART; d++)                                                      \
                STORE_AT(f32, p, tensor, d, own[d * ROWS + r] * (scale));                                              \
        }                                                                                                              \
    }

// block += other rows times own rows, over the head's dimension. `p` points at the first other row.
#ifdef SPLIT
#define ADD_DOT_PRODUCTS(block, p, tensor, stride, own)                                                                \
    {                                                                                                                  \
        float shares[BLOCK * ROWS];                                                                                    \
        UNROLL for (uint i = 0; i < BLOCK * ROWS; i++)                                                                 \
            shares[i] = 0.0;                                                                                           \
        ADD_SHARES(shares, p, tensor, stride, own)                                                                     \
        UNROLL for (uint i = 0; i < BLOCK * ROWS; i++)                                                                 \
            block[i] += sum_of_parts(shares[i]);                                                                       \
    }
#else
#define ADD_DOT_PRODUCTS(block, p, tensor, stride, own) ADD_SHARES(block, p, tensor, stride, own)
#endif
#define ADD_SHARES(block, p, tensor, stride, own)                                                                      \
    UNROLL_DIMENSION for (uint d = 0; d < PART; d++)                                                              \
        UNROLL for (uint i = 0; i < BLOCK; i++) {                                                                      \
            const float x = AT(f32, p, tensor, i * (stride) + d);                                                      \
            UNROLL for (uint r = 0; r < ROWS; r++)                                                                     \
                block[i * ROWS + r] = fma(x, own[d * ROWS + r], block[i * ROWS + r]);                                  \
        }

// own += the sum of other rows, weighted by block.
#define ADD_WEIGHTED_ROWS(own, p, tensor, stride, block)                                                               \
    UNROLL_DIMENSION for (uint d = 0; d < PART; d++)                                                              \
        UNROLL for (uint i = 0; i < BLOCK; i++) {                                                                      \
            const float x = AT(f32, p, tensor, i * (stride) + d);                                                      \
            UNROLL for (uint r = 0; r < ROWS; r++)                                                                     \
                own[d * ROWS + r] = fma(x, block[i * ROWS + r], own[d * ROWS + r]);                                    \
        }

// ---- a bias of scores by relative position -------------------------------------------------------------------
// With BIAS defined as the slot of the table [(2 rows - 1)(2 columns - 1) + 3, heads] (its last three rows are unused),
// BIAS + 1 being the order u32 [N, rows columns] of patches and BIAS + 2 how many of them are tokens; without HAS_ORDER
// both are bound to anything.
#ifdef BIAS
TENSOR_READ(BIAS, f32, bias_table)
TENSOR_READ(BIAS + 1, u32, order)
TENSOR_READ(BIAS + 2, u32, kept)

const uint BIAS_STRIDE = 2 * GRID_COLUMNS - 1;

uint valid_tokens() { return HAS_ORDER != 0 ? min(LOAD(u32, kept, 0), TOKENS) : TOKENS; }

// A patch's place such that the difference of two tells the table's row.
uint place_of(uint token) {
    const uint patch_index = HAS_ORDER != 0
        ? LOAD(u32, order, gl_WorkGroupID.z * (GRID_ROWS * GRID_COLUMNS) + clamped(token)) : clamped(token);
    return patch_index / GRID_COLUMNS * BIAS_STRIDE + patch_index % GRID_COLUMNS;
}

// In base 2.
float bias_of(uint query_place, uint key_place) {
    const uint row = query_place + ((GRID_ROWS - 1) * BIAS_STRIDE + GRID_COLUMNS - 1) - key_place;
    return LOAD(f32, bias_table, row * HEADS + gl_WorkGroupID.y) * 1.442695041;
}

#define IS_TOKEN(row) ((row) < valid) // of the kernel's `valid`
#else
#define IS_TOKEN(row) true // at no cost
#endif
