/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest memory that a client has told us of: which range of guest-physical
 * addresses lies where in which file. Nothing is mapped here; a file that comes
 * with many ranges, as a guest's RAM does, is kept open once.
 */
#ifndef PTNET_ATTACH_DMA_TABLE_H
#define PTNET_ATTACH_DMA_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct closer;

#define DMA_MAX_RANGES 1024
#define DMA_MAX_FILES  64 /* open descriptors per client */

/* Why there is no file to a range. */
enum {
	DMA_NOT_SHARED = -1, /* no descriptor came */
	DMA_NOT_MEMORY = -2, /* it is no memory file */
	DMA_NO_SLOT = -3,    /* there are DMA_MAX_FILES others */
};

struct dma_range {
	uint64_t address; /* guest-physical */
	uint64_t size;	  /* bytes, never 0; address + size - 1 does not wrap */
	uint64_t offset;  /* in the file; offset + size is at most INT64_MAX */
	int file;	  /* index into files, or DMA_NOT_... */
	bool readable, writable;
};

struct dma_file {
	int fd;
	uint32_t ranges; /* that lie in it; 0: the slot is free */
	dev_t device;
	ino_t inode;
	int access_mode; /* O_RDONLY, O_RDWR */
};

struct dma_table {
	struct closer *closer;
	struct dma_range *ranges; /* in no order */
	uint32_t num_ranges, capacity;
	struct dma_file files[DMA_MAX_FILES];
};

/* @closer, which must outlive it, closes the files. */
void dma_table_init(struct dma_table *table, struct closer *closer);
/* Forgets everything and closes all files; the table is then as new. */
void dma_table_clear(struct dma_table *table);

/*
 * Adds a range. @fd, -1 if the memory is not shared, is taken over in any case.
 * -EINVAL: empty or wraps; -EEXIST: overlaps a known range; -ENOSPC: over
 * DMA_MAX_RANGES; -ENOMEM.
 */
int dma_table_map(struct dma_table *table, uint64_t address, uint64_t size, uint64_t offset,
		  bool readable, bool writable, int fd);

/* There is exactly this range. */
bool dma_table_has(const struct dma_table *table, uint64_t address, uint64_t size);

/* Removes exactly this range. -ENOENT: there is none like that. */
int dma_table_unmap(struct dma_table *table, uint64_t address, uint64_t size);

/* The range that has all of [@address, @address + @size), or NULL. @size > 0. */
const struct dma_range *dma_table_find(const struct dma_table *table, uint64_t address,
				       uint64_t size);

/* -1 if the range has no file; stays the table's. */
int dma_table_fd(const struct dma_table *table, const struct dma_range *range);

/* [a, a + a_size) and [b, b + b_size) have a byte in common; neither wraps, sizes > 0. */
static inline bool dma_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a <= b + (b_size - 1) && b <= a + (a_size - 1);
}

#endif
