/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of DMA ranges: edges of the address space, limits, open files; and beside a model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attach/dma_table.h"
#include "random.h"
#include "test_attach_fixture.h"

static struct dma_table table;
static unsigned open_fds;

static int setup(void **state)
{
	(void)state;
	open_fds = count_open_fds();
	dma_table_init(&table, test_closer());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dma_table_clear(&table);
	assert_int_equal(count_open_fds(), open_fds);
	return 0;
}

static int map(uint64_t address, uint64_t size)
{
	return dma_table_map(&table, address, size, 0, true, true, -1);
}

static int memory_file(void)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void sizes_and_offsets_that_wrap_are_refused(void **state)
{
	(void)state;
	assert_int_equal(map(0, 0), -EINVAL);
	assert_int_equal(map(UINT64_MAX, 2), -EINVAL);
	assert_int_equal(map(1, UINT64_MAX), -EINVAL);
	assert_int_equal(map(0, UINT64_MAX), -EINVAL); /* no file is that long */
	assert_int_equal(dma_table_map(&table, 0, 4096, UINT64_MAX, true, true, memory_file()),
			 -EINVAL);
	assert_int_equal(
		dma_table_map(&table, 0, 4096, INT64_MAX - 4095, true, true, memory_file()),
		-EINVAL);
	assert_int_equal(table.num_ranges, 0);
	assert_int_equal(map(UINT64_MAX, 1), 0);
	assert_non_null(dma_table_find(&table, UINT64_MAX, 1));
	assert_null(dma_table_find(&table, UINT64_MAX, 2));
	assert_null(dma_table_find(&table, UINT64_MAX - 1, 2));
}

static void overlaps_are_refused_and_neighbours_are_not(void **state)
{
	(void)state;
	assert_int_equal(map(0x1000, 0x1000), 0);
	assert_int_equal(map(0x1000, 0x1000), -EEXIST);
	assert_int_equal(map(0x1fff, 1), -EEXIST);
	assert_int_equal(map(0, 0x1001), -EEXIST);
	assert_int_equal(map(0, 0x10000), -EEXIST);
	assert_int_equal(map(0x1800, 0x10), -EEXIST);
	assert_int_equal(map(0, 0x1000), 0);
	assert_int_equal(map(0x2000, 0x1000), 0);
}

static void only_the_same_range_is_unmapped(void **state)
{
	(void)state;
	assert_int_equal(map(0x1000, 0x1000), 0);
	assert_int_equal(dma_table_unmap(&table, 0x1000, 0xfff), -ENOENT);
	assert_int_equal(dma_table_unmap(&table, 0x1001, 0x1000), -ENOENT);
	assert_int_equal(dma_table_unmap(&table, 0, UINT64_MAX), -ENOENT);
	assert_int_equal(dma_table_unmap(&table, 0x1000, 0x1000), 0);
	assert_int_equal(dma_table_unmap(&table, 0x1000, 0x1000), -ENOENT);
}

static void the_number_of_ranges_is_limited(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DMA_MAX_RANGES; i++)
		assert_int_equal(map(i, 1), 0);
	assert_int_equal(map(DMA_MAX_RANGES, 1), -ENOSPC);
	assert_int_equal(dma_table_map(&table, DMA_MAX_RANGES, 1, 0, true, true, memory_file()),
			 -ENOSPC);
	assert_int_equal(dma_table_unmap(&table, 500, 1), 0);
	assert_int_equal(map(DMA_MAX_RANGES, 1), 0);
}

static void a_file_is_open_once_however_many_ranges_it_has(void **state)
{
	int fd = memory_file();

	(void)state;
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(dma_table_map(&table, i * 0x1000, 0x1000, 0, true, true, dup(fd)),
				 0);
	assert_int_equal(count_open_fds(), open_fds + 2);
	for (unsigned i = 0; i < 500; i++) {
		assert_true(dma_table_fd(&table, dma_table_find(&table, i * 0x1000, 1)) >= 0);
		assert_int_equal(dma_table_unmap(&table, i * 0x1000, 0x1000), 0);
	}
	close(fd);
	assert_int_equal(count_open_fds(), open_fds);
}

static void further_files_than_the_limit_count_as_unshared(void **state)
{
	(void)state;
	for (unsigned i = 0; i <= DMA_MAX_FILES; i++)
		assert_int_equal(
			dma_table_map(&table, i * 0x1000, 0x1000, 0, true, true, memory_file()), 0);
	assert_int_equal(count_open_fds(), open_fds + DMA_MAX_FILES);
	assert_int_equal(dma_table_find(&table, DMA_MAX_FILES * 0x1000, 1)->file, DMA_NO_SLOT);
	assert_int_equal(dma_table_fd(&table, dma_table_find(&table, DMA_MAX_FILES * 0x1000, 1)),
			 -1);
	/* A slot that becomes free is used again. */
	assert_int_equal(dma_table_unmap(&table, 0x3000, 0x1000), 0);
	assert_int_equal(dma_table_map(&table, 0x3000, 0x1000, 0, true, true, memory_file()), 0);
	assert_true(dma_table_find(&table, 0x3000, 1)->file >= 0);
}

static void what_is_no_memory_file_is_closed(void **state)
{
	(void)state;
	assert_int_equal(
		dma_table_map(&table, 0, 1, 0, true, true, open("/dev/zero", O_RDWR | O_CLOEXEC)),
		0);
	assert_int_equal(dma_table_find(&table, 0, 1)->file, DMA_NOT_MEMORY);
	assert_int_equal(count_open_fds(), open_fds);
}

/* A small address space, owners in an array beside it. */
static void random_changes_agree_with_a_model(void **state)
{
	enum { SPACE = 200 };
	static int owner[SPACE];
	struct random random;
	int next = 1, unmapped = 0;

	(void)state;
	random_start(&random, "dma_table");
	memset(owner, 0, sizeof(owner));
	for (unsigned step = 0; step < 20000; step++) {
		uint64_t address = random_below(&random, SPACE);
		uint32_t room = SPACE - (uint32_t)address;
		uint64_t size = 1 + random_below(&random, room < 8 ? room : 8);
		bool empty = true, same = owner[address] != 0;

		for (uint64_t i = address; i < address + size; i++) {
			empty &= owner[i] == 0;
			same &= owner[i] == owner[address];
		}
		bool found = same && owner[address] != 0;
		assert_int_equal(dma_table_find(&table, address, size) != NULL, found);
		bool exact = found && (address == 0 || owner[address - 1] != owner[address]) &&
			     (address + size == SPACE || owner[address + size] != owner[address]);
		if (random_below(&random, 3) == 0) {
			assert_int_equal(dma_table_unmap(&table, address, size),
					 exact ? 0 : -ENOENT);
			unmapped += exact;
			if (exact)
				memset(&owner[address], 0, size * sizeof(owner[0]));
			continue;
		}
		assert_int_equal(map(address, size), empty ? 0 : -EEXIST);
		for (uint64_t i = address; empty && i < address + size; i++)
			owner[i] = next;
		next++;
	}
	assert_true(unmapped > 100); /* else nothing was shown */
}

int main(void)
{
#define on_table(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		on_table(sizes_and_offsets_that_wrap_are_refused),
		on_table(overlaps_are_refused_and_neighbours_are_not),
		on_table(only_the_same_range_is_unmapped),
		on_table(the_number_of_ranges_is_limited),
		on_table(a_file_is_open_once_however_many_ranges_it_has),
		on_table(further_files_than_the_limit_count_as_unshared),
		on_table(what_is_no_memory_file_is_closed),
		on_table(random_changes_agree_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
