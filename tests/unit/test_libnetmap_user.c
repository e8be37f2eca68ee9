/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The header-only library: nm_open's names (spec/netmap-api.md section 11.2), and packets in and
 * out of rings laid out here: 2 TX and 2 RX rings, no owner.
 */
#define NETMAP_OWNER
/* Programs may include libnetmap.h first and ask for the functions later. */
#include <libnetmap.h>
#define NETMAP_WITH_LIBS
#include <net/netmap_user.h>
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <cmocka.h>

#define RINGS	  2
#define SLOTS	  8
#define BUF_SIZE  64
#define RING_SIZE (sizeof(struct netmap_ring) + SLOTS * sizeof(struct netmap_slot))
#define BUF_AREA  (512 + 2 * RINGS * RING_SIZE)

static void names(void **state)
{
	static const struct {
		const char *spec;
		int error; /* 0: fine; -1: not a netmap name, errno 0 */
		const char *name;
		unsigned int ringid, flags, memid;
	} t[] = {
		{"netmap:eth0", 0, "eth0", 0, NR_REG_ALL_NIC, 0},
		{"netmap:eth0^", 0, "eth0", 0, NR_REG_SW, 0},
		{"netmap:eth0*", 0, "eth0", 0, NR_REG_NIC_SW, 0},
		{"netmap:eth0-3", 0, "eth0", 3, NR_REG_ONE_NIC, 0},
		{"netmap:eth0{4", 0, "eth0", 4, NR_REG_PIPE_MASTER, 0},
		{"netmap:eth0}4094", 0, "eth0", 4094, NR_REG_PIPE_SLAVE, 0},
		{"netmap:eth0-1/xR@7", 0, "eth0", 1,
		 NR_REG_ONE_NIC | NR_EXCLUSIVE | NR_RX_RINGS_ONLY, 7},
		{"netmap:eth0@7/z", 0, "eth0", 0, NR_REG_ALL_NIC | NR_ZCOPY_MON, 7},
		{"vale0:1", 0, "vale0:1", 0, NR_REG_ALL_NIC, 0},
		{"vale:1{2", 0, "vale:1", 2, NR_REG_PIPE_MASTER, 0},
		{"netmap:012345678901234", 0, "012345678901234", 0, NR_REG_ALL_NIC, 0},
		{"netmap:0123456789012345", EINVAL, NULL, 0, 0, 0},
		{"netmap:", EINVAL, NULL, 0, 0, 0},
		{"netmap:^", EINVAL, NULL, 0, 0, 0},
		{"netmap:eth0-", EINVAL, NULL, 0, 0, 0},
		{"netmap:eth0{", EINVAL, NULL, 0, 0, 0},
		{"netmap:eth0{a", EINVAL, NULL, 0, 0, 0},
		{"netmap:eth0-4095", EINVAL, NULL, 0, 0, 0},
		{"netmap:eth0/", EINVAL, NULL, 0, 0, 0},
		{"netmap:eth0/q", EINVAL, NULL, 0, 0, 0},
		{"netmap:eth0@", EINVAL, NULL, 0, 0, 0},
		{"netmap:eth0@0", EINVAL, NULL, 0, 0, 0},
		{"netmap:eth0@1@1", EINVAL, NULL, 0, 0, 0},
		{"netmap:eth0^2", EINVAL, NULL, 0, 0, 0},
		{"vale0", EINVAL, NULL, 0, 0, 0},
		{"vale0:", EINVAL, NULL, 0, 0, 0},
		{"vale+:1", EINVAL, NULL, 0, 0, 0},
		{"vale0:a.b", EINVAL, NULL, 0, 0, 0},
		{"eth0", -1, NULL, 0, 0, 0},
		{"", -1, NULL, 0, 0, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct nm_desc d = {.snaplen = 77};
		struct nm_desc before = d;
		int result;

		errno = 99;
		result = nm_parse(t[i].spec, &d, NULL);
		if (!result != !t[i].error)
			fail_msg("'%s'", t[i].spec);
		if (t[i].error) {
			assert_int_equal(errno, t[i].error < 0 ? 0 : t[i].error);
			assert_memory_equal(&d, &before, sizeof(d));
			continue;
		}
		assert_string_equal(d.req.nr_name, t[i].name);
		assert_int_equal(d.req.nr_ringid, t[i].ringid);
		assert_int_equal(d.req.nr_flags, t[i].flags);
		assert_int_equal(d.req.nr_arg2, t[i].memid);
	}
}

static void what_is_no_port_is_not_opened(void **state)
{
	(void)state;
	errno = 99;
	assert_null(nm_open("eth0", NULL, 0, NULL));
	assert_int_equal(errno, 0);
	assert_null(nm_open("netmap:eth0/", NULL, 0, NULL));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(nm_close(NULL), EINVAL);
}

static void ring_ranges(void **state)
{
	static const struct {
		uint32_t mode;
		uint16_t ringid;
		int tx_first, tx_last, rx_first, rx_last;
	} t[] = {
		{NR_REG_ALL_NIC, 0, 0, 2, 0, 1},    {NR_REG_SW, 0, 3, 3, 2, 2},
		{NR_REG_NIC_SW, 0, 0, 3, 0, 2},	    {NR_REG_ONE_NIC, 1, 1, 1, 1, 1},
		{NR_REG_ONE_NIC, 2, 2, 2, 0, 0},    {NR_REG_PIPE_MASTER, 9, 0, 0, 0, 0},
		{NR_REG_PIPE_SLAVE, 9, 0, 0, 0, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct nm_desc d = {0};

		d.req.nr_flags = t[i].mode | NR_EXCLUSIVE;
		d.req.nr_ringid = t[i].ringid | NETMAP_NO_TX_POLL;
		d.req.nr_tx_rings = 3;
		d.req.nr_rx_rings = 2;
		nm_set_ring_range(&d);
		assert_int_equal(d.first_tx_ring, t[i].tx_first);
		assert_int_equal(d.last_tx_ring, t[i].tx_last);
		assert_int_equal(d.first_rx_ring, t[i].rx_first);
		assert_int_equal(d.last_rx_ring, t[i].rx_last);
	}
}

/* ---- packets ---- */

static struct netmap_ring *ring_at(struct netmap_if *nifp, unsigned int i)
{
	return (void *)((char *)nifp + 512 + i * RING_SIZE);
}

static struct nm_desc *make_port(void)
{
	size_t size = (BUF_AREA + (2 + 2 * RINGS * SLOTS) * BUF_SIZE + 127) / 128 * 128;
	struct nm_desc *d = calloc(1, sizeof(*d));
	struct netmap_if *nifp = aligned_alloc(128, size);
	unsigned int i, k;

	assert_non_null(d);
	assert_non_null(nifp);
	memset(nifp, 0, size);
	nifp->ni_tx_rings = nifp->ni_rx_rings = RINGS;
	nifp->ni_host_tx_rings = nifp->ni_host_rx_rings = 1;
	for (i = 0; i < 2 * RINGS; i++) {
		struct netmap_ring *ring = ring_at(nifp, i);

		ring->num_slots = SLOTS;
		ring->nr_buf_size = BUF_SIZE;
		ring->buf_ofs = (char *)nifp + BUF_AREA - (char *)ring;
		ring->tail = i < RINGS ? SLOTS - 1 : 0;
		for (k = 0; k < SLOTS; k++)
			ring->slot[k].buf_idx = 2 + i * SLOTS + k;
		nifp->ring_ofs[i < RINGS ? i : i + 1] = (char *)ring - (char *)nifp;
	}
	d->self = d;
	d->fd = -1;
	d->nifp = nifp;
	d->last_tx_ring = d->last_rx_ring = RINGS - 1;
	return d;
}

static void free_port(struct nm_desc *d)
{
	free(d->nifp);
	assert_int_equal(nm_close(d), 0);
}

/* A packet of len bytes, all of them mark, at the end of an RX ring. */
static void arrive(struct nm_desc *d, unsigned int r, uint32_t len, uint8_t mark)
{
	struct netmap_ring *ring = NETMAP_RXRING(d->nifp, r);

	for (;;) {
		struct netmap_slot *slot = &ring->slot[ring->tail];

		slot->len = (uint16_t)(len < BUF_SIZE ? len : BUF_SIZE);
		memset(NETMAP_BUF(ring, slot->buf_idx), mark, slot->len);
		len -= slot->len;
		slot->flags = len ? NS_MOREFRAG : 0;
		ring->tail = nm_ring_next(ring, ring->tail);
		if (!len)
			return;
	}
}

struct seen {
	unsigned int n;
	struct nm_pkthdr hdr[16];
	uint8_t mark[16];
};

static void see(u_char *arg, const struct nm_pkthdr *h, const u_char *data)
{
	struct seen *s = (void *)arg;

	s->hdr[s->n] = *h;
	s->mark[s->n++] = data[0];
}

static void dispatch(void **state)
{
	struct nm_desc *d = make_port();
	struct seen s = {0};

	(void)state;
	assert_int_equal(nm_dispatch(d, 0, see, (u_char *)&s), 0);
	assert_int_equal(s.n, 0);
	arrive(d, 0, 10, 'a');
	arrive(d, 0, 2 * BUF_SIZE + 5, 'b');
	arrive(d, 1, 20, 'c');
	assert_int_equal(nm_dispatch(d, -1, see, (u_char *)&s), 3);
	assert_int_equal(s.n, 3);
	assert_memory_equal(s.mark, "abc", 3);
	assert_int_equal(s.hdr[0].len, 10);
	assert_int_equal(s.hdr[0].caplen, 10);
	assert_int_equal(s.hdr[1].len, 2 * BUF_SIZE + 5);
	assert_int_equal(s.hdr[1].caplen, 2 * BUF_SIZE + 5); /* neighbours in memory */
	assert_int_equal(s.hdr[0].flags, NM_MORE_PKTS);
	assert_int_equal(s.hdr[1].flags, NM_MORE_PKTS);
	assert_int_equal(s.hdr[2].flags, 0);
	assert_ptr_equal(s.hdr[2].d, d);
	assert_int_equal(NETMAP_RXRING(d->nifp, 0)->head, 4);
	assert_int_equal(NETMAP_RXRING(d->nifp, 0)->cur, 4);

	/* no more than asked for; the rest next time */
	memset(&s, 0, sizeof(s));
	arrive(d, 0, 1, 'd');
	arrive(d, 0, 1, 'e');
	arrive(d, 1, 1, 'f');
	assert_int_equal(nm_dispatch(d, 2, see, (u_char *)&s), 2);
	assert_int_equal(s.hdr[1].flags, 0);
	assert_int_equal(nm_dispatch(d, 2, see, (u_char *)&s), 1);
	assert_memory_equal(s.mark, "def", 3);

	/* a packet whose buffers are apart: caplen stops where they part */
	memset(&s, 0, sizeof(s));
	NETMAP_RXRING(d->nifp, 0)->slot[7].buf_idx = 2;
	arrive(d, 0, BUF_SIZE + 1, 'g');
	assert_int_equal(nm_dispatch(d, 0, see, (u_char *)&s), 1);
	assert_int_equal(s.hdr[0].len, BUF_SIZE + 1);
	assert_int_equal(s.hdr[0].caplen, BUF_SIZE);
	free_port(d);
}

static void next_packet(void **state)
{
	struct nm_desc *d = make_port();
	struct nm_pkthdr h;
	u_char *data;

	(void)state;
	assert_null(nm_nextpkt(d, &h));
	arrive(d, 1, 33, 'x');
	arrive(d, 0, 44, 'y');
	data = nm_nextpkt(d, &h);
	assert_non_null(data);
	assert_int_equal(data[0], 'y');
	assert_int_equal(h.len, 44);
	assert_ptr_equal(h.buf, data);
	data = nm_nextpkt(d, &h);
	assert_non_null(data);
	assert_int_equal(data[0], 'x');
	assert_null(nm_nextpkt(d, &h));
	free_port(d);
}

static void inject(void **state)
{
	struct nm_desc *d = make_port();
	char frame[3 * BUF_SIZE];
	struct netmap_ring *ring;
	int i;

	(void)state;
	memset(frame, 'z', sizeof(frame));
	assert_int_equal(nm_inject(d, frame, sizeof(frame)), sizeof(frame));
	ring = NETMAP_TXRING(d->nifp, 0);
	assert_int_equal(ring->head, 3);
	assert_int_equal(ring->slot[1].flags, NS_MOREFRAG);
	assert_int_equal(ring->slot[2].flags, 0);
	assert_int_equal(ring->slot[2].len, BUF_SIZE);
	assert_int_equal(nm_tx_pending(ring), 1);
	/* 4 + 7 slots are left */
	assert_int_equal(nm_inject(d, frame, 2 * BUF_SIZE), 2 * BUF_SIZE);
	assert_int_equal(nm_inject(d, frame, sizeof(frame)), sizeof(frame)); /* the other ring */
	assert_int_equal(NETMAP_TXRING(d->nifp, 1)->head, 3);
	for (i = 0; i < 6; i++)
		assert_int_equal(nm_inject(d, frame, 1), 1);
	assert_int_equal(nm_inject(d, frame, 1), 0);
	assert_int_equal(nm_ring_space(NETMAP_TXRING(d->nifp, 0)), 0);
	assert_int_equal(nm_ring_space(NETMAP_TXRING(d->nifp, 1)), 0);
	free_port(d);
}

/* slot.len has 16 bits, which is one too few for what a buffer of 65536 bytes can hold. */
static void inject_fills_the_largest_buffers(void **state)
{
	const uint32_t huge = 65536;
	struct nm_desc *d = make_port();
	struct netmap_ring *ring = NETMAP_TXRING(d->nifp, 0);
	char *buffers = calloc(SLOTS, huge), *frame = calloc(1, huge);
	uint32_t i;

	(void)state;
	assert_non_null(buffers);
	assert_non_null(frame);
	frame[huge - 1] = 'z';
	ring->nr_buf_size = huge;
	ring->buf_ofs = buffers - (char *)ring;
	for (i = 0; i < SLOTS; i++)
		ring->slot[i].buf_idx = i;
	assert_int_equal(nm_inject(d, frame, huge), huge);
	assert_int_equal(ring->head, 2);
	assert_int_equal(ring->slot[0].len, 65535);
	assert_int_equal(ring->slot[0].flags, NS_MOREFRAG);
	assert_int_equal(ring->slot[1].len, 1);
	assert_int_equal(buffers[huge], 'z');
	/* one slot's room is not enough for it */
	ring->tail = 3;
	d->last_tx_ring = 0;
	assert_int_equal(nm_inject(d, frame, huge), 0);
	assert_int_equal(nm_inject(d, frame, huge - 1), huge - 1);
	free_port(d);
	free(buffers);
	free(frame);
}

static void unbound_rings_are_left_alone(void **state)
{
	struct nm_desc *d = make_port();
	struct seen s = {0};
	struct nm_pkthdr h;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2 * RINGS + 2; i++)
		d->nifp->ring_ofs[i] = 0;
	assert_int_equal(nm_dispatch(d, 0, see, (u_char *)&s), 0);
	assert_null(nm_nextpkt(d, &h));
	assert_int_equal(nm_inject(d, "x", 1), 0);
	free_port(d);
}

static void macros(void **state)
{
	struct nm_desc *d = make_port();
	struct netmap_ring *ring = NETMAP_TXRING(d->nifp, 1);
	struct netmap_slot *slot = &ring->slot[3];

	(void)state;
	assert_int_equal(NETMAP_BUF_IDX(ring, NETMAP_BUF(ring, 13)), 13);
	assert_ptr_equal(NETMAP_RXRING(d->nifp, 1), ring_at(d->nifp, 3));
	slot->ptr = 0xff00;
	NETMAP_WOFFSET(ring, slot, 5); /* no offsets: no bit may change */
	assert_int_equal(slot->ptr, 0xff00);
	ring->offset_mask = 0xff;
	NETMAP_WOFFSET(ring, slot, 5);
	assert_int_equal(slot->ptr, 0xff05);
	assert_int_equal(NETMAP_ROFFSET(ring, slot), 5);
	assert_ptr_equal(NETMAP_BUF_OFFSET(ring, slot), NETMAP_BUF(ring, slot->buf_idx) + 5);
	assert_int_equal(nm_ring_next(ring, SLOTS - 1), 0);
	ring->head = 6;
	ring->tail = 1;
	assert_int_equal(nm_ring_space(ring), 3);
	free_port(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(what_is_no_port_is_not_opened),
		cmocka_unit_test(ring_ranges),
		cmocka_unit_test(dispatch),
		cmocka_unit_test(next_packet),
		cmocka_unit_test(inject),
		cmocka_unit_test(inject_fills_the_largest_buffers),
		cmocka_unit_test(unbound_rings_are_left_alone),
		cmocka_unit_test(macros),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
