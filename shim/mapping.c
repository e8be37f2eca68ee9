/* SPDX-License-Identifier: BSD-2-Clause */
#include "mapping.h"

#include <errno.h>

#include "description.h"
#include "pool.h"
#include "real.h"
#include "table.h"

#define PAGE 4096u

/*
 * Changed under shim_lock(), looked at without: an allocator of the program's unmaps memory of its
 * own under locks of its own. So they stay in the list for ever, and are used again.
 */
struct mapping {
	struct mapping *next; /* constant */
	uintptr_t start, end; /* atomic; equal: not in use */
	struct hidden copy;   /* -1: of the program's own memory, or it could not be made */
};

static struct mapping *mappings;
static struct pool mapping_pool = POOL(struct mapping);
static uint32_t changes; /* odd: under way */

static uintptr_t end_of(uintptr_t start, size_t size)
{
	return start + ((size + PAGE - 1) & ~(size_t)(PAGE - 1));
}

/* Is something of what we keep in mind there? No lock. */
static bool concerns(uintptr_t start, size_t size)
{
	uint32_t before = __atomic_load_n(&changes, __ATOMIC_ACQUIRE);
	const struct mapping *m;

	for (m = __atomic_load_n(&mappings, __ATOMIC_ACQUIRE); m != NULL; m = m->next)
		if (start < __atomic_load_n(&m->end, __ATOMIC_ACQUIRE) &&
		    __atomic_load_n(&m->start, __ATOMIC_ACQUIRE) < end_of(start, size))
			return shim_own_process();
	return SHIM_UNLIKELY((before & 1) != 0 ||
			     before != __atomic_load_n(&changes, __ATOMIC_ACQUIRE)) &&
	       shim_own_process();
}

static void change(struct mapping *m, uintptr_t start, uintptr_t end)
{
	__atomic_fetch_add(&changes, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&m->start, start, __ATOMIC_RELEASE);
	__atomic_store_n(&m->end, end, __ATOMIC_RELEASE);
	__atomic_fetch_add(&changes, 1, __ATOMIC_SEQ_CST);
}

/* The kernel's rules for what may be mapped (spec/netmap-api.md section 8). */
static int check(struct description *d, int fd, size_t size, int flags, off_t offset)
{
	size_t whole = (size + PAGE - 1) & ~(size_t)(PAGE - 1);

	if (description_join(d, fd) < 0)
		return -EINVAL;
	if ((flags & MAP_TYPE) == MAP_PRIVATE)
		return -EINVAL; /* a copy of memory that others write is no use to anybody */
	if (size == 0 || whole < size || offset < 0 || offset % PAGE != 0 ||
	    whole > d->region->memsize || (uint64_t)offset > d->region->memsize - whole)
		return -EINVAL;
	return 0;
}

static struct mapping *mapping_new(uintptr_t start, uintptr_t end)
{
	struct mapping *m;

	for (m = mappings; m != NULL && m->start != m->end; m = m->next)
		;
	if (m == NULL) {
		m = pool_get(&mapping_pool);
		if (m == NULL)
			return NULL;
		m->next = mappings;
		__atomic_store_n(&mappings, m, __ATOMIC_RELEASE);
	}
	m->copy.fd = -1;
	change(m, start, end);
	return m;
}

/* Without memory or a descriptor for it the mapping lives, but doesn't keep the port. */
static void mapping_keep(uintptr_t start, uintptr_t end, int fd)
{
	struct mapping *m = mapping_new(start, end);
	int copy;

	if (m == NULL)
		return;
	copy = raw_fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy >= 0)
		hidden_keep(copy, &m->copy);
}

/* Takes [start, end) out of a mapping, of which more than that is left; it may become two. */
static void cut(struct mapping *m, uintptr_t start, uintptr_t end)
{
	if (start <= m->start) {
		change(m, end, m->end);
	} else if (end >= m->end) {
		change(m, m->start, start);
	} else {
		if (m->copy.fd >= 0)
			mapping_keep(end, m->end, m->copy.fd);
		else
			mapping_new(end, m->end);
		change(m, m->start, start);
	}
}

void mapping_gone(uintptr_t start, size_t size)
{
	uintptr_t end = end_of(start, size);
	struct mapping *m;
	int error = errno;

	region_program_unmapped(start, size);
	for (m = mappings; m != NULL; m = m->next) {
		if (start >= m->end || m->start >= end)
			continue;
		if (start <= m->start && end >= m->end) {
			change(m, 0, 0);
			hidden_close(&m->copy);
		} else {
			cut(m, start, end);
		}
	}
	errno = error;
}

bool mapping_note_program(uintptr_t start, size_t size)
{
	mapping_gone(start, size);
	return mapping_new(start, end_of(start, size)) != NULL;
}

static void *map(struct description *d, int fd, void *address, size_t size, int protection,
		 int flags, off_t offset)
{
	int result = check(d, fd, size, flags, offset);
	sigset_t signals;
	void *memory;

	if (result < 0) {
		errno = -result;
		return MAP_FAILED;
	}
	shim_lock(&signals);
	memory = real.mmap(address, size, protection, flags, hidden_fd(&d->region->file), offset);
	if (memory != MAP_FAILED) {
		mapping_gone((uintptr_t)memory, size);
		mapping_keep((uintptr_t)memory, end_of((uintptr_t)memory, size), fd);
	}
	shim_unlock(&signals);
	return memory;
}

/* The kernel's part and ours as one, so that nobody maps something there in between. */
static void *map_fixed(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	sigset_t signals;
	void *memory;

	shim_lock(&signals);
	memory = real.mmap(address, size, protection, flags, fd, offset);
	if (memory != MAP_FAILED)
		mapping_gone((uintptr_t)memory, size);
	shim_unlock(&signals);
	return memory;
}

static void *map_any(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	struct description *d = NULL;
	void *memory;

	if (fd >= 0 && (flags & MAP_ANONYMOUS) == 0 && table_in_use())
		d = description_get(fd);
	if (d == NULL) {
		if ((flags & MAP_FIXED) != 0 && concerns((uintptr_t)address, size))
			return map_fixed(address, size, protection, flags, fd, offset);
		memory = real.mmap(address, size, protection, flags, fd, offset);
		/* That is what a socket says; it may be one of ours that we don't know. */
		if (SHIM_LIKELY(memory != MAP_FAILED) || errno != ENODEV || fd < 0)
			return memory;
		d = description_find(fd);
		if (d == NULL) {
			errno = ENODEV;
			return MAP_FAILED;
		}
	}
	memory = map(d, fd, address, size, protection, flags, offset);
	description_put(d);
	return memory;
}

SHIM_EXPORT void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return map_any(address, size, protection, flags, fd, offset);
}

SHIM_EXPORT void *mmap64(void *address, size_t size, int protection, int flags, int fd,
			 off_t offset)
{
	return map_any(address, size, protection, flags, fd, offset);
}

SHIM_EXPORT int munmap(void *address, size_t size)
{
	sigset_t signals;
	int result;

	if (SHIM_LIKELY(!concerns((uintptr_t)address, size)))
		return real.munmap(address, size);
	shim_lock(&signals);
	result = real.munmap(address, size);
	if (result == 0)
		mapping_gone((uintptr_t)address, size);
	shim_unlock(&signals);
	return result;
}
