// SPDX-License-Identifier: MIT
// main() of a kernel that takes every element on its own: include it after `void element(uint i)`. SCALAR(0) is the
// count of elements. Neighbours in a workgroup take neighbouring elements; each invocation takes several, because
// software drivers pay for a workgroup about as much as for a hundred elements.
#include "elements.h"

void main() {
    uint first = linear_group() * (gl_WorkGroupSize.x * ELEMENTS_PER_INVOCATION) + gl_LocalInvocationIndex;
    UNROLL for (uint k = 0; k < ELEMENTS_PER_INVOCATION; k++) {
        uint i = first + k * gl_WorkGroupSize.x;
        if (i < SCALAR(0))
            element(i);
    }
}
