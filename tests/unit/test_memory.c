/* SPDX-License-Identifier: BSD-2-Clause */
/* Pools and regions: netmap's layout, its limits, exhaustion, what a client may do to the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "captured_stderr.h"
#include "hugepages.h"
#include "memory/guard.h"
#include "memory/pool.h"
#include "memory/region.h"
#include "thread_sanitizer.h"

#define HUGE_PAGE (UINT64_C(2) << 20)

static void pool_hands_out_in_order_and_once(void **state)
{
	struct pool pool;

	(void)state;
	assert_int_equal(pool_init(&pool, 200, 2), 0);
	for (int i = 2; i < 200; i++)
		assert_int_equal(pool_alloc(&pool), i);
	assert_int_equal(pool_alloc(&pool), -ENOMEM);
	assert_true(pool_free(&pool, 64));
	assert_false(pool_free(&pool, 64));
	assert_false(pool_free(&pool, 0));
	assert_false(pool_free(&pool, 1));
	assert_false(pool_free(&pool, 200));
	assert_false(pool_free(&pool, UINT32_MAX));
	assert_int_equal(pool_alloc(&pool), 64);
	pool_fini(&pool);
}

/* spec/ports.md section 8.4: the worked example of a default VALE port. */
static void default_port_region_matches_netmap(void **state)
{
	struct region_config config = {0};
	struct region *region;
	struct error error;

	(void)state;
	region_config_for_port(&config, 1, 1, 1024, 1024, 0, 2);
	assert_int_equal(region_create(&region, &config, &error), 0);
	const struct region_geometry *g = region_geometry(region);
	assert_int_equal(g->if_pool.offset, 0);
	assert_int_equal(g->if_pool.objtotal, 12);
	assert_int_equal(g->if_pool.objsize, 1024);
	assert_int_equal(g->ring_pool.offset, 12288);
	assert_int_equal(g->ring_pool.objtotal, 20);
	assert_int_equal(g->ring_pool.objsize, 20480);
	assert_int_equal(g->buf_pool.offset, 12288 + 409600);
	assert_int_equal(g->buf_pool.objtotal, 20482);
	assert_int_equal(g->buf_pool.objsize, 2048);
	assert_int_equal(g->memsize, 42369024);
	assert_true(region_id(region) > 1);
	region_put(region);
}

/* Each direction counts with its own rings and slots, and extra buffers on top. */
static void lopsided_ports_are_sized_by_netmaps_formula(void **state)
{
	struct region_config config = {0};

	(void)state;
	region_config_for_port(&config, 3, 1, 512, 2048, 1000, 2);
	assert_int_equal(config.if_size, 1024);
	assert_int_equal(config.if_num, 2 + 4 * 2);
	assert_int_equal(config.ring_size, 256 + 16 * 2048);
	assert_int_equal(config.ring_num, 4 + 2 + 8 * 2);
	assert_int_equal(config.buf_num, (8 + 2) * 2048 + (8 + 4) * 512 + 2 + 1000);
}

/* spec/ports.md section 8.4. */
static void the_global_region_is_netmaps_and_there_is_one(void **state)
{
	struct region_config config = {.id = REGION_GLOBAL_ID};
	struct region *region, *other;
	struct error error;

	(void)state;
	if (region_create(&region, &config, &error) < 0)
		fail_msg("%s", error.text);
	const struct region_geometry *g = region_geometry(region);
	assert_int_equal(region_id(region), 1);
	assert_int_equal(g->if_pool.objtotal, 100);
	assert_int_equal(g->if_pool.objsize, 1024);
	assert_int_equal(g->ring_pool.objtotal, 200);
	assert_int_equal(g->ring_pool.objsize, 36864);
	assert_int_equal(g->buf_pool.objtotal, 163840);
	assert_int_equal(g->buf_pool.objsize, 2048);
	assert_int_equal(g->csb_offset, 343019520);
	assert_int_equal(region_create(&other, &config, &error), -EEXIST);
	config.id = 2;
	assert_int_equal(region_create(&other, &config, &error), -EINVAL);
	region_put(region);
	config.id = REGION_GLOBAL_ID;
	config.if_num = 9;
	assert_int_equal(region_create(&region, &config, &error), -EINVAL);
	config.if_num = 10;
	config.csb_num = 3;
	assert_int_equal(region_create(&region, &config, &error), 0);
	assert_int_equal(region_geometry(region)->memsize,
			 region_geometry(region)->csb_offset + 3 * REGION_CSB_SIZE);
	region_put(region);
}

