/* SPDX-License-Identifier: BSD-2-Clause */
#include "description.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "daemon.h"
#include "epoll_set.h"
#include "looking.h"
#include "pool.h"
#include "real.h"
#include "sleeper.h"
#include "table.h"

#define AT_ONCE 8 /* structures made with one mmap() */

static struct description *all, *unused;
static uint32_t count;
static struct shim_region *regions;
static struct pool region_pool = POOL(struct shim_region);

/* ---- regions ---- */

static struct shim_region *region_map(int fd, const struct stat *file,
				      const struct ptnet_local_binding *binding)
{
	struct shim_region *region = pool_get(&region_pool);

	if (region == NULL) {
		raw_close(fd);
		return NULL;
	}
	region->base =
		real.mmap(NULL, binding->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (region->base == MAP_FAILED || hidden_keep(fd, &region->file) < 0) {
		if (region->base != MAP_FAILED)
			real.munmap(region->base, binding->map_size);
		else
			raw_close(fd);
		pool_put(&region_pool, region);
		return NULL;
	}
	region->dev = file->st_dev;
	region->ino = file->st_ino;
	region->map_size = binding->map_size;
	region->memsize = binding->memsize;
	region->mem_id = binding->mem_id;
	region->next = regions;
	regions = region;
	return region;
}

/* Takes @fd over. Under shim_lock(). */
static struct shim_region *region_get(int fd, const struct ptnet_local_binding *binding)
{
	struct shim_region *region;
	struct stat file;

	if (fstat(fd, &file) < 0 || (uint64_t)file.st_size < binding->map_size ||
	    binding->memsize > binding->map_size) {
		raw_close(fd);
		return NULL;
	}
	for (region = regions; region != NULL; region = region->next)
		if (region->dev == file.st_dev && region->ino == file.st_ino)
			break;
	if (region != NULL)
		raw_close(fd);
	else
		region = region_map(fd, &file, binding);
	if (region != NULL)
		region->users++;
	return region;
}

static void region_put(struct shim_region *region)
{
	struct shim_region **link = &regions;

	if (region == NULL || --region->users > 0)
		return;
	while (*link != region)
		link = &(*link)->next;
	*link = region->next;
	real.munmap(region->base, region->map_size);
	hidden_close(&region->file);
	pool_put(&region_pool, region);
}

struct shim_region *region_of_program(uint64_t base, uint64_t size)
{
	struct shim_region *region;

	for (region = regions; region != NULL; region = region->next)
		if (region->program_size != 0 && region->program_base == base &&
		    region->program_size <= size)
			return region;
	return NULL;
}

void region_program_unmapped(uint64_t base, uint64_t size)
{
	struct shim_region *region;

	for (region = regions; region != NULL; region = region->next)
		if (base < region->program_base + region->program_size &&
		    region->program_base < base + size)
			region->program_size = 0;
}

/* ---- the structures ---- */

static void description_init(struct description *d)
{
	unsigned i;

	d->num_fds = 0;
	d->bound = d->closed = d->dead = d->csb_mode = false;
	d->region = NULL;
	d->csb = NULL;
	d->num_tx = d->num_rx = 0;
	for (i = 0; i < PTNET_MAX_RINGS; i++)
		d->rings[i].kick.fd = d->rings[i].interrupt.fd = -1;
	pthread_mutex_init(&d->request_lock, NULL);
	pthread_mutex_init(&d->kloop.lock, NULL);
	pthread_cond_init(&d->kloop.ended, NULL);
	d->kloop.running = d->kloop.stop = false;
	d->kloop.wake.fd = -1;
}

/* With one reference. */
static struct description *description_new(void)
{
	struct description *d;
	unsigned i;

	if (unused == NULL) {
		d = real.mmap(NULL, AT_ONCE * sizeof(*d), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (d == MAP_FAILED)
			return NULL;
		for (i = 0; i < AT_ONCE; i++) {
			d[i].number = count++;
			d[i].next = unused;
			unused = &d[i];
		}
	}
	d = unused;
	unused = d->next;
	description_init(d);
	d->next = all;
	all = d;
	__atomic_fetch_add(&d->generation, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&d->refs, 1, __ATOMIC_RELEASE);
	return d;
}

static void description_unbind(struct description *d)
{
	unsigned i;

	sleeper_forget(d);
	for (i = 0; i < PTNET_MAX_RINGS; i++) {
		hidden_close(&d->rings[i].kick);
		hidden_close(&d->rings[i].interrupt);
	}
	d->num_tx = d->num_rx = 0;
	if (d->csb != NULL)
		real.munmap(d->csb, sizeof(*d->csb));
	d->csb = NULL;
	region_put(d->region);
	d->region = NULL;
}

static void description_delete(struct description *d)
{
	struct description **link = &all;

	epoll_set_forget(d);
	description_unbind(d);
	pthread_mutex_destroy(&d->request_lock);
	pthread_mutex_destroy(&d->kloop.lock);
	pthread_cond_destroy(&d->kloop.ended);
	while (*link != d)
		link = &(*link)->next;
	*link = d->next;
	d->next = unused;
	unused = d;
}

void description_put_locked(struct description *d)
{
	if (__atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) == 0)
		description_delete(d);
}

void description_put(struct description *d)
{
	sigset_t signals;

	if (SHIM_LIKELY(__atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) != 0))
		return;
	shim_lock(&signals);
	description_delete(d);
	shim_unlock(&signals);
}

