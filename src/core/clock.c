// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include "core/clock.h"

#include <time.h>

double clock_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void clock_sleep(double seconds) {
    const double whole = seconds < 0 ? 0 : seconds;
    const struct timespec t = {.tv_sec = (time_t)whole, .tv_nsec = (long)(1e9 * (whole - (double)(time_t)whole))};
    nanosleep(&t, NULL); // a signal may end it early
}