/* spec/ports.md section 8.6. */
static void pools_fill_external_memory(void **state)
{
	struct region_config config = {.if_num = 4,
				       .if_size = 1024,
				       .ring_num = 4,
				       .ring_size = 1024,
				       .buf_num = 8,
				       .buf_size = 512,
				       .memsize = 3 * 4096};
	struct region_config defaults = {.memsize = 4 * 1024 + 4 * 20480 + 4098 * 2048};
	struct region *region;
	struct error error;

	(void)state;
	assert_int_equal(region_create(&region, &config, &error), 0);
	const struct region_geometry *g = region_geometry(region);
	assert_int_equal(g->memsize, 3 * 4096);
	assert_int_equal(g->csb_offset, 3 * 4096);
	assert_int_equal(g->ring_pool.offset, 4096);
	assert_int_equal(g->buf_pool.offset, 8192);
	assert_int_equal(g->buf_pool.objtotal, 8);
	assert_int_equal(region_bufs_free(region), 6);
	region_put(region);
	config.memsize -= 1;
	assert_int_equal(region_create(&region, &config, &error), -ENOMEM);
	assert_non_null(strstr(error.text, "12288"));

	/* What is left becomes buffers, also where it is no whole number of pages or of them. */
	config.buf_size = 1536;
	config.memsize = (2 + 3) * 4096 + 4095;
	assert_int_equal(region_create(&region, &config, &error), 0);
	g = region_geometry(region);
	assert_int_equal(g->buf_pool.objtotal, 8);
	assert_int_equal(g->memsize, 5 * 4096);
	region_put(region);
	config.memsize = 1 << 20;
	assert_int_equal(region_create(&region, &config, &error), 0);
	g = region_geometry(region);
	assert_int_equal(g->memsize, 1 << 20);
	assert_int_equal(g->buf_pool.objtotal, ((1 << 20) - 8192) / 1536);
	int64_t last = -1;
	for (uint32_t i = 0; i < g->buf_pool.objtotal - REGION_FIRST_BUF; i++)
		last = region_buf_alloc(region);
	assert_int_equal(last, g->buf_pool.objtotal - 1);
	assert_int_equal(region_buf_alloc(region), -ENOMEM);
	region_put(region);
	config.memsize = UINT64_C(1) << 33; /* no more buffers than there may be */
	assert_int_equal(region_create(&region, &config, &error), 0);
	assert_int_equal(region_geometry(region)->buf_pool.objtotal, 1000000);
	region_put(region);

	assert_int_equal(region_create(&region, &defaults, &error), 0);
	assert_int_equal(region_geometry(region)->if_pool.objtotal, 4);
	assert_int_equal(region_geometry(region)->buf_pool.objtotal, 4098);
	region_put(region);

	/* Limits as those of a private region. */
	struct region_config bad[] = {config, config, config, config, config};
	bad[0].if_num = 101;
	bad[1].ring_num = 1025;
	bad[2].buf_size = 65537;
	bad[3].ring_size = 255;
	bad[4].buf_num = 3;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(region_create(&region, &bad[i], &error), -EINVAL);
}

static void sizes_are_rounded_to_whole_pages(void **state)
{
	struct region_config config = {.if_num = 1,
				       .if_size = 57,
				       .ring_num = 3,
				       .ring_size = 300,
				       .buf_num = 5,
				       .buf_size = 1500};
	struct region *region;

	(void)state;
	assert_int_equal(region_create(&region, &config, NULL), 0);
	const struct region_geometry *g = region_geometry(region);
	assert_int_equal(g->if_pool.objsize, 64);
	assert_int_equal(g->if_pool.objtotal, 64);
	assert_int_equal(g->ring_pool.objsize, 320);
	assert_int_equal(g->buf_pool.objsize, 1536);
	assert_int_equal(g->ring_pool.offset % 4096, 0);
	assert_int_equal(g->buf_pool.offset % 4096, 0);
	assert_int_equal(g->memsize % 4096, 0);
	region_put(region);
}

static void out_of_range_sizes_are_refused(void **state)
{
	static const struct region_config bad[] = {
		{.if_size = 55},      {.if_size = 4097}, {.ring_size = 255},  {.ring_size = 131073},
		{.ring_num = 1},      {.buf_size = 63},	 {.buf_size = 65537}, {.buf_num = 3},
		{.buf_num = 1000001}, {.if_num = 10001},
	};
	struct region *region = NULL;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(region_create(&region, &bad[i], &error), -EINVAL);
		assert_non_null(strstr(error.text, "out of range"));
	}
	assert_null(region);
}

