// SPDX-License-Identifier: MIT
// Dormand and Prince's fifth-order pair with torchdiffeq's rules of stepping: pure, f64. Slopes k_0 .. k_6 of a step of
// length h from state x: k_0 at its start, k_6 at its end, which is the next step's k_0. Everything a step makes is x
// plus a sum of weights times slopes. Dormand and Prince 1980; torchdiffeq/_impl/dopri5.py, rk_common.py, misc.py.
#ifndef IGVK_SAMPLING_DOPRI5_H
#define IGVK_SAMPLING_DOPRI5_H

#include <stdint.h>

#define DOPRI5_SLOPES 7

// Where in the step, from 0 to 1, slope k (1 .. 6) is taken, and the weights of the state it is taken at. That of
// slope 6 is the step's result.
double dopri5_place(uint32_t k);
void dopri5_stage(uint32_t k, double h, double weights[DOPRI5_SLOPES]);
// The difference of the fifth- and the fourth-order result.
void dopri5_error(double h, double weights[DOPRI5_SLOPES]);
// The state at `place` of the step, by the quartic through both ends, both slopes and the middle.
void dopri5_inside(double place, double h, double weights[DOPRI5_SLOPES]);

// The first step, in two parts (Hairer, Norsett and Wanner, II.4): d0, d1 are the root mean squares of x and of k_0
// over their tolerances; the trial's length; d2 that of the change of slope over the trial, divided by its length.
double dopri5_trial(double d0, double d1);
double dopri5_first(double trial, double d1, double d2);
// The length after a step of length h and error `ratio` (root mean square over the tolerance; accepted up to 1).
double dopri5_next(double h, double ratio);

#endif
