/* SPDX-License-Identifier: BSD-2-Clause */
/* Huge pages of the test's own: reserved for as long as it needs them. */
#ifndef PTNET_TESTS_HUGEPAGES_H
#define PTNET_TESTS_HUGEPAGES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "memory/region.h"

static inline long hugepages_get(void)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "r");
	long count = -1;

	if (file != NULL && fscanf(file, "%ld", &count) != 1)
		count = -1;
	if (file != NULL)
		fclose(file);
	return count;
}

/* False: this machine does not let us, for want of rights or of memory. */
static inline bool hugepages_set(long count)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "w");

	if (count < 0 || file == NULL)
		return false;
	fprintf(file, "%ld\n", count);
	return fclose(file) == 0 && hugepages_get() == count;
}

/* The number is the machine's, and tests run side by side: one at a time. */
static int hugepages_lock_fd = -1;

static inline void hugepages_lock(void)
{
	hugepages_lock_fd =
		open("/tmp/ptnet-test-hugepages.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (hugepages_lock_fd < 0 || flock(hugepages_lock_fd, LOCK_EX) < 0) {
		print_message("no lock on the number of huge pages: run this as root\n");
		skip();
	}
}

/* To be called when the test has seen what happens without them. */
static inline void hugepages_unlock(void)
{
	close(hugepages_lock_fd);
	hugepages_lock_fd = -1;
}

/* Reserves what the region needs. What was reserved before is in *before. */
static inline struct region *hugepages_region(const struct region_config *config, long *before)
{
	struct region *region = NULL;
	struct error error = {0};

	hugepages_lock();
	*before = hugepages_get();
	if (!hugepages_set(*before + 16)) {
		hugepages_set(*before); /* there may be some more than before */
		hugepages_unlock();
		print_message("vm.nr_hugepages cannot be set: run this as root\n");
		skip();
	}
	if (region_create(&region, config, &error) < 0)
		fail_msg("%s", error.text);
	assert_true(region_geometry(region)->hugepages);
	return region;
}

/* As a VM would that has the descriptor: takes all memory out and leaves none to replace it. */
static inline void hugepages_take_away(const struct region *region, long before)
{
	assert_int_equal(fallocate(region_fd(region), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				   (off_t)region_geometry(region)->memsize),
			 0);
	assert_true(hugepages_set(before));
}

#endif