static void ids_are_unique_and_reused(void **state)
{
	struct region_config config = {0};
	struct region *a, *b, *c;

	(void)state;
	assert_int_equal(region_create(&a, &config, NULL), 0);
	assert_int_equal(region_create(&b, &config, NULL), 0);
	uint16_t id = region_id(a);
	assert_int_not_equal(id, region_id(b));
	region_put(a);
	assert_int_equal(region_create(&c, &config, NULL), 0);
	assert_int_equal(region_id(c), id);
	region_put(b);
	region_put(c);
}

/* Whoever holds the descriptor must not be able to make the daemon fault. */
static void file_cannot_be_shrunk_or_grown(void **state)
{
	struct region_config config = {0};
	struct region *region;

	(void)state;
	assert_int_equal(region_create(&region, &config, NULL), 0);
	int fd = dup(region_fd(region));
	assert_int_equal(ftruncate(fd, 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, (off_t)region_geometry(region)->memsize + 4096), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	close(fd);
	region_put(region);
}

static void objects_are_zeroed_when_reused(void **state)
{
	struct region_config config = {.csb_num = 1};
	struct region *region;

	(void)state;
	assert_int_equal(region_create(&region, &config, NULL), 0);
	int ring = region_ring_alloc(region);
	char *memory = region_base(region) + region_ring_offset(region, (uint32_t)ring);
	memset(memory, 0xee, region_geometry(region)->ring_pool.objsize);
	region_ring_free(region, (uint32_t)ring);
	assert_int_equal(region_ring_alloc(region), ring);
	for (uint32_t i = 0; i < region_geometry(region)->ring_pool.objsize; i++)
		assert_int_equal(memory[i], 0);
	int csb = region_csb_alloc(region);
	assert_int_equal(csb, 0);
	assert_int_equal(region_csb_alloc(region), -ENOMEM);
	assert_int_equal(region_csb_offset(region, 0) + REGION_CSB_SIZE,
			 region_geometry(region)->memsize);
	region_put(region);
}

/* Sparse: only what is touched takes memory, so tens of GB can be asked for. */
static void big_regions_are_sparse(void **state)
{
	struct region_config config = {.buf_num = 1000000, .buf_size = 65536};
	struct region *region;
	struct error error;

	(void)state;
	if (region_create(&region, &config, &error) < 0)
		fail_msg("%s", error.text);
	uint64_t size = region_geometry(region)->memsize;
	assert_true(size > UINT64_C(65536000000));
	region_base(region)[size - 1] = 1;
	region_put(region);
}

static void missing_hugepages_fall_back(void **state)
{
	struct region_config config = {
		.name = "pool", .hugepages = true, .buf_num = 1000000, .buf_size = 65536};
	struct captured_stderr capture;
	struct region *region;
	struct error error;
	char text[1000], advice[64];

	(void)state;
	capture_stderr(&capture);
	/* Nobody has reserved 65 GB of huge pages. */
	int result = region_create(&region, &config, &error);
	release_stderr(&capture, text, sizeof(text));
	if (result < 0)
		fail_msg("%s", error.text);
	assert_string_equal(region_name(region), "pool");
	assert_non_null(strstr(text, "region \"pool\" has ordinary pages"));
	/* Which of the two depends on the kernel. */
	snprintf(advice, sizeof(advice), "add %" PRIu64 " to vm.nr_hugepages",
		 (region_geometry(region)->memsize + HUGE_PAGE - 1) / HUGE_PAGE);
	assert_true(strstr(text, advice) != NULL ||
		    strstr(text, "this kernel has no huge pages") != NULL);
	assert_false(region_geometry(region)->hugepages);
	region_put(region);
}

#ifndef THREAD_SANITIZER
/* A page at a time: what is still there stays. */
static void lost_pages_are_replaced(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC), lost = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 4 * page;
	eventfd_t count;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(pages, MAP_FAILED);
	int guard = guard_add(pages, size, page, lost);
	assert_true(guard >= 0);
	memset(pages, 7, size);
	assert_false(guard_lost(guard));
	assert_int_equal(ftruncate(fd, (off_t)page), 0);
	assert_int_equal(*(volatile char *)&pages[page], 0);
	assert_true(guard_lost(guard));
	assert_int_equal(eventfd_read(lost, &count), 0);
	*(volatile char *)&pages[page] = 1;
	assert_int_equal(eventfd_read(lost, &count), -1); /* that one is ours now */
	assert_int_equal(*(volatile char *)&pages[size - 1], 0);
	assert_int_equal(eventfd_read(lost, &count), 0);
	assert_int_equal(pages[page], 1);
	assert_int_equal(pages[0], 7);
	guard_remove(guard);
	munmap(pages, size);
	close(fd);
	close(lost);
}

