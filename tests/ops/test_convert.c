// SPDX-License-Identifier: MIT
// The rows of rows_convert.c on this device.
#include "ops/rows_convert.c"

OP_TEST_MAIN(convert_rows)
