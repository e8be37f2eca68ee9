/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "attach/csb_map.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <net/netmap.h>

#include "memory/guard.h"

#define PAGE UINT64_C(4096)

bool csb_map_possible(int fd)
{
	/* Seals are a property of memory files only (fcntl(2)), and asking never blocks. */
	return fcntl(fd, F_GET_SEALS) >= 0;
}

/* Page size of the file, or a negative errno if it is not one that we take. */
static int64_t file_page_size(int fd, uint64_t end, struct error *error)
{
	struct statfs filesystem;
	struct stat status;

	if (!csb_map_possible(fd))
		return error_set(error, EMEDIUMTYPE, "its file is not on tmpfs or hugetlbfs");
	if (fstat(fd, &status) < 0 || fstatfs(fd, &filesystem) < 0)
		return error_set(error, errno, "cannot examine its file: %s", strerror(errno));
	if (status.st_size < 0 || end > (uint64_t)status.st_size)
		return error_set(error, EFAULT,
				 "it ends at offset %" PRIu64 " of a file of %" PRIi64 " bytes",
				 end, (int64_t)status.st_size);
	return filesystem.f_type == HUGETLBFS_MAGIC ? (int64_t)filesystem.f_bsize : (int64_t)PAGE;
}

int csb_map(struct csb_map *map, int fd, uint64_t offset, size_t size, int lost_eventfd,
	    struct error *error)
{
	uint64_t start, end;
	int64_t page;
	int guard;

	if (offset % sizeof(struct nm_csb_atok) != 0)
		return error_set(error, EINVAL,
				 "offset 0x%" PRIx64 " in the file is not a multiple "
				 "of %zu",
				 offset, sizeof(struct nm_csb_atok));
	if (size == 0 || offset > INT64_MAX - size)
		return error_set(error, EINVAL, "impossible offset");
	page = file_page_size(fd, offset + size, error);
	if (page < 0)
		return (int)page;
	start = offset / (uint64_t)page * (uint64_t)page;
	end = (offset + size + (uint64_t)page - 1) / (uint64_t)page * (uint64_t)page;
	map->length = end - start;
	map->pages = mmap(NULL, map->length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)start);
	if (map->pages == MAP_FAILED)
		return error_set(error, errno, "cannot map it: %s", strerror(errno));
	guard = guard_add(map->pages, map->length, map->length, lost_eventfd);
	if (guard < 0) {
		munmap(map->pages, map->length);
		if (guard == -ENOSPC)
			return error_set(error, ENOSPC, "over %d guarded mappings", GUARD_MAX);
		return error_set(error, -guard, "cannot guard it: %s", strerror(-guard));
	}
	map->guard = guard;
	map->array = (char *)map->pages + (offset - start);
	return 0;
}

void csb_unmap(struct csb_map *map)
{
	if (map->array == NULL)
		return;
	guard_remove(map->guard);
	munmap(map->pages, map->length);
	map->array = NULL;
}

bool csb_map_lost(const struct csb_map *map)
{
	return map->array != NULL && guard_lost(map->guard);
}
