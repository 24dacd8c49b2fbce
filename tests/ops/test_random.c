// SPDX-License-Identifier: MIT
// The rows of rows_random.c on this device.
#include "ops/rows_random.c"

OP_TEST_MAIN(random_rows)
