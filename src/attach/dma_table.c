/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach/dma_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attach/csb_map.h"
#include "engine/closer.h"

#define FIRST_CAPACITY 16

void dma_table_init(struct dma_table *table, struct closer *closer)
{
	memset(table, 0, sizeof(*table));
	table->closer = closer;
}

void dma_table_clear(struct dma_table *table)
{
	for (unsigned i = 0; i < DMA_MAX_FILES; i++) {
		if (table->files[i].ranges > 0)
			closer_close(table->closer, table->files[i].fd);
	}
	free(table->ranges);
	dma_table_init(table, table->closer);
}

/* Index of the file behind @fd, which is taken over, or DMA_NOT_... */
static int file_get(struct dma_table *table, int fd)
{
	struct stat status;
	int unused = DMA_NO_SLOT;
	int flags;

	if (fd < 0)
		return DMA_NOT_SHARED;
	flags = fcntl(fd, F_GETFL);
	/* A memory file first of all: fstat() of another can take for ever. */
	if (flags < 0 || !csb_map_possible(fd) || fstat(fd, &status) < 0) {
		closer_close(table->closer, fd);
		return DMA_NOT_MEMORY;
	}
	for (int i = 0; i < DMA_MAX_FILES; i++) {
		struct dma_file *file = &table->files[i];

		if (file->ranges == 0) {
			unused = unused < 0 ? i : unused;
		} else if (file->device == status.st_dev && file->inode == status.st_ino &&
			   file->access_mode == (flags & O_ACCMODE)) {
			closer_close(table->closer, fd);
			file->ranges++;
			return i;
		}
	}
	if (unused < 0) {
		closer_close(table->closer, fd);
		return DMA_NO_SLOT;
	}
	table->files[unused] = (struct dma_file){
		.fd = fd,
		.ranges = 1,
		.device = status.st_dev,
		.inode = status.st_ino,
		.access_mode = flags & O_ACCMODE,
	};
	return unused;
}

static void file_put(struct dma_table *table, int index)
{
	if (index >= 0 && --table->files[index].ranges == 0)
		closer_close(table->closer, table->files[index].fd);
}

static int reserve(struct dma_table *table)
{
	uint32_t capacity = table->capacity > 0 ? 2 * table->capacity : FIRST_CAPACITY;
	struct dma_range *ranges;

	if (table->num_ranges < table->capacity)
		return 0;
	if (table->num_ranges == DMA_MAX_RANGES)
		return -ENOSPC;
	ranges = realloc(table->ranges, capacity * sizeof(*ranges));
	if (ranges == NULL)
		return -ENOMEM;
	table->ranges = ranges;
	table->capacity = capacity;
	return 0;
}

static int check_map(struct dma_table *table, uint64_t address, uint64_t size, uint64_t offset)
{
	if (size == 0 || size - 1 > UINT64_MAX - address || size > INT64_MAX ||
	    offset > INT64_MAX - size)
		return -EINVAL;
	for (uint32_t i = 0; i < table->num_ranges; i++) {
		const struct dma_range *range = &table->ranges[i];

		if (dma_overlap(address, size, range->address, range->size))
			return -EEXIST;
	}
	return reserve(table);
}

int dma_table_map(struct dma_table *table, uint64_t address, uint64_t size, uint64_t offset,
		  bool readable, bool writable, int fd)
{
	int result = check_map(table, address, size, offset);

	if (result < 0) {
		if (fd >= 0)
			closer_close(table->closer, fd);
		return result;
	}
	table->ranges[table->num_ranges++] = (struct dma_range){
		.address = address,
		.size = size,
		.offset = offset,
		.file = file_get(table, fd),
		.readable = readable,
		.writable = writable,
	};
	return 0;
}

/* The index of exactly this range, or -ENOENT. */
static int find_exactly(const struct dma_table *table, uint64_t address, uint64_t size)
{
	for (uint32_t i = 0; i < table->num_ranges; i++) {
		if (table->ranges[i].address == address && table->ranges[i].size == size)
			return (int)i;
	}
	return -ENOENT;
}

bool dma_table_has(const struct dma_table *table, uint64_t address, uint64_t size)
{
	return find_exactly(table, address, size) >= 0;
}

int dma_table_unmap(struct dma_table *table, uint64_t address, uint64_t size)
{
	int index = find_exactly(table, address, size);

	if (index < 0)
		return index;
	file_put(table, table->ranges[index].file);
	table->ranges[index] = table->ranges[--table->num_ranges];
	return 0;
}

const struct dma_range *dma_table_find(const struct dma_table *table, uint64_t address,
				       uint64_t size)
{
	for (uint32_t i = 0; i < table->num_ranges; i++) {
		const struct dma_range *range = &table->ranges[i];

		if (address >= range->address && size <= range->size &&
		    address - range->address <= range->size - size)
			return range;
	}
	return NULL;
}

int dma_table_fd(const struct dma_table *table, const struct dma_range *range)
{
	return range->file >= 0 ? table->files[range->file].fd : -1;
}