struct description *description_get(int fd)
{
	for (;;) {
		struct table_entry entry = table_get(fd);
		struct description *d = table_object(entry);

		if (table_kind(entry) != TABLE_NETMAP)
			return NULL;
		if (reference_take(&d->refs)) {
			if (SHIM_LIKELY(table_get(fd).word == entry.word))
				return d;
			description_put(d);
		}
	}
}

void description_for_each(void (*function)(struct description *d, void *argument), void *argument)
{
	struct description *d;

	for (d = all; d != NULL; d = d->next)
		function(d, argument);
}

/* ---- descriptors ---- */

static struct description *by_inode(const struct stat *file)
{
	struct description *d;

	for (d = all; d != NULL; d = d->next)
		if (d->dev == file->st_dev && d->ino == file->st_ino &&
		    __atomic_load_n(&d->refs, __ATOMIC_RELAXED) != 0)
			return d;
	return NULL;
}

int description_note(int fd)
{
	struct description *d;
	struct stat file;
	int result;

	if (fstat(fd, &file) < 0)
		return -errno;
	description_forget_fd(fd);
	d = by_inode(&file);
	if (d == NULL || !reference_take(&d->refs)) {
		d = description_new();
		if (d == NULL)
			return -ENOMEM;
		d->dev = file.st_dev;
		d->ino = file.st_ino;
	}
	result = table_set(fd, TABLE_NETMAP, d);
	if (result < 0) {
		description_put_locked(d);
		return result;
	}
	d->num_fds++;
	__atomic_store_n(&d->closed, false, __ATOMIC_RELAXED);
	return 0;
}

static void wake_all(struct description *d)
{
	unsigned i;

	for (i = 0; i < d->num_tx + d->num_rx; i++)
		hidden_signal(&d->rings[i].interrupt);
}

void description_forget_fd(int fd)
{
	struct table_entry entry = table_get(fd);

	if (table_kind(entry) == TABLE_EPOLL) {
		epoll_set_forget_fd(table_object(entry), fd);
	} else if (table_kind(entry) == TABLE_NETMAP) {
		struct description *d = table_object(entry);

		table_clear(fd);
		d->num_fds--;
		/* First this, for who begins to use it now (an epoll may), then those who do. */
		if (d->num_fds == 0)
			__atomic_store_n(&d->closed, true, __ATOMIC_SEQ_CST);
		/* Calls of other threads are using it: nobody may come to wake them any more. */
		if (d->num_fds == 0 && description_bound(d) &&
		    __atomic_load_n(&d->refs, __ATOMIC_SEQ_CST) > 1)
			wake_all(d);
		description_put_locked(d);
	}
}

