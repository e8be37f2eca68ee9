/* SPDX-License-Identifier: BSD-2-Clause */
/* Section J: CSB mode and the sync loop. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"

#define MAX_RINGS 8

/* An exclusively bound port in CSB mode, and what its sync loop needs. */
struct looped {
	struct bound b;
	const char *name;
	struct nm_csb_atok *atok;
	struct nm_csb_ktoa *ktoa;
	unsigned int rings; /* bound: TX, then RX */
	/* The loop: */
	pthread_t thread;
	struct nmreq_opt_sync_kloop_mode mode;
	struct nmreq_opt_sync_kloop_eventfds *eventfds; /* NULL: timed */
	int error;					/* of START, when it has returned */
};

static struct nmreq_opt_csb csb_option(const struct looped *l)
{
	return (struct nmreq_opt_csb){.nro_opt.nro_reqtype = NETMAP_REQ_OPT_CSB,
				      .csb_atok = (uintptr_t)l->atok,
				      .csb_ktoa = (uintptr_t)l->ktoa};
}

static void allocate_csb(struct looped *l)
{
	l->atok = aligned_alloc(64, MAX_RINGS * sizeof(*l->atok));
	l->ktoa = aligned_alloc(64, MAX_RINGS * sizeof(*l->ktoa));
	need(l->atok && l->ktoa, "memory");
	memset(l->atok, 0x5a, MAX_RINGS * sizeof(*l->atok));
	memset(l->ktoa, 0x5a, MAX_RINGS * sizeof(*l->ktoa));
}

static struct looped bind_with_csb(const char *name, uint64_t flags)
{
	struct looped l = {.name = name, .b.fd = open_netmap()};
	struct nmreq_opt_csb option;

	allocate_csb(&l);
	option = csb_option(&l);
	l.b.reg = (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC,
					  .nr_flags = NR_EXCLUSIVE | flags};
	need(request_with(l.b.fd, name, NETMAP_REQ_REGISTER, &l.b.reg, &option) == 0,
	     "REGISTER with a CSB");
	check_equal("the option's status", 0, option.nro_opt.nro_status);
	map_bound(&l.b);
	l.rings = (flags & NR_RX_RINGS_ONLY ? 0 : l.b.reg.nr_tx_rings) +
		  (flags & NR_TX_RINGS_ONLY ? 0 : l.b.reg.nr_rx_rings);
	return l;
}

static void unbind_looped(struct looped *l)
{
	unbind(&l->b);
	free(l->atok);
	free(l->ktoa);
	free(l->eventfds);
}

/* Eventfds for @count rings. */
static void add_eventfds(struct looped *l, unsigned int count)
{
	size_t size = sizeof(*l->eventfds) + count * sizeof(l->eventfds->eventfds[0]);
	unsigned int i;

	l->eventfds = calloc(1, size);
	need(l->eventfds, "memory");
	l->eventfds->nro_opt.nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS;
	l->eventfds->nro_opt.nro_size = size;
	for (i = 0; i < count; i++) {
		l->eventfds->eventfds[i].ioeventfd = eventfd(0, EFD_NONBLOCK);
		l->eventfds->eventfds[i].irqfd = eventfd(0, EFD_NONBLOCK);
	}
}

static void close_eventfds(struct looped *l)
{
	unsigned int i;

	for (i = 0; i < l->rings; i++) {
		close(l->eventfds->eventfds[i].ioeventfd);
		close(l->eventfds->eventfds[i].irqfd);
	}
	free(l->eventfds);
	l->eventfds = NULL;
}

static int start_loop(struct looped *l)
{
	struct nmreq_sync_kloop_start start = {.sleep_us = 500};
	struct nmreq_option *list = NULL;

	if (l->eventfds) {
		l->eventfds->nro_opt.nro_next = 0;
		l->eventfds->nro_opt.nro_status = 99;
		list = &l->eventfds->nro_opt;
	}
	if (l->mode.mode) {
		l->mode.nro_opt = (struct nmreq_option){
			.nro_next = (uintptr_t)list, .nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_MODE};
		list = &l->mode.nro_opt;
	}
	return request_with(l->b.fd, "", NETMAP_REQ_SYNC_KLOOP_START, &start, list);
}

