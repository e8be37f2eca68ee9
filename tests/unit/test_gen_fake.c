/* SPDX-License-Identifier: BSD-2-Clause */
#define NETMAP_OWNER
#include "test_gen_fake.h"

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

#define MAX_RINGS 8
#define MAX_FDS	  64
#define IF_SIZE	  4096
#define MEM_ID	  5

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
	struct netmap_if *nifp;
	struct hwring tx[MAX_RINGS], rx[MAX_RINGS];
};

static struct {
	pthread_mutex_t lock;
	struct fake_setup setup;
	int region_fd;
	char *base;
	size_t size;
	struct end ends[2];
	_Atomic int fd_end[MAX_FDS];	/* by descriptor: 0: not ours, else end + 1, 3: not bound */
	unsigned int fd_rings[MAX_FDS]; /* bound ring pairs, a bit each */
	int fd_event[MAX_FDS];		/* eventfd: the other end did something */
	uint64_t passed;
	bool broken;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- layout ---- */

static size_t ring_size(void)
{
	return (sizeof(struct netmap_ring) + fake.setup.slots * sizeof(struct netmap_slot) + 127) /
	       128 * 128;
}

static size_t buffers_at(void)
{
	return 2 * IF_SIZE + 4 * fake.setup.rings * ring_size();
}

static unsigned int total_slots(void)
{
	return 2 * fake.setup.rings * fake.setup.slots;
}

static struct netmap_ring *make_ring(unsigned int number, unsigned int id, bool rx)
{
	struct netmap_ring *ring = (void *)(fake.base + 2 * IF_SIZE + (size_t)number * ring_size());

