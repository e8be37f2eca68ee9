/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "memory/region.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log/log.h"
#include "memory/guard.h"
#include "memory/pool.h"

#define PAGE	      4096u
#define ORDINARY_PAGE 4096u
#define HUGE_PAGE     (2u << 20)
#define OBJECT_ALIGN  64u
#define FIRST_ID      2 /* of private regions */
#define MAX_IDS	      65536
#define NAME_SIZE     64

struct region {
	unsigned references;
	uint16_t id;
	char name[NAME_SIZE];
	int fd;
	char *base;
	size_t file_size;
	int lost_eventfd, guard;
	struct region_geometry geometry;
	struct pool ifs, rings, csbs;
	struct pool bufs; /* under bufs_lock: workers mend rings */
	pthread_mutex_t bufs_lock;
};

static uint64_t id_taken[MAX_IDS / 64];

static bool id_take(int id)
{
	if ((id_taken[id / 64] >> (id % 64) & 1) != 0)
		return false;
	id_taken[id / 64] |= UINT64_C(1) << (id % 64);
	return true;
}

static int id_alloc(uint16_t wanted, struct error *error)
{
	if (wanted == REGION_GLOBAL_ID)
		return id_take(wanted)
			       ? wanted
			       : error_set(error, EEXIST, "the global region exists already");
	if (wanted != 0)
		return error_set(error, EINVAL, "memory id %u: only 1 can be asked for", wanted);
	for (int id = FIRST_ID; id < MAX_IDS; id++)
		if (id_take(id))
			return id;
	return error_set(error, ENOSPC, "all %d memory ids are in use", MAX_IDS - FIRST_ID);
}

static void id_free(uint16_t id)
{
	id_taken[id / 64] &= ~(UINT64_C(1) << (id % 64));
}

static uint64_t round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

void region_config_for_port(struct region_config *config, uint32_t tx_rings, uint32_t rx_rings,
			    uint32_t tx_slots, uint32_t rx_slots, uint32_t extra_bufs,
			    uint32_t pipes)
{
	/* netmap counts the fake host rings too. */
	uint32_t tx = tx_rings + 1, rx = rx_rings + 1, p = pipes;

	if (config->if_size == 0)
		config->if_size = max_u32(1024, 56 + 8 * (tx + rx));
	if (config->if_num == 0)
		config->if_num = max_u32(2, 2 + 4 * p);
	if (config->ring_size == 0)
		config->ring_size = max_u32(20480, 256 + 16 * max_u32(tx_slots, rx_slots));
	if (config->ring_num == 0)
		config->ring_num = max_u32(4, tx + rx + 8 * p);
	if (config->buf_size == 0)
		config->buf_size = 2048;
	if (config->buf_num == 0)
		config->buf_num = max_u32(4098, (4 * p + rx) * rx_slots + (4 * p + tx) * tx_slots +
							REGION_FIRST_BUF + extra_bufs);
}

/* One pool by netmap's rules: object size a multiple of 64, whole clusters of pages. */
struct pool_limits {
	const char *name;
	uint32_t min_size, max_size, min_num, max_num, default_size, default_num;
};

/* Private regions of our own ports may have more interfaces and rings than netmap's. */
static const struct pool_limits private_limits[] = {
	{"if", 56, 4096, 1, 10000, 1024, 2},
	{"ring", 256, 131072, 2, 10000, 20480, 4},
	{"buf", 64, 65536, 4, 1000000, 2048, 4098},
};
static const struct pool_limits external_limits[] = {
	{"if", 56, 4096, 1, 100, 1024, 2},
	{"ring", 256, 131072, 2, 1024, 20480, 4},
	{"buf", 64, 65536, 4, 1000000, 2048, 4098},
};
static const struct pool_limits global_limits[] = {
	{"if", 56, 4096, 10, 10000, 1024, 100},
	{"ring", 256, 131072, 2, 10000, 36864, 200},
	{"buf", 64, 65536, 4, 1000000, 2048, 163840},
};