static void *loop_thread(void *arg)
{
	struct looped *l = arg;
	int result = start_loop(l);

	__atomic_store_n(&l->error, result ? errno : 0, __ATOMIC_SEQ_CST);
	return NULL;
}

static void begin_loop(struct looped *l)
{
	need(pthread_create(&l->thread, NULL, loop_thread, l) == 0, "a thread");
}

static int stop_loop(const struct looped *l)
{
	return request(l->b.fd, "", NETMAP_REQ_SYNC_KLOOP_STOP, NULL);
}

static void end_loop(struct looped *l)
{
	check_call("KLOOP_STOP", 0, stop_loop(l));
	pthread_join(l->thread, NULL);
	check_equal("KLOOP_START", 0, l->error);
}

static void check_loop(struct looped *l)
{
	begin_loop(l);
	end_loop(l); /* perhaps before the other thread has come to START */
	if (l->eventfds)
		check_equal("the option's status", 0, l->eventfds->nro_opt.nro_status);
	if (l->mode.mode)
		check_equal("the mode's status", 0, l->mode.nro_opt.nro_status);
}

/* ---- the lines ---- */

static void register_with_csb(void)
{
	struct looped l = bind_with_csb(own("vale~:a"), 0);
	struct nmreq_register reg;
	int fd = open_netmap();

	check_equal("TX head", 0, l.atok[0].head);
	check_equal("TX cur", 0, l.atok[0].cur);
	check_equal("appl_need_kick", 1, l.atok[0].appl_need_kick);
	check_equal("sync_flags", 1, l.atok[0].sync_flags);
	check_equal("only these words are written", 0x5a5a5a5a, l.atok[0].pad[0]);
	check_equal("TX hwcur", 0, l.ktoa[0].hwcur);
	check_equal("TX hwtail", l.b.reg.nr_tx_slots - 1, l.ktoa[0].hwtail);
	check_equal("kern_need_kick", 1, l.ktoa[0].kern_need_kick);
	check_equal("the rest is zeroed", 0, l.ktoa[0].pad[0]);
	check_equal("RX hwtail", 0, l.ktoa[1].hwtail);
	check_equal("behind the last ring's entry nothing is written", 0x5a5a5a5a, l.ktoa[2].hwcur);
	check_call("NIOCTXSYNC in CSB mode", EBUSY, tx_sync(&l.b));
	check_call("NIOCRXSYNC in CSB mode", EBUSY, rx_sync(&l.b));
	check_equal("poll in CSB mode", POLLERR, poll_now(l.b.fd, POLLIN | POLLOUT, -1));
	check_call("a second user", EBUSY,
		   bind_rings(fd, own("vale~:a"), NR_REG_ALL_NIC, 0, 0, &reg));
	close(fd);
	unbind_looped(&l);
}

static void bad_csb(void)
{
	struct looped l = {0};
	struct nmreq_opt_csb option;
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC, .nr_flags = NR_EXCLUSIVE};
	struct nmreq_register shared = {.nr_mode = NR_REG_ALL_NIC};
	int fd = open_netmap();

	allocate_csb(&l);
	option = csb_option(&l);
	option.csb_atok = 0x10;
	option.csb_ktoa = 0x800;
	check_equal("bad addresses", -1,
		    request_with(fd, own("vale~:a"), NETMAP_REQ_REGISTER, &reg, &option));
	check_equal("errno is the option's status", errno, option.nro_opt.nro_status);
	check_equal("which is EINVAL or EFAULT", 1, errno == EINVAL || errno == EFAULT);
	option = csb_option(&l);
	option.csb_atok = 0x800;
	check_call("an address where nothing is", EFAULT,
		   request_with(fd, own("vale~:a"), NETMAP_REQ_REGISTER, &reg, &option));
	option = csb_option(&l);
	option.csb_ktoa += 8;
	check_call("an address that is not aligned", EINVAL,
		   request_with(fd, own("vale~:a"), NETMAP_REQ_REGISTER, &reg, &option));
	option = csb_option(&l);
	check_call("not bound exclusively", EINVAL,
		   request_with(fd, own("vale~:a"), NETMAP_REQ_REGISTER, &shared, &option));
	check_call("after all that it is not bound", ENXIO, ioctl(fd, NIOCTXSYNC, NULL));
	close(fd);
}

