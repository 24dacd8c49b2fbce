// SPDX-License-Identifier: MIT
// The rows of rows_training.c on this device.
#include "ops/rows_training.c"

OP_TEST_MAIN(training_rows)