static int pool_place(struct pool_geometry *pool, uint64_t *offset,
		      const struct pool_limits *limits, uint32_t num, uint32_t size,
		      struct error *error)
{
	num = num != 0 ? num : limits->default_num;
	size = size != 0 ? size : limits->default_size;
	if (size < limits->min_size || size > limits->max_size)
		return error_set(error, EINVAL, "%s_size %u is out of range: %u to %u bytes",
				 limits->name, size, limits->min_size, limits->max_size);
	if (num < limits->min_num || num > limits->max_num)
		return error_set(error, EINVAL, "%s_num %u is out of range: %u to %u objects",
				 limits->name, num, limits->min_num, limits->max_num);
	size = (uint32_t)round_up(size, OBJECT_ALIGN);
	uint32_t cluster = 1;
	while ((uint64_t)cluster * size % PAGE != 0)
		cluster++;
	pool->offset = *offset;
	pool->objsize = size;
	pool->objtotal = (uint32_t)round_up(num, cluster);
	*offset += (uint64_t)pool->objtotal * size;
	return 0;
}

/* What the pools leave of memory of a given size becomes buffers (spec/ports.md section 8.6). */
static int geometry_fit(struct region_geometry *geometry, uint64_t memsize, uint32_t max_bufs,
			struct error *error)
{
	struct pool_geometry *bufs = &geometry->buf_pool;
	uint64_t more;

	memsize -= memsize % PAGE;
	if (geometry->csb_offset > memsize)
		return error_set(error, ENOMEM,
				 "the pools take %" PRIu64 " bytes, the memory has %" PRIu64,
				 geometry->csb_offset, memsize);
	more = (memsize - geometry->csb_offset) / bufs->objsize;
	if (bufs->objtotal + more > max_bufs)
		more = bufs->objtotal < max_bufs ? max_bufs - bufs->objtotal : 0;
	bufs->objtotal += (uint32_t)more;
	geometry->csb_offset = memsize;
	return 0;
}

static int geometry_compute(struct region_geometry *geometry, const struct region_config *config,
			    struct error *error)
{
	const struct pool_limits *limits = config->id == REGION_GLOBAL_ID ? global_limits
					   : config->memsize != 0	  ? external_limits
									  : private_limits;
	uint64_t offset = 0;
	int result;

	memset(geometry, 0, sizeof(*geometry));
	result = pool_place(&geometry->if_pool, &offset, &limits[0], config->if_num,
			    config->if_size, error);
	if (result == 0)
		result = pool_place(&geometry->ring_pool, &offset, &limits[1], config->ring_num,
				    config->ring_size, error);
	if (result == 0)
		result = pool_place(&geometry->buf_pool, &offset, &limits[2], config->buf_num,
				    config->buf_size, error);
	if (result < 0)
		return result;
	geometry->csb_offset = offset;
	if (config->memsize != 0)
		result = geometry_fit(geometry, config->memsize, limits[2].max_num, error);
	geometry->csb_num = config->csb_num;
	geometry->memsize = geometry->csb_offset + (uint64_t)config->csb_num * REGION_CSB_SIZE;
	return result;
}

static int pools_init(struct region *region)
{
	const struct region_geometry *g = &region->geometry;

	if (pool_init(&region->ifs, g->if_pool.objtotal, 0) < 0 ||
	    pool_init(&region->rings, g->ring_pool.objtotal, 0) < 0 ||
	    pool_init(&region->bufs, g->buf_pool.objtotal, REGION_FIRST_BUF) < 0 ||
	    pool_init(&region->csbs, g->csb_num, 0) < 0)
		return -ENOMEM;
	return 0;
}

static void pools_fini(struct region *region)
{
	pool_fini(&region->csbs);
	pool_fini(&region->bufs);
	pool_fini(&region->rings);
	pool_fini(&region->ifs);
}

