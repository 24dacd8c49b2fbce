// SPDX-License-Identifier: MIT
// The rows of rows_sampling.c on this device.
#include "ops/rows_sampling.c"

OP_TEST_MAIN(sampling_rows)
