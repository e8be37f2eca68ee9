/* SPDX-License-Identifier: BSD-2-Clause */
/* What it costs here to wake a thread that sleeps on another CPU. */
#ifndef BENCH_WAKEUP_H
#define BENCH_WAKEUP_H

/*
 * Seconds of one eventfd round trip between two threads that sleep, one on each of
 * the first two CPUs: two wake-ups. The mean over @seconds.
 */
double wakeup_round_trip_s(double seconds);

#endif