/* Creates, sizes, maps, guards and seals the file. On failure nothing is left of it. */
static int file_create(struct region *region, unsigned memfd_flags, uint64_t size)
{
	size_t page = memfd_flags & MFD_HUGETLB ? HUGE_PAGE : ORDINARY_PAGE;
	int result;

	region->fd = memfd_create("ptnetd-region", MFD_CLOEXEC | MFD_ALLOW_SEALING | memfd_flags);
	if (region->fd < 0)
		return -errno;
	if (ftruncate(region->fd, (off_t)size) < 0)
		goto fail_close;
	region->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);
	if (region->base == MAP_FAILED)
		goto fail_close;
	/* Whoever gets the descriptor could otherwise shrink the file under us. */
	if (fcntl(region->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		goto fail_unmap;
	/* ... and can still punch holes in it, which not always can be filled again. */
	result = guard_add(region->base, size, page, region->lost_eventfd);
	if (result < 0) {
		errno = -result;
		goto fail_unmap;
	}
	region->guard = result;
	region->file_size = size;
	return 0;

fail_unmap:
	result = -errno;
	munmap(region->base, size);
	close(region->fd);
	return result;
fail_close:
	result = -errno;
	close(region->fd);
	return result;
}

/* The daemon goes on without, and somebody should know what would help. */
static void warn_of_ordinary_pages(const struct region *region, uint64_t huge_size, int result)
{
	uint64_t pages = huge_size / HUGE_PAGE;

	switch (result) {
	case -ENOMEM:
		log_warning("region \"%s\" has ordinary pages: the host has not %" PRIu64
			    " free huge pages of 2 MiB; add %" PRIu64
			    " to vm.nr_hugepages with sysctl(8), then make the region again",
			    region->name, pages, pages);
		break;
	case -ENODEV:
	case -ENOENT:
	case -ENOSYS:
	case -EINVAL:
		log_warning("region \"%s\" has ordinary pages: this kernel has no huge pages of "
			    "2 MiB (%s)",
			    region->name, strerror(-result));
		break;
	default:
		log_warning("region \"%s\" has ordinary pages: cannot get %" PRIu64
			    " huge pages of 2 MiB: %s",
			    region->name, pages, strerror(-result));
	}
}

static int memory_create(struct region *region, bool hugepages, struct error *error)
{
	struct region_geometry *geometry = &region->geometry;
	uint64_t huge_size = round_up(geometry->memsize, HUGE_PAGE);
	int result;

	if (hugepages) {
		result = file_create(region, MFD_HUGETLB | MFD_HUGE_2MB, huge_size);
		if (result == 0) {
			geometry->memsize = huge_size;
			geometry->hugepages = true;
			return 0;
		}
		warn_of_ordinary_pages(region, huge_size, result);
	}
	result = file_create(region, 0, geometry->memsize);
	if (result < 0)
		return error_set(error, -result, "cannot create a region of %" PRIu64 " MiB: %s%s",
				 geometry->memsize >> 20, strerror(-result),
				 result == -ENOMEM ? "; if vm.overcommit_memory is 2 its size is "
						     "counted twice"
						   : "");
	return 0;
}

int region_create(struct region **out, const struct region_config *config, struct error *error)
{
	struct region *region = calloc(1, sizeof(*region));
	int result;

	if (region == NULL)
		return error_set(error, ENOMEM, "out of memory");
	region->references = 1;
	pthread_mutex_init(&region->bufs_lock, NULL);
	result = geometry_compute(&region->geometry, config, error);
	if (result < 0)
		goto fail_free;
	result = id_alloc(config->id, error);
	if (result < 0)
		goto fail_free;
	region->id = (uint16_t)result;
	if (config->name != NULL)
		snprintf(region->name, sizeof(region->name), "%s", config->name);
	else
		snprintf(region->name, sizeof(region->name), "%u", region->id);
	result = pools_init(region);
	if (result < 0) {
		error_set(error, -result, "out of memory");
		goto fail_pools;
	}
	region->lost_eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (region->lost_eventfd < 0) {
		result = error_set(error, errno, "cannot create a region: %s", strerror(errno));
		goto fail_pools;
	}
	result = memory_create(region, config->hugepages, error);
	if (result < 0)
		goto fail_eventfd;
	*out = region;
	return 0;

fail_eventfd:
	close(region->lost_eventfd);
fail_pools:
	pools_fini(region);
	id_free(region->id);
fail_free:
	pthread_mutex_destroy(&region->bufs_lock);
	free(region);
	return result;
}

struct region *region_get(struct region *region)
{
	region->references++;
	return region;
}

void region_put(struct region *region)
{
	if (region == NULL || --region->references > 0)
		return;
	guard_remove(region->guard);
	munmap(region->base, region->file_size);
	close(region->lost_eventfd);
	close(region->fd);
	pools_fini(region);
	id_free(region->id);
	pthread_mutex_destroy(&region->bufs_lock);
	free(region);
}

uint16_t region_id(const struct region *region)
{
	return region->id;
}

const char *region_name(const struct region *region)
{
	return region->name;
}

int region_fd(const struct region *region)
{
	return region->fd;
}

int region_lost_eventfd(const struct region *region)
{
	return region->lost_eventfd;
}

bool region_lost(const struct region *region)
{
	return guard_lost(region->guard);
}

char *region_base(const struct region *region)
{
	return region->base;
}

const struct region_geometry *region_geometry(const struct region *region)
{
	return &region->geometry;
}

/* Rings and interfaces are zeroed so that nothing of a former user is left in them. */
static int object_alloc(struct region *region, struct pool *pool, const struct pool_geometry *where)
{
	int64_t index = pool_alloc(pool);

	if (index >= 0)
		memset(region->base + where->offset + (uint64_t)index * where->objsize, 0,
		       where->objsize);
	return (int)index;
}

int region_if_alloc(struct region *region)
{
	return object_alloc(region, &region->ifs, &region->geometry.if_pool);
}

void region_if_free(struct region *region, uint32_t index)
{
	pool_free(&region->ifs, index);
}

int region_ring_alloc(struct region *region)
{
	return object_alloc(region, &region->rings, &region->geometry.ring_pool);
}

void region_ring_free(struct region *region, uint32_t index)
{
	pool_free(&region->rings, index);
}

int64_t region_buf_alloc(struct region *region)
{
	pthread_mutex_lock(&region->bufs_lock);
	int64_t index = pool_alloc(&region->bufs);
	pthread_mutex_unlock(&region->bufs_lock);
	return index;
}

void region_buf_free(struct region *region, uint32_t index)
{
	pthread_mutex_lock(&region->bufs_lock);
	pool_free(&region->bufs, index);
	pthread_mutex_unlock(&region->bufs_lock);
}

void region_bufs_taken(struct region *region, uint64_t *bits)
{
	pthread_mutex_lock(&region->bufs_lock);
	memcpy(bits, region->bufs.allocated,
	       (region->bufs.objtotal / 64 + 1) * sizeof(*region->bufs.allocated));
	pthread_mutex_unlock(&region->bufs_lock);
}

int region_csb_alloc(struct region *region)
{
	int64_t index = pool_alloc(&region->csbs);

	if (index >= 0)
		memset(region->base + region_csb_offset(region, (uint32_t)index), 0,
		       REGION_CSB_SIZE);
	return (int)index;
}

void region_csb_free(struct region *region, uint32_t index)
{
	pool_free(&region->csbs, index);
}

uint32_t region_bufs_free(struct region *region)
{
	pthread_mutex_lock(&region->bufs_lock);
	uint32_t num_free = region->bufs.num_free;
	pthread_mutex_unlock(&region->bufs_lock);
	return num_free;
}

uint32_t region_rings_free(const struct region *region)
{
	return region->rings.num_free;
}

uint64_t region_if_offset(const struct region *region, uint32_t index)
{
	return region->geometry.if_pool.offset + (uint64_t)index * region->geometry.if_pool.objsize;
}

uint64_t region_ring_offset(const struct region *region, uint32_t index)
{
	return region->geometry.ring_pool.offset +
	       (uint64_t)index * region->geometry.ring_pool.objsize;
}

uint64_t region_csb_offset(const struct region *region, uint32_t index)
{
	return region->geometry.csb_offset + (uint64_t)index * REGION_CSB_SIZE;
}
