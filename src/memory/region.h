/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A memory region: the packet memory of one trust domain, a sealed memfd in
 * netmap's layout (spec/ports.md section 8):
 *
 *     [netmap_if pool][ring pool][buffer pool][CSB pages]
 *
 * Whoever is attached to a port of the region sees and may write all of it. So
 * nothing in here is ever read back as truth: which objects are handed out and
 * where the pools lie is known from private memory only.
 *
 * The CSB pages are ours, behind what netmap knows of (ptnet/registers.h,
 * "extension"); POOLS_INFO does not mention them.
 */
#ifndef PTNET_MEMORY_REGION_H
#define PTNET_MEMORY_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/error.h"

struct region;

struct pool_geometry {
	uint64_t offset;   /* bytes from the start of the region */
	uint32_t objtotal; /* objects, for buffers including the reserved 0 and 1 */
	uint32_t objsize;  /* bytes */
};

#define REGION_GLOBAL_ID 1 /* netmap's global region */

/* What is asked for; 0 means netmap's default for such a region (spec/ports.md section 8.4). */
struct region_config {
	uint16_t id; /* 0: any above 1 that is free; or REGION_GLOBAL_ID */
	/*
	 * Not 0: the pools are made for so many bytes of somebody's own memory (EXTMEM,
	 * section 8.6): what they leave of it becomes more buffers. netmap's limits for private
	 * regions hold.
	 */
	uint64_t memsize;
	const char *name; /* for people to know it by; NULL: its id will do. Is copied */
	uint32_t if_num, if_size;
	uint32_t ring_num, ring_size;
	uint32_t buf_num, buf_size;
	uint32_t csb_num; /* CSB pages: one per endpoint that may use the extension */
	bool hugepages;	  /* back by huge pages; falls back to ordinary ones with a warning */
};

struct region_geometry {
	uint64_t memsize; /* bytes, multiple of 4096; what mmap takes */
	struct pool_geometry if_pool, ring_pool, buf_pool;
	uint64_t csb_offset; /* end of the pools: the size of the region for who knows no CSB pages
			      */
	uint32_t csb_num;
	bool hugepages; /* really backed by huge pages */
};

#define REGION_CSB_SIZE	 4096 /* 32 atok entries, then 32 ktoa entries */
#define REGION_FIRST_BUF 2    /* buffers 0 and 1 are never handed out */

/*
 * Sizes a region for one port of @rings pairs with @slots each, @extra_bufs and
 * @pipes, by netmap's formula (spec/ports.md section 8.4). Fields of @config that
 * are already non-zero are kept.
 */
void region_config_for_port(struct region_config *config, uint32_t tx_rings, uint32_t rx_rings,
			    uint32_t tx_slots, uint32_t rx_slots, uint32_t extra_bufs,
			    uint32_t pipes);

/*
 * Creates a region with one reference and a memory id that no living region
 * has. Pages are populated when first touched. -EINVAL: an object size or count
 * is out of netmap's limits, or the id; -ENOMEM: also if the pools do not fit in
 * @config's memsize; -ENOSPC: no memory id left; -EEXIST: the global region lives.
 * Control thread, as everything below unless it says otherwise.
 */
int region_create(struct region **region, const struct region_config *config, struct error *error);

struct region *region_get(struct region *region);
void region_put(struct region *region);

/* Constant for the region's life; any thread. */
uint16_t region_id(const struct region *region);
const char *region_name(const struct region *region);
int region_fd(const struct region *region); /* stays the region's; dup it to pass it on */
char *region_base(const struct region *region);

/*
 * Somebody who has the region's file took memory out of it that could not be replaced
 * (memory/guard.h). We see zeroes there now, others something else: the region is good for
 * nothing any more. The eventfd, which stays the region's, is written when it happens.
 */
int region_lost_eventfd(const struct region *region);
bool region_lost(const struct region *region);

const struct region_geometry *region_geometry(const struct region *region);

/* Object numbers; -ENOMEM when the pool is exhausted. The memory of interface and
 * ring objects is zeroed, buffers keep what they hold (spec/ports.md section 8.5). */
int region_if_alloc(struct region *region);
void region_if_free(struct region *region, uint32_t index);
int region_ring_alloc(struct region *region);
void region_ring_free(struct region *region, uint32_t index);
/* Any thread. A buffer that is not handed out can't be freed: nothing happens. */
int64_t region_buf_alloc(struct region *region);
void region_buf_free(struct region *region, uint32_t index);
/* Sets the bit of every buffer that is handed out: objtotal / 64 + 1 words. Any thread. */
void region_bufs_taken(struct region *region, uint64_t *bits);
int region_csb_alloc(struct region *region);
void region_csb_free(struct region *region, uint32_t index);

/* How many objects of each pool are not handed out. Buffers: any thread. */
uint32_t region_bufs_free(struct region *region);
uint32_t region_rings_free(const struct region *region);

/* Byte offsets inside the region. */
uint64_t region_if_offset(const struct region *region, uint32_t index);
uint64_t region_ring_offset(const struct region *region, uint32_t index);
uint64_t region_csb_offset(const struct region *region, uint32_t index);

#endif
