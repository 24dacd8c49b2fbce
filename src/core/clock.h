// SPDX-License-Identifier: MIT
#ifndef IGVK_CORE_CLOCK_H
#define IGVK_CORE_CLOCK_H

double clock_seconds(void); // monotonic
void clock_sleep(double seconds);

#endif
