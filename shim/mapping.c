/* SPDX-License-Identifier: BSD-2-Clause */
#include "mapping.h"

#include <errno.h>
#include <stdlib.h>

#include "description.h"
#include "real.h"
#include "table.h"

#define PAGE 4096u

struct mapping {
	struct mapping *next;
	uintptr_t start, end;
	struct hidden copy;
};

static struct mapping *mappings; /* under shim_lock() */
static bool watching;

void mapping_watch(void)
{
	__atomic_store_n(&watching, true, __ATOMIC_RELAXED);
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

/* Without memory for it the mapping lives, but doesn't keep the port. Under shim_lock(). */
static struct mapping *mapping_new(uintptr_t start, uintptr_t end, int fd)
{
	struct mapping *m = calloc(1, sizeof(*m));
	int copy = raw_fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (m == NULL || copy < 0 || hidden_keep(copy, &m->copy) < 0) {
		if (m == NULL && copy >= 0)
			raw_close(copy);
		free(m);
		return NULL;
	}
	m->start = start;
	m->end = end;
	m->next = mappings;
	mappings = m;
	mapping_watch();
	return m;
}

/* Takes [start, end) out of a mapping, of which more than that is left; it may become two. */
static void cut(struct mapping *m, uintptr_t start, uintptr_t end)
{
	if (start <= m->start) {
		m->start = end;
	} else if (end >= m->end) {
		m->end = start;
	} else {
		mapping_new(end, m->end, m->copy.fd);
		m->end = start;
	}
}

static void gone_locked(uintptr_t start, size_t size)
{
	uintptr_t end = start + ((size + PAGE - 1) & ~(size_t)(PAGE - 1));
	struct mapping **link = &mappings, *m;
	int error = errno;

	region_program_unmapped(start, size);
	while ((m = *link) != NULL) {
		if (start <= m->start && end >= m->end) {
			*link = m->next;
			hidden_close(&m->copy);
			free(m);
			continue;
		}
		if (start < m->end && m->start < end)
			cut(m, start, end);
		link = &m->next;
	}
	errno = error;
}

static void *map(struct description *d, int fd, void *address, size_t size, int protection,
		 int flags, off_t offset)
{
	int result = check(d, fd, size, flags, offset);
	size_t whole = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
	sigset_t signals;
	void *memory;

	if (result < 0) {
		errno = -result;
		return MAP_FAILED;
	}
	shim_lock(&signals);
	memory = real.mmap(address, size, protection, flags, hidden_fd(&d->region->file), offset);
	if (memory != MAP_FAILED) {
		gone_locked((uintptr_t)memory, size);
		mapping_new((uintptr_t)memory, (uintptr_t)memory + whole, fd);
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
		gone_locked((uintptr_t)memory, size);
	shim_unlock(&signals);
	return memory;
}

static bool is_watching(void)
{
	return SHIM_UNLIKELY(__atomic_load_n(&watching, __ATOMIC_RELAXED)) && shim_own_process();
}

static void *map_any(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	struct description *d = NULL;
	void *memory;

	if (fd >= 0 && (flags & MAP_ANONYMOUS) == 0 && table_in_use())
		d = description_get(fd);
	if (d == NULL) {
		if ((flags & MAP_FIXED) != 0 && is_watching())
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

	if (!is_watching())
		return real.munmap(address, size);
	shim_lock(&signals);
	result = real.munmap(address, size);
	if (result == 0)
		gone_locked((uintptr_t)address, size);
	shim_unlock(&signals);
	return result;
}
