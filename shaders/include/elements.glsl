// SPDX-License-Identifier: MIT
// main() of a kernel that takes every element on its own: include it after `void element(uint i)`. SCALAR(0) is the
// count of elements, specialization constant 1 the turns of the loop; a kernel's own constants start at 2. Neighbours
// in a workgroup take neighbouring elements. With ELEMENTS_PREPARE defined, `void prepare()` comes first: what is the
// same for all elements is loaded there, as compilers must load it again after every store.
#include "elements.h"

#ifdef IGVK_BREAK_KERNEL_TAIL
#define ELEMENTS_COUNT (SCALAR(0) & ~3u)
#else
#define ELEMENTS_COUNT SCALAR(0)
#endif

layout(constant_id = 1) const uint ELEMENTS_TURNS = 1;

void main() {
    uint i = linear_group() * (gl_WorkGroupSize.x * ELEMENTS_UNROLLED * ELEMENTS_TURNS) + gl_LocalInvocationIndex;
    uint turn = 0;
#ifdef ELEMENTS_PREPARE
    prepare();
#endif
    do {
        UNROLL for (uint k = 0; k < ELEMENTS_UNROLLED; k++) {
            if (i < ELEMENTS_COUNT)
                element(i);
            i += gl_WorkGroupSize.x;
        }
        turn++;
    } while (turn < ELEMENTS_TURNS);
}
