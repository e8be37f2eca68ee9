/* SPDX-License-Identifier: BSD-2-Clause */
/* Time and CPUs for benchmarks. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <sched.h>
#include <time.h>
#include <unistd.h>

static inline double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* CPU time of the calling thread. */
static inline double thread_cpu_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline void sleep_s(double seconds)
{
	struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

	nanosleep(&left, NULL);
}

/* The calling thread stays on the @n-th CPU of the machine (modulo their number). */
static inline void pin_to_cpu(unsigned n)
{
	cpu_set_t cpus;
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	CPU_ZERO(&cpus);
	CPU_SET(n % (unsigned)(online > 0 ? online : 1), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

#endif