	ring->num_slots = fake.setup.slots;
	ring->nr_buf_size = fake.setup.buf_size;
	ring->buf_ofs = fake.base + buffers_at() - (char *)ring;
	ring->ringid = (uint16_t)id;
	ring->dir = rx;
	ring->tail = rx ? 0 : ring->num_slots - 1;
	return ring;
}

static void make_end(unsigned int e)
{
	unsigned int n = fake.setup.rings, i, k;
	struct end *end = &fake.ends[e];

	end->nifp = (void *)(fake.base + e * IF_SIZE);
	end->nifp->ni_tx_rings = end->nifp->ni_rx_rings = n;
	end->nifp->ni_host_tx_rings = end->nifp->ni_host_rx_rings = 1;
	for (i = 0; i < n; i++) {
		end->tx[i].ring = make_ring(e * 2 * n + i, i, false);
		end->rx[i].ring = make_ring(e * 2 * n + n + i, i, true);
		end->tx[i].hwtail = fake.setup.slots - 1;
		end->nifp->ring_ofs[i] = (char *)end->tx[i].ring - (char *)end->nifp;
		end->nifp->ring_ofs[n + 1 + i] = (char *)end->rx[i].ring - (char *)end->nifp;
	}
	for (i = 0; i < n; i++) {
		/* TX slot k and the other end's RX slot k begin with the same buffer. */
		for (k = 0; k < fake.setup.slots; k++) {
			end->tx[i].ring->slot[k].buf_idx = 2 + (e * n + i) * fake.setup.slots + k;
			end->rx[i].ring->slot[k].buf_idx =
				2 + ((1 - e) * n + i) * fake.setup.slots + k;
		}
	}
}

void fake_create(const struct fake_setup *setup)
{
	fake.setup = *setup;
	fake.size = buffers_at() + (2 + (size_t)total_slots()) * setup->buf_size;
	fake.size = (fake.size + 4095) / 4096 * 4096;
	fake.region_fd = memfd_create("fake", 0);
	if (fake.region_fd < 0 || ftruncate(fake.region_fd, (off_t)fake.size))
		abort();
	fake.base = mmap(NULL, fake.size, PROT_READ | PROT_WRITE, MAP_SHARED, fake.region_fd, 0);
	if (fake.base == MAP_FAILED)
		abort();
	make_end(0);
	make_end(1);
	fake.passed = 0;
	fake.broken = false;
}

void fake_destroy(void)
{
	munmap(fake.base, fake.size);
	__real_close(fake.region_fd);
	memset(fake.ends, 0, sizeof(fake.ends));
}

/* Wakes whoever polls end e; the lock is held. */
static void wake(unsigned int e)
{
	uint64_t one = 1;
	int fd;

	for (fd = 0; fd < MAX_FDS; fd++) {
		if (fake.fd_end[fd] == (int)e + 1 && write(fake.fd_event[fd], &one, 8) != 8)
			abort();
	}
}

void fake_break(void)
{
	pthread_mutex_lock(&fake.lock);
	fake.broken = true;
	wake(0);
	wake(1);
	pthread_mutex_unlock(&fake.lock);
}

/* ---- syncs; the lock is held ---- */

static uint32_t next(uint32_t i)
{
	return i + 1 == fake.setup.slots ? 0 : i + 1;
}

static uint32_t prev(uint32_t i)
{
	return i ? i - 1 : fake.setup.slots - 1;
}

static bool sync_tx_ring(struct end *from, struct end *to, unsigned int i)
{
	struct hwring *tx = &from->tx[i], *rx = &to->rx[i];
	bool moved = tx->hwcur != tx->ring->head;

	for (; tx->hwcur != tx->ring->head; tx->hwcur = next(tx->hwcur)) {
		struct netmap_slot *s = &tx->ring->slot[tx->hwcur];
		struct netmap_slot *d = &rx->ring->slot[tx->hwcur];
		bool show = true;

		*d = *s;
		s->flags &= (uint16_t)~NS_BUF_CHANGED;
		if (fake.setup.tamper)
			show = fake.setup.tamper(d, (uint8_t *)NETMAP_BUF(rx->ring, d->buf_idx),
						 fake.passed);
		fake.passed++;
		if (show && !(d->flags & NS_MOREFRAG))
			rx->hwtail = next(tx->hwcur);
	}
	tx->ring->tail = tx->hwtail;
	return moved;
}

static bool sync_rx_ring(struct end *at, struct end *from, unsigned int i)
{
	struct hwring *rx = &at->rx[i], *tx = &from->tx[i];
	bool moved = rx->hwcur != rx->ring->head;

	for (; rx->hwcur != rx->ring->head; rx->hwcur = next(rx->hwcur)) {
		/* A buffer that a test made impossible doesn't come back. */
		if (rx->ring->slot[rx->hwcur].buf_idx < 2 + total_slots())
			tx->ring->slot[rx->hwcur] = rx->ring->slot[rx->hwcur];
		rx->ring->slot[rx->hwcur].flags &= (uint16_t)~NS_BUF_CHANGED;
	}
	tx->hwtail = prev(rx->hwcur);
	rx->ring->tail = rx->hwtail;
	return moved;
}

static bool bound(int fd, unsigned int ring)
{
	return fake.fd_rings[fd] & (1U << ring);
}

static void sync_fd(int fd, bool rx)
{
	int e = fake.fd_end[fd] - 1;
	struct end *own = &fake.ends[e], *peer = &fake.ends[1 - e];
	bool moved = false;
	unsigned int i;

	for (i = 0; i < fake.setup.rings; i++) {
		if (bound(fd, i))
			moved |= rx ? sync_rx_ring(own, peer, i) : sync_tx_ring(own, peer, i);
	}
	if (moved)
		wake((unsigned int)(1 - e));
}

/* ---- system calls ---- */

static int end_of(int fd)
{
	return fd >= 0 && fd < MAX_FDS ? fake.fd_end[fd] : 0;
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
	fd = dup(fake.region_fd);
	if (fd < 0 || fd >= MAX_FDS)
		abort();
	fake.fd_end[fd] = 3;
	fake.fd_event[fd] = eventfd(0, EFD_NONBLOCK);
	pthread_mutex_unlock(&fake.lock);
	return fd;
}

int __wrap_close(int fd)
{
	if (end_of(fd)) {
		pthread_mutex_lock(&fake.lock);
		fake.fd_end[fd] = 0;
		__real_close(fake.fd_event[fd]);
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

static int do_register(int fd, const struct nmreq_header *hdr)
{
	struct nmreq_register *reg = (void *)(uintptr_t)hdr->nr_body;
	unsigned int e = strcmp(hdr->nr_name, "fake}1") == 0;

	if (!e && strcmp(hdr->nr_name, "fake{1") != 0)
		return fail(ENXIO);
	if (reg->nr_mode == NR_REG_ONE_NIC && reg->nr_ringid >= fake.setup.rings)
		return fail(EINVAL);
	reg->nr_offset = e * IF_SIZE;
	reg->nr_memsize = fake.size;
	reg->nr_mem_id = MEM_ID;
	reg->nr_tx_rings = reg->nr_rx_rings = (uint16_t)fake.setup.rings;
	reg->nr_host_tx_rings = reg->nr_host_rx_rings = 0;
	reg->nr_tx_slots = reg->nr_rx_slots = fake.setup.slots;
	fake.fd_end[fd] = (int)e + 1;
	fake.fd_rings[fd] = reg->nr_mode == NR_REG_ONE_NIC ? 1U << reg->nr_ringid
							   : (1U << fake.setup.rings) - 1;
	return 0;
}

static int do_ctrl(int fd, const struct nmreq_header *hdr)
{
	switch (hdr->nr_reqtype) {
	case NETMAP_REQ_REGISTER:
		return do_register(fd, hdr);
	case NETMAP_REQ_PORT_HDR_GET:
		((struct nmreq_port_hdr *)(uintptr_t)hdr->nr_body)->nr_hdr_len =
			fake.setup.vnet_hdr;
		return 0;
	default:
		return fail(EINVAL);
	}
}

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	int e = end_of(fd), result = 0;

	if (!e)
		return __real_ioctl(fd, request, arg);
	pthread_mutex_lock(&fake.lock);
	if (request == NIOCCTRL)
		result = do_ctrl(fd, arg);
	else if (e == 3)
		result = fail(ENXIO);
	else
		sync_fd(fd, request == NIOCRXSYNC);
	pthread_mutex_unlock(&fake.lock);
	return result;
}

/* One evaluation as in spec/netmap-api.md section 9. */
static short evaluate(int fd, short events)
{
	struct end *end = &fake.ends[fake.fd_end[fd] - 1];
	short revents = 0;
	unsigned int i;

	pthread_mutex_lock(&fake.lock);
	sync_fd(fd, false);
	if (events & POLLIN)
		sync_fd(fd, true);
	for (i = 0; i < fake.setup.rings; i++) {
		if (!bound(fd, i))
			continue;
		if ((events & POLLOUT) && end->tx[i].ring->cur != end->tx[i].ring->tail)
			revents |= POLLOUT;
		if ((events & POLLIN) && end->rx[i].ring->cur != end->rx[i].ring->tail)
			revents |= POLLIN;
	}
	if (fake.broken)
		revents |= POLLERR;
	pthread_mutex_unlock(&fake.lock);
	return revents;
}

int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *set)
{
	struct pollfd real[8];
	uint64_t drain;
	int e = n ? end_of(fds[0].fd) : 0;

	if (!e)
		return __real_ppoll(fds, n, t, set);
	if (n > 8)
		abort();
	for (;;) {
		int event = fake.fd_event[fds[0].fd];

		if (read(event, &drain, 8) < 0 && errno != EAGAIN)
			abort();
		fds[0].revents = evaluate(fds[0].fd, fds[0].events);
		memcpy(real, fds, n * sizeof(*fds));
		real[0].fd = event;
		real[0].events = POLLIN;
		if (fds[0].revents) {
			struct timespec zero = {0};

			__real_ppoll(real, n, &zero, set);
		} else if (__real_ppoll(real, n, t, set) == 0) {
			return 0;
		}
		{
			int ready = fds[0].revents != 0;
			nfds_t i;

			for (i = 1; i < n; i++) {
				fds[i].revents = real[i].revents;
				ready += real[i].revents != 0;
			}
			if (ready)
				return ready;
		}
	}
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec t = {.tv_sec = timeout / 1000, .tv_nsec = timeout % 1000 * 1000000L};

	if (!n || !end_of(fds[0].fd))
		return __real_poll(fds, n, timeout);
	return __wrap_ppoll(fds, n, timeout < 0 ? NULL : &t, NULL);
}
