/* SPDX-License-Identifier: BSD-2-Clause */
#define NETMAP_OWNER
#include "fake_netmap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_RINGS   8
#define MAX_PIPES   16
#define MAX_REGIONS 4
#define MAX_FDS	    128
#define IF_SIZE	    1024
#define MAX_IFS	    64 /* netmap_ifs of a region, one per open descriptor */
#define FIRST_ID    5

int __real_open(const char *path, int flags, ...);
int __real_close(int fd);
int __real_ioctl(int fd, unsigned long request, void *arg);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __real_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *set);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_close(int fd);
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *set);

struct hwring {
	struct netmap_ring *ring;
	uint32_t hwcur, hwtail;
};

struct end {
	char name[64];
	struct fake_setup *setup;
	struct region *region;
	struct end *peer;
	struct hwring tx[MAX_RINGS], rx[MAX_RINGS];
	uint64_t passed; /* slots sent */
};

struct region {
	unsigned int number;
	int fd;
	char *base;
	size_t size;
	size_t rings_size; /* of all rings, and of those made so far */
	size_t rings_used;
	unsigned int buf_size, slots; /* all pipes' slots of one direction */
	unsigned int extra, extra_taken;
	uint32_t *extra_list; /* indices that are nobody's now */
	bool if_used[MAX_IFS];
};

struct descriptor {
	struct region *region;
	struct end *end;		 /* NULL: not bound */
	unsigned int tx_rings, rx_rings; /* bound, a bit each */
	uint64_t flags;
	unsigned int nifp;
	bool has_extra;
	int event; /* eventfd: something happened */
};

static struct {
	pthread_mutex_t lock;
	struct fake_pipe pipes[MAX_PIPES];
	unsigned int n_pipes;
	struct end ends[2 * MAX_PIPES];
	struct region regions[MAX_REGIONS];
	struct descriptor fds[MAX_FDS];
	_Atomic bool
		in_use[MAX_FDS]; /* of fds; read without the lock, by number, for any descriptor */
	uint64_t polls;
	bool broken;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- layout ---- */

static size_t ring_size(const struct fake_setup *s)
{
	return (sizeof(struct netmap_ring) + s->slots * sizeof(struct netmap_slot) + 127) / 128 *
	       128;
}

static size_t buffers_at(const struct region *r)
{
	return (size_t)MAX_IFS * IF_SIZE + r->rings_size;
}

static struct netmap_ring *make_ring(struct end *e, unsigned int id, bool rx)
{
	struct region *r = e->region;
	struct netmap_ring *ring = (void *)(r->base + (size_t)MAX_IFS * IF_SIZE + r->rings_used);

	r->rings_used += ring_size(e->setup);
	ring->num_slots = e->setup->slots;
	ring->nr_buf_size = r->buf_size;
	ring->buf_ofs = r->base + buffers_at(r) - (char *)ring;
	ring->ringid = (uint16_t)id;
	ring->dir = rx;
	ring->tail = rx ? 0 : ring->num_slots - 1;
	return ring;
}

/* Slot k of the TX ring and of the other end's RX ring begin with the same buffer. */
static void make_pair(struct end *from, struct end *to, unsigned int i, uint32_t *next_buffer)
{
	struct netmap_ring *tx = make_ring(from, i, false), *rx = make_ring(to, i, true);
	unsigned int k;

	from->tx[i] = (struct hwring){.ring = tx, .hwtail = from->setup->slots - 1};
	to->rx[i] = (struct hwring){.ring = rx};
	for (k = 0; k < from->setup->slots; k++)
		tx->slot[k].buf_idx = rx->slot[k].buf_idx = (*next_buffer)++;
}

static void make_region(struct region *r, unsigned int number, unsigned int extra)
{
	uint32_t next_buffer = 2;
	unsigned int i, k;

	r->number = number;
	for (i = 0; i < fake.n_pipes; i++) {
		const struct fake_setup *s = &fake.pipes[i].setup;

		if (fake.pipes[i].region != number)
			continue;
		r->rings_size += 4 * s->rings * ring_size(s);
		r->slots += 2 * s->rings * s->slots;
		r->buf_size = s->buf_size;
	}
	r->extra = extra;
	r->size =
		(buffers_at(r) + (2 + (size_t)r->slots + extra) * r->buf_size + 4095) / 4096 * 4096;
	r->fd = memfd_create("fake", 0);
	if (r->fd < 0 || ftruncate(r->fd, (off_t)r->size))
		abort();
	r->base = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->base == MAP_FAILED)
		abort();
	for (i = 0; i < 2 * fake.n_pipes; i++) {
		for (k = 0; fake.ends[i].region == r && k < fake.ends[i].setup->rings; k++)
			make_pair(&fake.ends[i], fake.ends[i].peer, k, &next_buffer);
	}
	r->extra_list = calloc(extra + 1, sizeof(*r->extra_list));
	if (!r->extra_list)
		abort();
	for (i = 0; i < extra; i++)
		r->extra_list[i] = next_buffer++;
}