static void start_and_stop(void)
{
	struct looped l = bind_with_csb(own("vale~:a"), 0);
	struct nmreq_sync_kloop_start start = {.sleep_us = 1000001};
	unsigned int i;

	for (i = 0; i < 20; i++)
		check_loop(&l);
	check_call("STOP before START", 0, stop_loop(&l));
	check_call("makes START return at once", 0, start_loop(&l));
	check_call("sleeps of more than a second", EINVAL,
		   request(l.b.fd, "", NETMAP_REQ_SYNC_KLOOP_START, &start));
	unbind_looped(&l);
}

static void start_with_eventfds(void)
{
	static const uint32_t modes[] = {0, NM_OPT_SYNC_KLOOP_DIRECT_TX,
					 NM_OPT_SYNC_KLOOP_DIRECT_RX,
					 NM_OPT_SYNC_KLOOP_DIRECT_TX | NM_OPT_SYNC_KLOOP_DIRECT_RX};
	static const uint64_t flags[] = {0, NR_TX_RINGS_ONLY};
	size_t f, m;

	for (f = 0; f < sizeof(flags) / sizeof(flags[0]); f++) {
		struct looped l = bind_with_csb(own("vale~:a"), flags[f]);

		check_equal("rings", flags[f] ? 1 : 2, l.rings);
		for (m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
			l.mode.mode = modes[m];
			add_eventfds(&l, l.rings);
			check_loop(&l);
			close_eventfds(&l);
		}
		l.mode.mode = 4;
		check_call("an unknown mode", EINVAL, start_loop(&l));
		check_equal("which is told so", EINVAL, l.mode.nro_opt.nro_status);
		l.mode.mode = NM_OPT_SYNC_KLOOP_DIRECT_TX;
		add_eventfds(&l, l.rings);
		close(l.eventfds->eventfds[0].ioeventfd);
		l.eventfds->eventfds[0].ioeventfd = -1;
		check_call("direct mode, timed", EINVAL, start_loop(&l));
		unbind_looped(&l);
	}
}

static void start_without_csb(void)
{
	struct looped l = {.b = bind_and_map(own("vale~:a"), NR_EXCLUSIVE)};
	struct nmreq_sync_kloop_start start = {.sleep_us = 500};

	check_call("KLOOP_START", EINVAL, start_loop(&l));
	check_call("KLOOP_STOP", 0, stop_loop(&l));
	unbind_looped(&l);
	check_call("KLOOP_START, not bound", ENXIO,
		   request_once("", NETMAP_REQ_SYNC_KLOOP_START, &start));
	check_call("KLOOP_STOP, not bound", ENXIO,
		   request_once("", NETMAP_REQ_SYNC_KLOOP_STOP, NULL));
}

static void csb_enable(void)
{
	struct looped l = {.b = bind_and_map(own("vale~:a"), NR_EXCLUSIVE)};
	struct nmreq_opt_csb option;

	allocate_csb(&l);
	option = csb_option(&l);
	check_call("CSB_ENABLE without the option", EINVAL,
		   request(l.b.fd, "", NETMAP_REQ_CSB_ENABLE, NULL));
	option.nro_opt.nro_status = 99;
	check_call("CSB_ENABLE", 0, request_with(l.b.fd, "", NETMAP_REQ_CSB_ENABLE, NULL, &option));
	check_equal("the option's status", 0, option.nro_opt.nro_status);
	check_call("NIOCTXSYNC", EBUSY, tx_sync(&l.b));
	check_loop(&l);
	unbind_looped(&l);
}

