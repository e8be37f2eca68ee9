/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Maps the few pages of guest RAM that hold a CSB array.
 *
 * The file behind them is the client's, who may take it away under running rings:
 * memory/guard.h.
 *
 * Only memory files (memfd, tmpfs, hugetlbfs) are taken: touching a page of any
 * other file can block for as long as its owner likes, and a worker with it.
 */
#ifndef PTNET_ATTACH_CSB_MAP_H
#define PTNET_ATTACH_CSB_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/error.h"

struct csb_map {
	void *array; /* NULL: not mapped */
	void *pages;
	size_t length; /* of pages, bytes */
	int guard;
};

/* @fd is a memory file. Never blocks, whatever it is. Any thread. */
bool csb_map_possible(int fd);

/*
 * Maps the @size bytes at @offset of @fd, which stays the caller's. @lost_eventfd
 * is written if they get lost; it must stay open until csb_unmap(). -EINVAL: not
 * aligned to 64 bytes; -EFAULT: over the end of the file; -EMEDIUMTYPE: not a
 * memory file; -ENOSPC: too many mappings; or what mmap() says. Any thread.
 */
int csb_map(struct csb_map *map, int fd, uint64_t offset, size_t size, int lost_eventfd,
	    struct error *error);

/* Nobody may be using the memory any more. Does nothing if it is not mapped. */
void csb_unmap(struct csb_map *map);

/* The memory went away since csb_map(). */
bool csb_map_lost(const struct csb_map *map);

#endif