void fake_create_pipes(const struct fake_pipe *pipes, unsigned int n, unsigned int extra)
{
	unsigned int i;

	memset(fake.ends, 0, sizeof(fake.ends));
	memset(fake.regions, 0, sizeof(fake.regions));
	memcpy(fake.pipes, pipes, n * sizeof(*pipes));
	fake.n_pipes = n;
	for (i = 0; i < 2 * n; i++) {
		struct end *e = &fake.ends[i];

		strcpy(e->name, pipes[i / 2].name);
		if (i % 2)
			*strrchr(e->name, '{') = '}';
		e->setup = &fake.pipes[i / 2].setup;
		e->region = &fake.regions[pipes[i / 2].region];
		e->peer = &fake.ends[i ^ 1];
	}
	for (i = 0; i < MAX_REGIONS; i++)
		make_region(&fake.regions[i], i, extra);
	fake.polls = 0;
	fake.broken = false;
}

void fake_create(const struct fake_setup *setup)
{
	struct fake_pipe pipe = {.name = "fake{1", .setup = *setup};

	fake_create_pipes(&pipe, 1, 0);
}

void fake_destroy(void)
{
	unsigned int i;

	for (i = 0; i < MAX_FDS; i++) {
		if (fake.in_use[i])
			abort();
	}
	for (i = 0; i < MAX_REGIONS; i++) {
		munmap(fake.regions[i].base, fake.regions[i].size);
		__real_close(fake.regions[i].fd);
		free(fake.regions[i].extra_list);
	}
}

/* Wakes whoever polls end e (NULL: any); the lock is held. */
static void wake(const struct end *e)
{
	uint64_t one = 1;
	int fd;

	for (fd = 0; fd < MAX_FDS; fd++) {
		struct descriptor *d = &fake.fds[fd];

		if (fake.in_use[fd] && d->end && (!e || d->end == e) &&
		    write(d->event, &one, 8) != 8)
			abort();
	}
}

void fake_break(void)
{
	pthread_mutex_lock(&fake.lock);
	fake.broken = true;
	wake(NULL);
	pthread_mutex_unlock(&fake.lock);
}

/* ---- what tests ask ---- */

static struct end *find_end(const char *name)
{
	unsigned int i;

	for (i = 0; i < 2 * fake.n_pipes; i++) {
		if (!strcmp(fake.ends[i].name, name))
			return &fake.ends[i];
	}
	return NULL;
}

static uint32_t distance(const struct end *e, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : to + e->setup->slots - from;
}

static void set_offsets(struct netmap_ring *ring, uint64_t mask, uint64_t initial)
{
	unsigned int k;

	ring->offset_mask = mask;
	for (k = 0; k < ring->num_slots; k++)
		ring->slot[k].ptr = initial;
}

void fake_set_offset(const char *end, uint64_t mask, uint64_t initial)
{
	struct end *e = find_end(end);
	unsigned int i;

	for (i = 0; i < e->setup->rings; i++) {
		set_offsets(e->tx[i].ring, mask, initial);
		set_offsets(e->rx[i].ring, mask, initial);
		set_offsets(e->peer->tx[i].ring, mask, initial);
		set_offsets(e->peer->rx[i].ring, mask, initial);
	}
}

static void note(uint8_t *seen, const struct region *r, uint32_t idx)
{
	if (idx >= 2 && idx < 2 + r->slots + r->extra && seen[idx] < 255)
		seen[idx]++;
}

unsigned int fake_lost_buffers(unsigned int region)
{
	struct region *r = &fake.regions[region];
	uint8_t *seen = calloc(2 + (size_t)r->slots + r->extra, 1);
	unsigned int i, ring, k, bad = 0;

	if (!seen)
		abort();
	pthread_mutex_lock(&fake.lock);
	for (i = 0; i < 2 * fake.n_pipes; i++) {
		struct end *e = &fake.ends[i];

		for (ring = 0; e->region == r && ring < e->setup->rings; ring++) {
			struct hwring *tx = &e->tx[ring], *rx = &e->peer->rx[ring];
			uint32_t with_reader = distance(e, rx->hwcur, tx->hwcur);

			for (k = 0; k < e->setup->slots; k++)
				note(seen, r,
				     distance(e, rx->hwcur, k) < with_reader
					     ? rx->ring->slot[k].buf_idx
					     : tx->ring->slot[k].buf_idx);
		}
	}
	for (i = 0; i < r->extra; i++)
		note(seen, r, r->extra_list[i]);
	pthread_mutex_unlock(&fake.lock);
	for (i = 2; i < 2 + r->slots + r->extra; i++)
		bad += seen[i] != 1;
	free(seen);
	return bad;
}