static void two_loops(void)
{
	struct looped l = bind_with_csb(own("vale~:a"), 0), second = l;
	const struct looped *ended;
	struct timespec moment = {.tv_nsec = 10000000};

	l.error = second.error = -1;
	begin_loop(&l);
	begin_loop(&second);
	/* One of them ends at once; which, depends. */
	while (__atomic_load_n(&l.error, __ATOMIC_SEQ_CST) == -1 &&
	       __atomic_load_n(&second.error, __ATOMIC_SEQ_CST) == -1)
		nanosleep(&moment, NULL);
	ended = __atomic_load_n(&l.error, __ATOMIC_SEQ_CST) != -1 ? &l : &second;
	check_equal("the one too many", EBUSY, ended->error);
	check_call("KLOOP_STOP", 0, stop_loop(&l));
	pthread_join(l.thread, NULL);
	pthread_join(second.thread, NULL);
	check_equal("the other", 0, ended == &l ? second.error : l.error);
	unbind_looped(&l);
}

static void wrong_number_of_eventfds(void)
{
	struct looped l = bind_with_csb(own("vale~:a"), 0);

	add_eventfds(&l, 1);
	check_call("too few", EINVAL, start_loop(&l));
	check_equal("which is told so", EINVAL, l.eventfds->nro_opt.nro_status);
	free(l.eventfds);
	add_eventfds(&l, 3);
	check_call("too many", EINVAL, start_loop(&l));
	free(l.eventfds);
	add_eventfds(&l, 2);
	close(l.eventfds->eventfds[1].irqfd);
	l.eventfds->eventfds[1].irqfd = 54321;
	check_call("a descriptor that is none", EBADF, start_loop(&l));
	unbind_looped(&l);
}

/* ---- the data path: nothing but the CSB and slots ---- */

static void kick(const struct looped *l, unsigned int ring)
{
	uint64_t one = 1;

	if (!l->eventfds || !__atomic_load_n(&l->ktoa[ring].kern_need_kick, __ATOMIC_SEQ_CST))
		return;
	need(write(l->eventfds->eventfds[ring].ioeventfd, &one, sizeof(one)) == sizeof(one),
	     "a kick");
}

