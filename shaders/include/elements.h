// SPDX-License-Identifier: MIT
// The shape of a dispatch that takes every element on its own (elements.glsl). Read by C and by GLSL.
#ifndef IGVK_ELEMENTS_H
#define IGVK_ELEMENTS_H

#define ELEMENTS_UNROLLED 4   /* elements an invocation takes in one turn of its loop */
#define ELEMENTS_GPU_LOCAL 64 /* invocations of a workgroup, and turns: */
#define ELEMENTS_GPU_TURNS 1
#define ELEMENTS_CPU_TURNS 8  /* with workgroups of one vector; a third of the time of workgroups of 64 */

#endif
