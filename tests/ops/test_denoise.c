// SPDX-License-Identifier: MIT
// The rows of rows_denoise.c on this device.
#include "ops/rows_denoise.c"

OP_TEST_MAIN(denoise_rows)
