// SPDX-License-Identifier: MIT
// One row of COLUMNS numbers for each workgroup (one vector of lanes), dealt to its lanes: lane l holds columns
// l, l + lanes, l + 2 lanes, ..., in registers. Sums over the row go through shared memory in a fixed order.
layout(constant_id = 1) const uint COLUMNS = 768;

const uint HELD = (COLUMNS + gl_WorkGroupSize.x - 1) / gl_WorkGroupSize.x; // columns of a lane, the last may be none

uint held_column(uint i) { return i * gl_WorkGroupSize.x + gl_LocalInvocationIndex; }
bool held_is(uint i) { return (i + 1) * gl_WorkGroupSize.x <= COLUMNS || held_column(i) < COLUMNS; }
// Where there is no column, loads read the last one: they stay inside the row.
uint held_clamped(uint i) { return (i + 1) * gl_WorkGroupSize.x <= COLUMNS ? held_column(i) : min(held_column(i), COLUMNS - 1u); }

// Two sums, so that one need not wait for all lanes to have read the other.
shared float lane_sums[2][gl_WorkGroupSize.x];

// The sum of every lane's number, the same in all lanes. `which` alternates 0, 1 from call to call.
float sum_of_lanes(uint which, float x) {
    lane_sums[which][gl_LocalInvocationIndex] = x;
    barrier();
    float sum = 0.0;
    UNROLL for (uint lane = 0; lane < gl_WorkGroupSize.x; lane++)
        sum += lane_sums[which][lane];
    return sum;
}
