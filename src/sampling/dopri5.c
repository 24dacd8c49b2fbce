// SPDX-License-Identifier: MIT
#include "sampling/dopri5.h"

#include <math.h>

static const double places[DOPRI5_SLOPES] = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};

static const double stages[DOPRI5_SLOPES][DOPRI5_SLOPES] = {
    {0},
    {1.0 / 5},
    {3.0 / 40, 9.0 / 40},
    {44.0 / 45, -56.0 / 15, 32.0 / 9},
    {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
    {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
    {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84},
};

// torchdiffeq's, which differ from the textbook's embedded fourth order: Shampine's.
static const double fourth[DOPRI5_SLOPES] = {1951.0 / 21600, 0,       22642.0 / 50085, 451.0 / 720, -12231.0 / 42400,
                                             649.0 / 6300,   1.0 / 60};

// The state in the middle (Shampine 1986).
static const double middle[DOPRI5_SLOPES] = {6025192743.0 / 30085553152 / 2,     0,
                                             51252292925.0 / 65400821598 / 2,    -2691868925.0 / 45128329728 / 2,
                                             187940372067.0 / 1594534317056 / 2, -1776094331.0 / 19743644256 / 2,
                                             11237099.0 / 235043384 / 2};

double dopri5_place(uint32_t k) {
    return places[k];
}

void dopri5_stage(uint32_t k, double h, double weights[DOPRI5_SLOPES]) {
    for (uint32_t j = 0; j < DOPRI5_SLOPES; j++)
        weights[j] = h * stages[k][j];
}

void dopri5_error(double h, double weights[DOPRI5_SLOPES]) {
    for (uint32_t j = 0; j < DOPRI5_SLOPES; j++)
        weights[j] = h * (stages[DOPRI5_SLOPES - 1][j] - fourth[j]);
}

// The quartic's coefficients are linear in x, the result, the middle and both slopes; x drops out of all but the
// constant one.
void dopri5_inside(double place, double h, double weights[DOPRI5_SLOPES]) {
    const double p = place;
    for (uint32_t j = 0; j < DOPRI5_SLOPES; j++) {
        const double start = j == 0, end = j == DOPRI5_SLOPES - 1;
        const double result = stages[DOPRI5_SLOPES - 1][j], half = middle[j];
        const double p4 = 2 * (end - start) - 8 * result + 16 * half;
        const double p3 = 5 * start - 3 * end + 14 * result - 32 * half;
        const double p2 = end - 4 * start - 5 * result + 16 * half;
        weights[j] = h * p * (start + p * (p2 + p * (p3 + p * p4)));
    }
}

double dopri5_trial(double d0, double d1) {
    return d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1;
}

double dopri5_first(double trial, double d1, double d2) {
    const double steepest = d1 > d2 ? d1 : d2;
    const double h = d1 <= 1e-15 && d2 <= 1e-15 ? fmax(1e-6, trial * 1e-3) : pow(0.01 / steepest, 1.0 / 5);
    return fmin(100 * trial, h);
}

double dopri5_next(double h, double ratio) {
    if (ratio == 0)
        return 10 * h;
    return h * fmin(10, fmax(0.9 / pow(ratio, 1.0 / 5), ratio < 1 ? 1 : 0.2));
}
