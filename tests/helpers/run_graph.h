// SPDX-License-Identifier: MIT
// Running graphs on the device, for tests. In most tests one call:
//
//     float out[6];
//     run_graph(g, (run_input[]){{"x", x, sizeof x}}, 1, (run_output[]){{y, out, sizeof out}}, 1);
//
// and where a program runs more than once, or two programs share state:
//
//     graph_run *r = graph_run_open(test_device(), NULL, g, keep, keep_count);
//     graph_run_write(r, "x", x, sizeof x);
//     graph_run_go(r); graph_run_go(r);
//     graph_run_read(r, y, out, sizeof out);
//     graph_run_close(&r);
//
// A failure of igvk's fails the running cmocka test with igvk's line.
#ifndef IGVK_TESTS_RUN_GRAPH_H
#define IGVK_TESTS_RUN_GRAPH_H

#include "graph/graph.h"
#include "vulkan/device.h"
#include "vulkan/program.h"

// Fails the test with igvk's error text unless `expression` is IGVK_OK.
#define assert_ok(expression) assert_ok_at((expression), #expression, __FILE__, __LINE__)
void assert_ok_at(igvk_status status, const char *expression, const char *file, int line);
// Fails the test unless `expression` gives `expected` and the error text holds `part`.
#define assert_fails(expression, expected, part)                                                                       \
    assert_fails_at((expression), expected, part, #expression, __FILE__, __LINE__)
void assert_fails_at(igvk_status status, igvk_status expected, const char *part, const char *expression,
                     const char *file, int line);

// The device that IGVK_DEVICE picks, opened at the first call; IGVK_TEST_NO_ADDRESS=1 makes it bind by descriptors.
// Where there is none the process ends with 77: CTest counts the test as skipped.
device *test_device(void);
// The same device by descriptors, whatever the environment says.
device *test_device_descriptors(void);
// Closes them: the group's teardown, cmocka_run_group_tests(tests, NULL, close_test_devices). Not left to atexit,
// since layers are torn down before.
int close_test_devices(void **state);

typedef struct run_input {
    const char *name; // of an external root
    const void *data;
    uint64_t bytes; // all of the root's
} run_input;

typedef struct run_output {
    tensor_id tensor; // an activation; an external root or a view of one (its value after the run)
    void *data;
    uint64_t bytes;
} run_output;

// Externals not given are zero. The graph stays the caller's; lowering may have appended scratch tensors to it.
void run_graph(graph *g, const run_input *inputs, size_t input_count, const run_output *outputs, size_t output_count);
void run_graph_on(device *d, graph *g, const run_input *inputs, size_t input_count, const run_output *outputs,
                  size_t output_count);

// A graph recorded. `s` holds the externals, which are added where they are missing (zeroed; "steps" and "metrics" as
// rings); null: a store of its own. The graph must live as long.
typedef struct graph_run graph_run;
graph_run *graph_run_open(device *d, store *s, graph *g, const tensor_id *keep, size_t keep_count);
void graph_run_close(graph_run **r);
store *graph_run_store(graph_run *r);
program *graph_run_program(graph_run *r);
void graph_run_write(graph_run *r, const char *name, const void *data, uint64_t bytes);
void graph_run_go(graph_run *r); // submits; graph_run_read waits
void graph_run_read(graph_run *r, tensor_id t, void *data, uint64_t bytes);

#endif