/* head and cur of ring number @ring (TX first), and a kick if one is wanted. */
static void publish(const struct looped *l, unsigned int ring, uint32_t position)
{
	__atomic_store_n(&l->atok[ring].cur, position, __ATOMIC_SEQ_CST);
	__atomic_store_n(&l->atok[ring].head, position, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	kick(l, ring);
}

static uint32_t tail_of(const struct looped *l, unsigned int ring)
{
	return __atomic_load_n(&l->ktoa[ring].hwtail, __ATOMIC_SEQ_CST);
}

/* Sleep until the ring's tail isn't @old. */
static uint32_t await_tail(const struct looped *l, unsigned int ring, uint32_t old)
{
	const struct timespec moment = {.tv_nsec = 200000};

	__atomic_store_n(&l->atok[ring].appl_need_kick, 1, __ATOMIC_SEQ_CST);
	while (tail_of(l, ring) == old) {
		if (l->eventfds) {
			struct pollfd p = {.fd = l->eventfds->eventfds[ring].irqfd,
					   .events = POLLIN};
			uint64_t count;

			poll(&p, 1, -1); /* the test's alarm bounds it */
			if (read(p.fd, &count, sizeof(count)) < 0)
				need(errno == EAGAIN, "an interrupt");
		} else {
			nanosleep(&moment, NULL);
		}
	}
	__atomic_store_n(&l->atok[ring].appl_need_kick, 0, __ATOMIC_SEQ_CST);
	return tail_of(l, ring);
}

static void scribble(struct netmap_ring *ring)
{
	ring->cur = 0xdeadbeef;
	ring->tail = 0xfeedface;
}

#define PACKETS 5000

struct direction {
	const struct looped *from, *to;
	uint64_t wrong;
};

static void *csb_sender(void *arg)
{
	const struct direction *d = arg;
	const struct looped *l = d->from;
	struct netmap_ring *tx = NETMAP_TXRING(l->b.nifp, 0);
	uint32_t head = l->atok[0].head, tail = tail_of(l, 0), number;

	for (number = 0; number < PACKETS; number++) {
		struct netmap_slot *slot = &tx->slot[head];

		if (head == tail) {
			publish(l, 0, head);
			tail = await_tail(l, 0, tail);
		}
		make_packet((uint8_t *)NETMAP_BUF(tx, slot->buf_idx), 60, broadcast, mac(1),
			    number);
		slot->len = 60;
		slot->flags = 0;
		head = nm_ring_next(tx, head);
		scribble(tx);
		if (number % 7 == 0 || number == PACKETS - 1)
			publish(l, 0, head);
	}
	return NULL;
}

static void *csb_receiver(void *arg)
{
	struct direction *d = arg;
	const struct looped *l = d->to;
	struct netmap_ring *rx = NETMAP_RXRING(l->b.nifp, 0);
	uint32_t head = l->atok[1].head, tail = tail_of(l, 1), number;
	uint8_t wanted[60];

	for (number = 0; number < PACKETS; number++) {
		const struct netmap_slot *slot = &rx->slot[head];

		if (head == tail) {
			publish(l, 1, head);
			tail = await_tail(l, 1, tail);
		}
		make_packet(wanted, 60, broadcast, mac(1), number);
		d->wrong +=
			slot->len != 60 || memcmp(wanted, NETMAP_BUF(rx, slot->buf_idx), 60) != 0;
		head = nm_ring_next(rx, head);
		scribble(rx);
	}
	publish(l, 1, head);
	return NULL;
}

/* A pipe, which loses nothing. */
static void check_data_path(bool eventfds, uint32_t mode)
{
	struct looped a = bind_with_csb(own("c~w{1"), 0), b = bind_with_csb(own("c~w}1"), 0);
	struct direction there = {.from = &a, .to = &b}, back = {.from = &b, .to = &a};
	struct direction *both[] = {&there, &back};
	pthread_t threads[4];
	unsigned int i;

	a.mode.mode = b.mode.mode = mode;
	if (eventfds) {
		add_eventfds(&a, a.rings);
		add_eventfds(&b, b.rings);
	}
	begin_loop(&a);
	begin_loop(&b);
	for (i = 0; i < 2; i++) {
		need(!pthread_create(&threads[2 * i], NULL, csb_sender, both[i]), "a thread");
		need(!pthread_create(&threads[2 * i + 1], NULL, csb_receiver, both[i]), "a thread");
	}
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	check_equal("wrong packets there", 0, (long long)there.wrong);
	check_equal("wrong packets back", 0, (long long)back.wrong);
	end_loop(&a);
	end_loop(&b);
	unbind_looped(&a);
	unbind_looped(&b);
}

static void data_path(void)
{
	check_data_path(false, 0);
	check_data_path(true, 0);
	check_data_path(true, NM_OPT_SYNC_KLOOP_DIRECT_TX | NM_OPT_SYNC_KLOOP_DIRECT_RX);
}

const struct test kloop_tests[] = {
	{"J53-register-csb", register_with_csb, ON_HOST},
	{"J54-bad-csb", bad_csb, ON_HOST},
	{"J55-kloop-start-stop", start_and_stop, ON_HOST},
	{"J56-kloop-eventfds", start_with_eventfds, ON_HOST},
	{"J57-kloop-without-csb", start_without_csb, ON_HOST},
	{"J58-csb-enable", csb_enable, ON_HOST},
	{"J59-two-kloops", two_loops, ON_HOST},
	{"J60-kloop-wrong-eventfds", wrong_number_of_eventfds, ON_HOST},
	{"J61-kloop-data-path", data_path, ON_HOST},
	{NULL, NULL, 0},
};