unsigned int fake_in_flight(const char *end)
{
	struct end *e = find_end(end);
	unsigned int n;

	pthread_mutex_lock(&fake.lock);
	n = distance(e, e->peer->rx[0].hwcur, e->tx[0].hwcur);
	pthread_mutex_unlock(&fake.lock);
	return n;
}

uint64_t fake_polls(void)
{
	uint64_t polls;

	pthread_mutex_lock(&fake.lock);
	polls = fake.polls;
	pthread_mutex_unlock(&fake.lock);
	return polls;
}

/* ---- syncs; the lock is held ---- */

static uint32_t next(const struct end *e, uint32_t i)
{
	return i + 1 == e->setup->slots ? 0 : i + 1;
}

static uint32_t prev(const struct end *e, uint32_t i)
{
	return i ? i - 1 : e->setup->slots - 1;
}

static bool sync_tx_ring(struct end *from, unsigned int i)
{
	struct hwring *tx = &from->tx[i], *rx = &from->peer->rx[i];
	const struct fake_setup *s = from->setup;
	bool moved = tx->hwcur != tx->ring->head;

	for (; tx->hwcur != tx->ring->head; tx->hwcur = next(from, tx->hwcur)) {
		struct netmap_slot *slot = &tx->ring->slot[tx->hwcur];
		struct netmap_slot *d = &rx->ring->slot[tx->hwcur];
		bool show = true;

		*d = *slot;
		slot->flags &= (uint16_t)~NS_BUF_CHANGED;
		if (s->tamper)
			show = s->tamper(d, (uint8_t *)NETMAP_BUF(rx->ring, d->buf_idx),
					 from->passed + from->peer->passed);
		from->passed++;
		if (show && !(d->flags & NS_MOREFRAG))
			rx->hwtail = next(from, tx->hwcur);
	}
	tx->ring->tail = tx->hwtail;
	return moved;
}

static bool sync_rx_ring(struct end *at, unsigned int i)
{
	struct hwring *rx = &at->rx[i], *tx = &at->peer->tx[i];
	const struct region *r = at->region;
	bool moved = rx->hwcur != rx->ring->head;

	for (; rx->hwcur != rx->ring->head; rx->hwcur = next(at, rx->hwcur)) {
		/* A buffer that a test made impossible doesn't come back. */
		if (rx->ring->slot[rx->hwcur].buf_idx < 2 + r->slots + r->extra)
			tx->ring->slot[rx->hwcur] = rx->ring->slot[rx->hwcur];
		rx->ring->slot[rx->hwcur].flags &= (uint16_t)~NS_BUF_CHANGED;
	}
	tx->hwtail = prev(at, rx->hwcur);
	rx->ring->tail = rx->hwtail;
	return moved;
}

static void sync_rx(struct descriptor *d)
{
	bool moved = false;
	unsigned int i;

	for (i = 0; i < d->end->setup->rings; i++) {
		if (d->rx_rings & (1U << i))
			moved |= sync_rx_ring(d->end, i);
	}
	if (moved)
		wake(d->end->peer);
}

/* all: not only rings with something to send */
static void sync_tx(struct descriptor *d, bool all)
{
	bool moved = false;
	unsigned int i;

	for (i = 0; i < d->end->setup->rings; i++) {
		const struct hwring *tx = &d->end->tx[i];

		if ((d->tx_rings & (1U << i)) && (all || tx->hwcur != tx->ring->head))
			moved |= sync_tx_ring(d->end, i);
	}
	if (moved)
		wake(d->end->peer);
}

/* ---- extra buffers; the lock is held ---- */

static uint32_t *first_word(const struct region *r, uint32_t idx)
{
	return (void *)(r->base + buffers_at(r) + (size_t)idx * r->buf_size);
}

static void give_extra(struct descriptor *d, struct netmap_if *nifp, struct nmreq_register *reg)
{
	struct region *r = d->region;
	unsigned int i;

	if (reg->nr_extra_bufs > r->extra)
		reg->nr_extra_bufs = r->extra;
	nifp->ni_bufs_head = 0;
	if (!reg->nr_extra_bufs)
		return;
	if (r->extra_taken)
		abort();
	for (i = 0; i < reg->nr_extra_bufs; i++) {
		*first_word(r, r->extra_list[i]) = nifp->ni_bufs_head;
		nifp->ni_bufs_head = r->extra_list[i];
		r->extra_list[i] = 0;
	}
	r->extra_taken = reg->nr_extra_bufs;
	d->has_extra = true;
}

