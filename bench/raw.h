/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The limit that everything here is measured against: two threads on two CPUs, a
 * ring of 16-byte descriptors in shared memory between them, and, where packets
 * are copied, the copy by the consumer. No port, no daemon, nobody sleeps.
 */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include <stdint.h>

/*
 * Descriptors per second with @batch per publication; each comes with a copy of
 * @copy bytes between two pools of buffers (0: none). Producer on CPU 0, consumer on
 * CPU 1, for @seconds. @batch is at most @slots.
 */
double raw_rate(unsigned slots, unsigned batch, unsigned copy, double seconds);

#endif
