// SPDX-License-Identifier: MIT
// The rows of rows_muon.c on this device.
#include "ops/rows_muon.c"

OP_TEST_MAIN(muon_rows)
