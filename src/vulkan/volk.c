// SPDX-License-Identifier: MIT
// volk, compiled into the library under names of our own.
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif
#include "volk_names.h"

#include <volk.c>
