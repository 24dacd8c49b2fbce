// SPDX-License-Identifier: MIT
// The rows of rows_token_order.c on this device.
#include "ops/rows_token_order.c"

OP_TEST_MAIN(token_order_rows)