static void take_extra(struct descriptor *d, const struct netmap_if *nifp)
{
	struct region *r = d->region;
	uint32_t idx = nifp->ni_bufs_head, i = 0;

	while (d->has_extra && i < r->extra_taken && idx >= 2 && idx < 2 + r->slots + r->extra) {
		r->extra_list[i++] = idx;
		idx = *first_word(r, idx);
	}
	if (d->has_extra)
		r->extra_taken = 0;
}

/* ---- system calls ---- */

static struct descriptor *ours(int fd)
{
	return fd >= 0 && fd < MAX_FDS && fake.in_use[fd] ? &fake.fds[fd] : NULL;
}

/* Descriptors are mapped before anybody knows their region: so each is one of a region's file. */
static int open_device(void)
{
	int fd = dup(fake.regions[0].fd);

	if (fd < 0 || fd >= MAX_FDS)
		abort();
	memset(&fake.fds[fd], 0, sizeof(fake.fds[fd]));
	fake.fds[fd].event = eventfd(0, EFD_NONBLOCK);
	fake.in_use[fd] = true;
	return fd;
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;
	int fd;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (strcmp(path, NETMAP_DEVICE_NAME) != 0)
		return __real_open(path, flags, mode);
	pthread_mutex_lock(&fake.lock);
	fd = open_device();
	pthread_mutex_unlock(&fake.lock);
	return fd;
}

static struct netmap_if *if_of(const struct descriptor *d)
{
	return (void *)(d->region->base + (size_t)d->nifp * IF_SIZE);
}

int __wrap_close(int fd)
{
	struct descriptor *d = ours(fd);

	if (d) {
		pthread_mutex_lock(&fake.lock);
		if (d->end) {
			take_extra(d, if_of(d));
			d->region->if_used[d->nifp] = false;
		}
		fake.in_use[fd] = false;
		__real_close(d->event);
		pthread_mutex_unlock(&fake.lock);
	}
	return __real_close(fd);
}

int __wrap_open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return __wrap_open(path, flags, mode);
}

static int fail(int error)
{
	errno = error;
	return -1;
}

static bool taken(const struct end *e, bool exclusive)
{
	int fd;

	for (fd = 0; fd < MAX_FDS; fd++) {
		const struct descriptor *d = &fake.fds[fd];

		if (fake.in_use[fd] && d->end == e && (exclusive || (d->flags & NR_EXCLUSIVE)))
			return true;
	}
	return false;
}

static void make_if(struct descriptor *d)
{
	unsigned int n = d->end->setup->rings, i;
	struct netmap_if *nifp;

	for (d->nifp = 0; d->region->if_used[d->nifp]; d->nifp++) {
		if (d->nifp + 1 == MAX_IFS)
			abort();
	}
	d->region->if_used[d->nifp] = true;
	nifp = if_of(d);
	memset(nifp, 0, IF_SIZE);
	nifp->ni_tx_rings = nifp->ni_rx_rings = n;
	nifp->ni_host_tx_rings = nifp->ni_host_rx_rings = 1;
	for (i = 0; i < n; i++) {
		if (!(d->flags & NR_RX_RINGS_ONLY))
			nifp->ring_ofs[i] = (char *)d->end->tx[i].ring - (char *)nifp;
		if (!(d->flags & NR_TX_RINGS_ONLY))
			nifp->ring_ofs[n + 1 + i] = (char *)d->end->rx[i].ring - (char *)nifp;
	}
}

static int do_register(int fd, const struct nmreq_header *hdr)
{
	struct nmreq_register *reg = (void *)(uintptr_t)hdr->nr_body;
	struct descriptor *d = &fake.fds[fd];
	struct end *e = find_end(hdr->nr_name);
	unsigned int bound;

	if (!e)
		return fail(ENXIO);
	if (reg->nr_mode == NR_REG_ONE_NIC && reg->nr_ringid >= e->setup->rings)
		return fail(EINVAL);
	if (taken(e, reg->nr_flags & NR_EXCLUSIVE))
		return fail(EBUSY);
	if (dup2(e->region->fd, fd) != fd)
		abort();
	d->flags = reg->nr_flags;
	d->region = e->region;
	d->end = e;
	bound = reg->nr_mode == NR_REG_ONE_NIC ? 1U << reg->nr_ringid : (1U << e->setup->rings) - 1;
	d->tx_rings = reg->nr_flags & NR_RX_RINGS_ONLY ? 0 : bound;
	d->rx_rings = reg->nr_flags & NR_TX_RINGS_ONLY ? 0 : bound;
	make_if(d);
	give_extra(d, if_of(d), reg);
	reg->nr_offset = (uint64_t)d->nifp * IF_SIZE;
	reg->nr_memsize = e->region->size;
	reg->nr_mem_id = (uint16_t)(FIRST_ID + e->region->number);
	reg->nr_tx_rings = reg->nr_rx_rings = (uint16_t)e->setup->rings;
	reg->nr_host_tx_rings = reg->nr_host_rx_rings = 0;
	reg->nr_tx_slots = reg->nr_rx_slots = e->setup->slots;
	return 0;
}