bool description_recognise(int fd)
{
	sigset_t signals;
	int result;

	if (!daemon_is_peer(fd))
		return false;
	shim_lock(&signals);
	result = table_kind(table_get(fd)) == TABLE_NETMAP ? 0 : description_note(fd);
	shim_unlock(&signals);
	return result == 0;
}

struct description *description_find(int fd)
{
	struct description *d = description_get(fd);

	if (SHIM_LIKELY(d != NULL))
		return d;
	if (table_kind(table_get(fd)) == TABLE_HIDDEN || !shim_own_process() ||
	    !description_recognise(fd))
		return NULL;
	return description_get(fd);
}

bool description_is(int fd, const struct description *d)
{
	struct stat file;
	int error = errno;
	bool is = fstat(fd, &file) == 0 && file.st_dev == d->dev && file.st_ino == d->ino;

	errno = error;
	return is;
}

bool description_verify(int fd, const struct description *d)
{
	sigset_t signals;

	if (description_is(fd, d))
		return true;
	if (!shim_own_process())
		return false;
	shim_lock(&signals);
	if (table_object(table_get(fd)) == d)
		description_forget_fd(fd);
	shim_unlock(&signals);
	return false;
}

void description_hung_up(uint64_t mark)
{
	struct description *d = (struct description *)(uintptr_t)(mark & (((uint64_t)1 << 48) - 1));

	/* It is another one's now if the old one's socket is still open in another process. */
	if (description_mark(d) == mark)
		__atomic_store_n(&d->dead, true, __ATOMIC_RELAXED);
}

/* ---- the binding ---- */

static void close_all(int *fds, unsigned num_fds)
{
	unsigned i;

	for (i = 0; i < num_fds; i++)
		if (fds[i] >= 0)
			raw_close(fds[i]);
}

static bool binding_makes_sense(const struct ptnet_local_binding *b, unsigned num_fds)
{
	unsigned rings = (unsigned)b->num_tx + b->num_rx;
	bool null = (b->flags & PTNET_LOCAL_NULL) != 0;

	return rings <= PTNET_MAX_RINGS && b->tx_rings + b->rx_rings <= PTNET_MAX_RINGS &&
	       (null || (b->first_tx + b->num_tx <= b->tx_rings &&
			 b->first_rx + b->num_rx <= b->rx_rings)) &&
	       num_fds == (null ? 1 : PTNET_LOCAL_FD_RINGS + 2 * rings);
}

/* Ring @number of the description's, @entry of the CSB's. The header was written by the owner. */
static int ring_init(struct description *d, unsigned number, unsigned entry)
{
	const struct ptnet_local_binding *b = &d->binding;
	struct shim_ring *r = &d->rings[number];
	uint64_t offset = b->ring_ofs[number], buffers;

	if (offset > b->map_size || b->map_size - offset < sizeof(struct netmap_ring))
		return -EIO;
	r->ring = (struct netmap_ring *)(d->region->base + offset);
	r->num_slots = r->ring->num_slots;
	r->buf_size = r->ring->nr_buf_size;
	r->tx = number < d->num_tx;
	r->fetch = r->tx && (b->flags & PTNET_LOCAL_VALE) != 0;
	r->atok = d->csb != NULL ? &d->csb->atok[entry] : NULL;
	r->ktoa = d->csb != NULL ? &d->csb->ktoa[entry] : NULL;
	buffers = offset + (uint64_t)r->ring->buf_ofs;
	if (r->num_slots < 2 || r->buf_size == 0 || buffers > b->memsize ||
	    (b->map_size - offset - sizeof(struct netmap_ring)) / sizeof(struct netmap_slot) <
		    r->num_slots)
		return d->csb == NULL ? 0 : -EIO;
	r->buf_base = d->region->base + buffers;
	r->num_bufs = (uint32_t)((b->memsize - buffers) / r->buf_size);
	return 0;
}

