// SPDX-License-Identifier: MIT
// The rows of rows_attention.c on this device.
#include "ops/rows_attention.c"

OP_TEST_MAIN(attention_rows)
