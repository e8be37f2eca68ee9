/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "attach/csb_map.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <net/netmap.h>

#define PAGE_SHIFT    12
#define PAGE	      (UINT64_C(1) << PAGE_SHIFT)
#define LENGTH_BITS   28 /* pages; the address has 36: 48 bits without the page offset */
#define MAX_LENGTH    ((UINT64_C(1) << LENGTH_BITS) - 1)
#define SLOT_FREE     UINT64_C(0)
#define SLOT_RESERVED UINT64_C(1) /* no pages: covers nothing */

/*
 * A slot: where the pages are, first page number and number of pages in one word,
 * so that the handler never sees one of an old and the other of a new mapping.
 * The rest is constant while `where` covers something.
 */
static struct {
	_Atomic uint64_t where;
	_Atomic bool lost;
	int lost_eventfd;
} slots[CSB_MAP_MAX];
/* Slots from here on were never used; bounds what the handler looks at. */
static _Atomic unsigned slots_used;

static struct sigaction previous_action;

static uint64_t encode(const void *pages, size_t length)
{
	return ((uint64_t)(uintptr_t)pages >> PAGE_SHIFT) << LENGTH_BITS | length >> PAGE_SHIFT;
}

/* Async-signal-safe. The slot whose mapping has @address, or -1. */
static int find_slot(uint64_t address, void **pages, size_t *length)
{
	unsigned used = atomic_load(&slots_used);
	uint64_t page = address >> PAGE_SHIFT;

	for (unsigned i = 0; i < used; i++) {
		uint64_t where = atomic_load(&slots[i].where);
		uint64_t first = where >> LENGTH_BITS, count = where & MAX_LENGTH;

		if (first != 0 && page >= first && page - first < count) {
			*pages = (void *)(uintptr_t)(first << PAGE_SHIFT);
			*length = count << PAGE_SHIFT;
			return (int)i;
		}
	}
	return -1;
}

/* What would have happened without us. */
static void chain(int signal_number, siginfo_t *info, void *context)
{
	if (previous_action.sa_flags & SA_SIGINFO) {
		previous_action.sa_sigaction(signal_number, info, context);
	} else if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
		previous_action.sa_handler(signal_number);
	} else {
		/* The access is repeated when we return, and now kills. */
		signal(signal_number, SIG_DFL);
		if (info->si_code <= 0)
			raise(signal_number); /* was sent by a process: there is no access */
	}
}

static void handle_sigbus(int signal_number, siginfo_t *info, void *context)
{
	const uint64_t one = 1;
	int saved_errno = errno;
	void *pages = NULL;
	size_t length = 0;
	int slot = -1;

	if (info->si_code > 0)
		slot = find_slot((uint64_t)(uintptr_t)info->si_addr, &pages, &length);
	if (slot < 0 ||
	    mmap(pages, length, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED) {
		chain(signal_number, info, context);
	} else {
		atomic_store(&slots[slot].lost, true);
		if (write(slots[slot].lost_eventfd, &one, sizeof(one)) < 0) {
			/* Its counter is full, so that somebody was told already. */
		}
	}
	errno = saved_errno;
}

/* Again for each mapping: some library may have taken the signal since. */
static void install_handler(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct sigaction action = {.sa_sigaction = handle_sigbus, .sa_flags = SA_SIGINFO};
	struct sigaction present;

	sigemptyset(&action.sa_mask);
	pthread_mutex_lock(&lock);
	sigaction(SIGBUS, NULL, &present);
	if ((present.sa_flags & SA_SIGINFO) == 0 || present.sa_sigaction != handle_sigbus) {
		previous_action = present;
		sigaction(SIGBUS, &action, NULL);
	}
	pthread_mutex_unlock(&lock);
}

static int slot_alloc(int lost_eventfd)
{
	for (unsigned i = 0; i < CSB_MAP_MAX; i++) {
		uint64_t expected = SLOT_FREE;

		if (!atomic_compare_exchange_strong(&slots[i].where, &expected, SLOT_RESERVED))
			continue;
		slots[i].lost_eventfd = lost_eventfd;
		atomic_store(&slots[i].lost, false);
		unsigned used = atomic_load(&slots_used);
		while (used <= i && !atomic_compare_exchange_weak(&slots_used, &used, i + 1))
			;
		return (int)i;
	}
	return -ENOSPC;
}

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
	int slot;

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
	if ((end - start) >> PAGE_SHIFT > MAX_LENGTH)
		return error_set(error, EINVAL, "impossible page size");

	install_handler();
	slot = slot_alloc(lost_eventfd);
	if (slot < 0)
		return error_set(error, ENOSPC, "over %d CSB mappings", CSB_MAP_MAX);
	map->length = end - start;
	map->pages = mmap(NULL, map->length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)start);
	if (map->pages == MAP_FAILED) {
		int saved_errno = errno;

		atomic_store(&slots[slot].where, SLOT_FREE);
		map->array = NULL;
		return error_set(error, saved_errno, "cannot map it: %s", strerror(saved_errno));
	}
	atomic_store(&slots[slot].where, encode(map->pages, map->length));
	map->slot = slot;
	map->array = (char *)map->pages + (offset - start);
	return 0;
}

void csb_unmap(struct csb_map *map)
{
	if (map->array == NULL)
		return;
	atomic_store(&slots[map->slot].where, SLOT_FREE);
	munmap(map->pages, map->length);
	map->array = NULL;
}

bool csb_map_lost(const struct csb_map *map)
{
	return map->array != NULL && atomic_load(&slots[map->slot].lost);
}