static int rings_init(struct description *d)
{
	const struct ptnet_local_binding *b = &d->binding;
	unsigned i;
	int result = 0;

	for (i = 0; i < b->num_tx && result == 0; i++)
		result = ring_init(d, i, b->first_tx + i);
	for (i = 0; i < b->num_rx && result == 0; i++)
		result = ring_init(d, b->num_tx + i, b->tx_rings + b->first_rx + i);
	return result;
}

/* Keeps what it can of @fds, marking what has been taken over with -1. Under shim_lock(). */
static int take_descriptors(struct description *d, int *fds, unsigned num_fds)
{
	unsigned i;
	int result;

	d->region = region_get(fds[PTNET_LOCAL_FD_REGION], &d->binding);
	fds[PTNET_LOCAL_FD_REGION] = -1;
	if (d->region == NULL)
		return -ENOMEM;
	if (num_fds <= PTNET_LOCAL_FD_CSB)
		return 0;
	d->csb = real.mmap(NULL, sizeof(*d->csb), PROT_READ | PROT_WRITE, MAP_SHARED,
			   fds[PTNET_LOCAL_FD_CSB], 0);
	if (d->csb == MAP_FAILED) {
		d->csb = NULL;
		return -ENOMEM;
	}
	for (i = 0; i < d->num_tx + d->num_rx; i++) {
		int *pair = &fds[PTNET_LOCAL_FD_RINGS + 2 * i];
		int kick = pair[0], interrupt = pair[1];

		pair[0] = -1;
		result = hidden_keep(kick, &d->rings[i].kick);
		if (result < 0)
			return result;
		pair[1] = -1;
		result = hidden_keep(interrupt, &d->rings[i].interrupt);
		if (result < 0)
			return result;
	}
	return 0;
}

int description_prepare(struct description *d, const struct ptnet_local_binding *binding, int *fds,
			unsigned num_fds)
{
	sigset_t signals;
	int result;

	if (!binding_makes_sense(binding, num_fds)) {
		close_all(fds, num_fds);
		return -EIO;
	}
	shim_lock(&signals);
	d->binding = *binding;
	looking_set_max(binding->look_max_us);
	d->num_tx = binding->num_tx;
	d->num_rx = binding->num_rx;
	result = take_descriptors(d, fds, num_fds);
	if (result == 0)
		result = rings_init(d);
	close_all(fds, num_fds); /* the CSB's, which is mapped; others after an error */
	if (result < 0)
		description_unbind(d);
	shim_unlock(&signals);
	return result;
}

void description_publish(struct description *d)
{
	__atomic_store_n(&d->bound, true, __ATOMIC_RELEASE);
}

void description_unprepare(struct description *d)
{
	sigset_t signals;

	shim_lock(&signals);
	d->csb_mode = false;
	description_unbind(d);
	shim_unlock(&signals);
}

int description_join(struct description *d, int fd)
{
	int result;

	if (SHIM_LIKELY(description_bound(d)))
		return 0;
	pthread_mutex_lock(&d->request_lock);
	result = description_bound(d) ? 0 : daemon_join(d, fd);
	pthread_mutex_unlock(&d->request_lock);
	return result;
}

/* Other threads' references are gone with them; what they used may be half done, and is done
 * again. */
static void fork_one(struct description *d, void *argument)
{
	(void)argument;
	pthread_mutex_init(&d->request_lock, NULL);
	pthread_mutex_init(&d->kloop.lock, NULL);
	pthread_cond_init(&d->kloop.ended, NULL);
	d->kloop.running = false;
	hidden_close(&d->kloop.wake);
}

void description_after_fork(void)
{
	description_for_each(fork_one, NULL);
}