/* A mapping of @pages pages of a file that is then cut to nothing. */
static char *map_and_cut(size_t pages, int lost, int *guard)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	assert_int_equal(ftruncate(fd, (off_t)(pages * page)), 0);
	char *memory = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	*guard = guard_add(memory, pages * page, page, lost);
	assert_true(*guard >= 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	return memory;
}

static unsigned count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned count = 0;
	int c;

	assert_non_null(maps);
	while ((c = fgetc(maps)) != EOF)
		count += c == '\n';
	fclose(maps);
	return count;
}

/* Each is a mapping of its own, of which a process may not have many. */
static void very_many_lost_pages_are_replaced_at_once(void **state)
{
	int guard, lost = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = 10000;
	char *memory = map_and_cut(pages, lost, &guard);
	unsigned before = count_mappings();

	(void)state;
	for (size_t i = 0; i < pages; i += 2)
		*(volatile char *)&memory[i * page] = 1;
	assert_in_range(count_mappings(), before - 2, before + 300);
	assert_true(guard_lost(guard));
	for (size_t i = 0; i < pages; i++)
		*(volatile char *)&memory[i * page] = 2;
	guard_remove(guard);
	munmap(memory, pages * page);
	close(lost);
}

/* As with vm.overcommit_memory 2 when all is promised: the process gets not a page more. */
static void lost_pages_are_replaced_when_there_is_no_memory(void **state)
{
	int guard, lost = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = 10;
	char *memory = map_and_cut(pages, lost, &guard);
	struct rlimit limit, none = {.rlim_cur = page};
	eventfd_t count;
	void *more;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_DATA, &limit), 0);
	none.rlim_max = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_DATA, &none), 0);
	more = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < pages; i++)
		*(volatile char *)&memory[i * page] = 1;
	assert_int_equal(setrlimit(RLIMIT_DATA, &limit), 0);
	assert_ptr_equal(more, MAP_FAILED);
	assert_true(guard_lost(guard));
	assert_int_equal(eventfd_read(lost, &count), 0);
	assert_int_equal(count, 1);
	guard_remove(guard);
	munmap(memory, pages * page);
	close(lost);
}

/* The seals forbid to shrink the file, not to take its pages. */
static void a_region_survives_the_loss_of_huge_pages(void **state)
{
	struct region_config config = {.hugepages = true, .buf_num = 1024};
	long before;
	struct region *region = hugepages_region(&config, &before);
	volatile char *base = region_base(region);

	(void)state;
	base[0] = 1;
	assert_false(region_lost(region));
	hugepages_take_away(region, before);
	assert_int_equal(base[0], 0);
	assert_true(region_lost(region));
	base[region_geometry(region)->memsize - 1] = 1;
	hugepages_unlock();
	region_put(region);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool_hands_out_in_order_and_once),
		cmocka_unit_test(default_port_region_matches_netmap),
		cmocka_unit_test(lopsided_ports_are_sized_by_netmaps_formula),
		cmocka_unit_test(the_global_region_is_netmaps_and_there_is_one),
		cmocka_unit_test(pools_fill_external_memory),
		cmocka_unit_test(sizes_are_rounded_to_whole_pages),
		cmocka_unit_test(out_of_range_sizes_are_refused),
		cmocka_unit_test(ids_are_unique_and_reused),
		cmocka_unit_test(file_cannot_be_shrunk_or_grown),
		cmocka_unit_test(objects_are_zeroed_when_reused),
		cmocka_unit_test(big_regions_are_sparse),
		cmocka_unit_test(missing_hugepages_fall_back),
#ifndef THREAD_SANITIZER
		cmocka_unit_test(lost_pages_are_replaced),
		cmocka_unit_test(very_many_lost_pages_are_replaced_at_once),
		cmocka_unit_test(lost_pages_are_replaced_when_there_is_no_memory),
		cmocka_unit_test(a_region_survives_the_loss_of_huge_pages),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