static int do_ctrl(int fd, const struct nmreq_header *hdr)
{
	const struct end *e = find_end(hdr->nr_name);

	switch (hdr->nr_reqtype) {
	case NETMAP_REQ_REGISTER:
		return do_register(fd, hdr);
	case NETMAP_REQ_PORT_HDR_GET:
		if (!e)
			return fail(ENXIO);
		((struct nmreq_port_hdr *)(uintptr_t)hdr->nr_body)->nr_hdr_len = e->setup->vnet_hdr;
		return 0;
	default:
		return fail(EINVAL);
	}
}

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	struct descriptor *d = ours(fd);
	int result = 0;

	if (!d)
		return __real_ioctl(fd, request, arg);
	pthread_mutex_lock(&fake.lock);
	if (request == NIOCCTRL)
		result = do_ctrl(fd, arg);
	else if (!d->end)
		result = fail(ENXIO);
	else if (request == NIOCRXSYNC)
		sync_rx(d);
	else
		sync_tx(d, true);
	pthread_mutex_unlock(&fake.lock);
	return result;
}

/* One evaluation; the lock is held. */
static short evaluate(struct descriptor *d, short events)
{
	struct end *end = d->end;
	short revents = 0;
	unsigned int i;

	if (!end)
		return POLLERR;
	if ((events & POLLOUT) || !(d->flags & NR_NO_TX_POLL))
		sync_tx(d, events & POLLOUT);
	if (events & POLLIN)
		sync_rx(d);
	for (i = 0; i < end->setup->rings; i++) {
		if ((events & POLLOUT) && (d->tx_rings & (1U << i)) &&
		    end->tx[i].ring->cur != end->tx[i].ring->tail)
			revents |= POLLOUT;
		if ((events & POLLIN) && (d->rx_rings & (1U << i)) &&
		    end->rx[i].ring->cur != end->rx[i].ring->tail)
			revents |= POLLIN;
	}
	if (fake.broken)
		revents |= POLLERR;
	return revents;
}

/* Evaluates our descriptors among fds; real gets what to wait for instead. Returns how many are
 * ready. */
static int evaluate_all(struct pollfd *fds, struct pollfd *real, nfds_t n)
{
	uint64_t drain;
	int ready = 0;
	nfds_t i;

	memcpy(real, fds, n * sizeof(*fds));
	pthread_mutex_lock(&fake.lock);
	for (i = 0; i < n; i++) {
		struct descriptor *d = ours(fds[i].fd);

		if (!d)
			continue;
		/* First, so that nothing that happens from here on is slept through. */
		if (read(d->event, &drain, 8) < 0 && errno != EAGAIN)
			abort();
		fds[i].revents = evaluate(d, fds[i].events);
		ready += fds[i].revents != 0;
		real[i].fd = d->event;
		real[i].events = POLLIN;
	}
	fake.polls++;
	pthread_mutex_unlock(&fake.lock);
	return ready;
}

int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *set)
{
	static const struct timespec zero;
	struct pollfd real[MAX_FDS];
	nfds_t i, own = 0;

	for (i = 0; i < n; i++)
		own += ours(fds[i].fd) != NULL;
	if (!own)
		return __real_ppoll(fds, n, t, set);
	if (n > MAX_FDS)
		abort();
	for (;;) {
		int ready = evaluate_all(fds, real, n);
		int woken = __real_ppoll(real, n, ready ? &zero : t, set);

		if (woken < 0)
			return woken;
		for (i = 0; i < n; i++) {
			if (ours(fds[i].fd))
				continue;
			fds[i].revents = real[i].revents;
			ready += fds[i].revents != 0;
		}
		if (ready || !woken)
			return ready;
	}
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec t = {.tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000L};

	return __wrap_ppoll(fds, n, timeout < 0 ? NULL : &t, NULL);
}
