// SPDX-License-Identifier: MIT
// The shape of a dispatch that takes every element on its own (elements.glsl). Read by C and by GLSL.
#ifndef IGVK_ELEMENTS_H
#define IGVK_ELEMENTS_H

#define ELEMENTS_PER_INVOCATION 4
#define ELEMENTS_LOCAL_SIZE 64

#endif
