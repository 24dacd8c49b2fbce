// SPDX-License-Identifier: MIT
// The rows of rows_convolution.c on this device.
#include "ops/rows_convolution.c"

OP_TEST_MAIN(convolution_rows)
