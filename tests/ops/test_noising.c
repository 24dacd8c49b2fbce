// SPDX-License-Identifier: MIT
// The rows of rows_noising.c on this device.
#include "ops/rows_noising.c"

OP_TEST_MAIN(noising_rows)
