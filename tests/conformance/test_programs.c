/* SPDX-License-Identifier: BSD-2-Clause */
/* Section P: what programs rely on without the reference's tests checking it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"

/* Two ports on a switch: interfaces in a guest, ephemeral ones on the host. */
static const char *first_name(void)
{
	return in_guest ? port_name : own("vale~:a");
}

static const char *second_name(void)
{
	return in_guest ? peer_name : own("vale~:b");
}

static void put(const struct bound *b, uint32_t number)
{
	need(put_packet(NETMAP_TXRING(b->nifp, 0), 60, broadcast, mac(1), number), "room");
}

/* ---- poll ---- */

static void poll_in_sends(void)
{
	struct bound a = bind_and_map(first_name(), 0), b = bind_and_map(second_name(), 0);

	put(&a, 1);
	check_equal("poll for packets", 0, poll_now(a.fd, POLLIN, 0));
	check_equal("has sent what was pending", POLLIN, poll_now(b.fd, POLLIN, 10000));
	check_packet("received", NETMAP_RXRING(b.nifp, 0), 60, broadcast, mac(1), 1);
	put(&a, 2);
	check_equal("poll for nothing", 0, poll_now(a.fd, 0, 0));
	check_equal("has sent what was pending", POLLIN, poll_now(b.fd, POLLIN, 10000));
	check_packet("received", NETMAP_RXRING(b.nifp, 0), 60, broadcast, mac(1), 2);
	unbind(&a);
	unbind(&b);
}

static void no_tx_poll(void)
{
	struct bound a = bind_and_map(first_name(), NR_NO_TX_POLL);
	struct bound b = bind_and_map(second_name(), 0);

	put(&a, 1);
	check_equal("poll for packets", 0, poll_now(a.fd, POLLIN, 20));
	check_nothing("sends nothing", &b);
	check_equal("poll for room", POLLOUT, poll_now(a.fd, POLLOUT, 10000));
	check_arrived("does", &b, 0, 1);
	check_packet("received", NETMAP_RXRING(b.nifp, 0), 60, broadcast, mac(1), 1);
	unbind(&a);
	unbind(&b);
}

static void poll_errors(void)
{
	struct bound a = bind_and_map(first_name(), 0);
	struct netmap_ring *tx = NETMAP_TXRING(a.nifp, 0), *rx = NETMAP_RXRING(a.nifp, 0);
	int fd = open_netmap();

	check_equal("not bound", POLLERR, poll_now(fd, POLLIN | POLLOUT, -1));
	check_equal("not bound, asked for nothing", POLLERR, poll_now(fd, 0, -1));
	close(fd);
	rx->head = rx->cur = nm_ring_next(rx, rx->tail);
	check_equal("RX head beyond tail", POLLERR, poll_now(a.fd, POLLIN, 1000) & POLLERR);
	check_equal("and all is well again", 0, poll_now(a.fd, POLLIN, 20));
	tx->head = tx->cur = tx->num_slots;
	check_equal("TX head beyond the ring", POLLERR, poll_now(a.fd, POLLOUT, 1000) & POLLERR);
	check_equal("and all is well again", POLLOUT, poll_now(a.fd, POLLOUT, 1000));
	unbind(&a);
}

/* A sender that sets cur to tail waits for more room than it has. */
static void wants_more_room(int channel)
{
	struct bound a = bind_and_map(own("c~w{1"), 0);
	struct netmap_ring *tx = NETMAP_TXRING(a.nifp, 0);
	uint32_t room, i;

	for (i = 0; i < tx->num_slots - 10; i++)
		put(&a, i);
	check_call("NIOCTXSYNC", 0, tx_sync(&a));
	room = nm_ring_space(tx);
	tx->cur = tx->tail;
	check_equal("no more room", 0, poll_now(a.fd, POLLOUT, 20));
	tell(channel, 'w');
	check_equal("more room, sometime", POLLOUT, poll_now(a.fd, POLLOUT, -1));
	check_equal("it is more", 1, nm_ring_space(tx) > room);
	check_equal("head has not moved", i, tx->head);
	unbind(&a);
}

static void cur_at_tail(void)
{
	const struct timespec moment = {.tv_nsec = 50000000};
	struct bound b = bind_and_map(own("c~w}1"), 0);
	struct netmap_ring *rx = NETMAP_RXRING(b.nifp, 0);
	struct child sender = start_child(wants_more_room);
	uint8_t bytes[MAX_PACKET];

	expect(sender.channel, 'w');
	nanosleep(&moment, NULL); /* that it sleeps is likely, and all the same if it doesn't */
	check_arrived("packets", &b, 0, rx->num_slots - 10);
	need(take_bytes(rx, bytes) == 60, "a packet");
	check_call("NIOCRXSYNC", 0, rx_sync(&b));
	end_child(&sender, "the sender");
	unbind(&b);

	/* The same in the other direction: cur past all packets waits for another. */
	{
		struct bound c = bind_and_map(own("vale~:c"), 0),
			     d = bind_and_map(own("vale~:d"), 0);

		rx = NETMAP_RXRING(d.nifp, 0);
		put(&c, 1);
		check_call("NIOCTXSYNC", 0, tx_sync(&c));
		check_equal("a packet", POLLIN, poll_now(d.fd, POLLIN, 10000));
		rx->cur = rx->tail;
		check_equal("no second one", 0, poll_now(d.fd, POLLIN, 20));
		put(&c, 2);
		check_call("NIOCTXSYNC", 0, tx_sync(&c));
		check_equal("a second one", POLLIN, poll_now(d.fd, POLLIN, 10000));
		check_equal("the first is still there", 2, nm_ring_space(rx));
		unbind(&c);
		unbind(&d);
	}
}

/* ---- partial binds ---- */

static unsigned int bound_rings(const struct netmap_if *nifp, bool rx)
{
	unsigned int tx_total = nifp->ni_tx_rings + nifp->ni_host_tx_rings, count = 0, i;
	unsigned int total = rx ? nifp->ni_rx_rings + nifp->ni_host_rx_rings : tx_total;

	for (i = 0; i < total; i++)
		count += nifp->ring_ofs[rx ? tx_total + i : i] != 0;
	return count;
}

static void zero_ring_offsets(void)
{
	struct bound b;

	b = bind_and_map(port_name, NR_TX_RINGS_ONLY);
	check_equal("TX only: TX rings", PORT_RINGS, bound_rings(b.nifp, false));
	check_equal("TX only: RX rings", 0, bound_rings(b.nifp, true));
	check_equal("TX only: an RX ring is where netmap_if is", 1,
		    (void *)NETMAP_RXRING(b.nifp, 0) == (void *)b.nifp);
	unbind(&b);
	b = bind_and_map(port_name, NR_RX_RINGS_ONLY);
	check_equal("RX only: TX rings", 0, bound_rings(b.nifp, false));
	check_equal("RX only: RX rings", PORT_RINGS, bound_rings(b.nifp, true));
	unbind(&b);
	b = bind_as(port_name, (struct nmreq_register){.nr_mode = NR_REG_ONE_NIC, .nr_ringid = 1});
	check_equal("one: TX rings", 1, bound_rings(b.nifp, false));
	check_equal("one: RX rings", 1, bound_rings(b.nifp, true));
	check_equal("one: the first is not there", 0, (long long)b.nifp->ring_ofs[0]);
	check_equal("one: the second is", 1, NETMAP_TXRING(b.nifp, 1)->ringid);
	unbind(&b);
	b = bind_as(port_name, (struct nmreq_register){.nr_mode = NR_REG_ONE_NIC,
						       .nr_ringid = 1,
						       .nr_flags = NR_RX_RINGS_ONLY});
	check_equal("one, RX only: TX rings", 0, bound_rings(b.nifp, false));
	check_equal("one, RX only: RX rings", 1, bound_rings(b.nifp, true));
	unbind(&b);
}

/* ---- memory ---- */

static void shared_memory(void)
{
	struct bound a = bind_and_map(own("vale~:a"), 0), b, c;
	struct netmap_ring *tx = NETMAP_TXRING(a.nifp, 0);
	struct netmap_ring *rx;

	b = bind_as(own("vale~:b"), (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC,
							    .nr_mem_id = a.reg.nr_mem_id});
	check_equal("a port in another's memory", a.reg.nr_mem_id, b.reg.nr_mem_id);
	check_equal("of the same size", (long long)a.reg.nr_memsize, (long long)b.reg.nr_memsize);
	c = bind_and_map(own("vale~:c"), 0);
	check_equal("one of its own has another", 1, c.reg.nr_mem_id != a.reg.nr_mem_id);
	/* What is written through one mapping is seen through the other. */
	memcpy(NETMAP_BUF(tx, tx->slot[3].buf_idx), "shared", 7);
	rx = NETMAP_RXRING(NETMAP_IF(a.memory, b.reg.nr_offset), 0);
	check_equal("b's ring through a's mapping", 1, rx->num_slots == 1024);
	check_equal("a's buffer through b's mapping", 0,
		    memcmp(NETMAP_BUF(NETMAP_TXRING(NETMAP_IF(b.memory, a.reg.nr_offset), 0),
				      tx->slot[3].buf_idx),
			   "shared", 7));
	put(&a, 7);
	check_call("NIOCTXSYNC", 0, tx_sync(&a));
	check_arrived("packets between them", &b, 0, 1);
	check_packet("received", NETMAP_RXRING(b.nifp, 0), 60, broadcast, mac(1), 7);
	check_call("an unknown memory id", EINVAL,
		   request_once(own("vale~:d"), NETMAP_REQ_REGISTER,
				&(struct nmreq_register){.nr_mode = NR_REG_ALL_NIC,
							 .nr_mem_id = 64999}));
	unbind(&a);
	/* The memory lives as long as a port is in it. */
	put(&b, 8);
	check_call("NIOCTXSYNC", 0, tx_sync(&b));
	check_arrived("packets", &c, 0, 2);
	unbind(&b);
	unbind(&c);
}

#define MANY 1000

static uint32_t next_buffer(const struct bound *b, uint32_t index)
{
	uint32_t next;

	memcpy(&next, NETMAP_BUF(NETMAP_TXRING(b->nifp, 0), index), sizeof(next));
	return next;
}

static unsigned int list_length(const struct bound *b)
{
	uint32_t index = b->nifp->ni_bufs_head;
	unsigned int count = 0;

	for (; index && count <= MANY; count++)
		index = next_buffer(b, index);
	return count;
}

static void set_next(const struct bound *b, uint32_t index, uint32_t next)
{
	memcpy(NETMAP_BUF(NETMAP_TXRING(b->nifp, 0), index), &next, sizeof(next));
}

/* However the list is left, the next user gets as many, and each buffer once. */
static void extra_buffer_list(void)
{
	struct nmreq_register wish = {.nr_mode = NR_REG_ALL_NIC, .nr_extra_bufs = MANY};
	/* Holds the memory, which would otherwise be made anew; its other ports come and go. */
	struct bound holder = bind_and_map(own("vale~:h"), 0), b;
	unsigned int round;

	wish.nr_mem_id = holder.reg.nr_mem_id;
	for (round = 0; round < 6; round++) {
		uint32_t head;

		b = bind_as(own("vale~:x"), wish);
		check_equal("extra buffers", MANY, b.reg.nr_extra_bufs);
		check_equal("in the list", MANY, list_length(&b));
		check_equal("the rings' are others", 1, buffers_are_distinct(&b));
		head = b.nifp->ni_bufs_head;
		switch (round) {
		case 0: /* as it was */
			break;
		case 1: /* a ring */
			set_next(&b, next_buffer(&b, head), head);
			break;
		case 2: /* lost */
			b.nifp->ni_bufs_head = 0;
			break;
		case 3: /* nonsense at the front */
			b.nifp->ni_bufs_head = 0xffffffff;
			break;
		case 4: /* nonsense in the middle */
			set_next(&b, head, 0x7fffffff);
			break;
		case 5: /* a buffer that a ring has */
			set_next(&b, head, NETMAP_TXRING(b.nifp, 0)->slot[1].buf_idx);
			break;
		}
		unbind(&b);
	}
	b = bind_as(own("vale~:x"), wish);
	check_equal("extra buffers at last", MANY, list_length(&b));
	check_equal("the rings' are others", 1, buffers_are_distinct(&b));
	check_equal("the holder's, too", 1, buffers_are_distinct(&holder));
	check_equal("none asked for, none given", 0, holder.nifp->ni_bufs_head);
	unbind(&b);
	unbind(&holder);
}

/* ---- pipes ---- */

/* All slots up to and with the one at the new tail hold what the reader gave back. */
static void slot_at_new_tail(void)
{
	struct bound a = bind_and_map(own("c~w{1"), 0), b = bind_and_map(own("c~w}1"), 0);
	struct netmap_ring *tx = NETMAP_TXRING(a.nifp, 0), *rx = NETMAP_RXRING(b.nifp, 0);
	uint32_t spare, given[8], old_tail, i;

	for (i = 0; i < 8; i++) {
		tx->slot[i].ptr = 1000 + i;
		given[i] = tx->slot[i].buf_idx;
		put(&a, i);
		tx->slot[i].ptr = 1000 + i;
	}
	check_call("NIOCTXSYNC", 0, tx_sync(&a));
	old_tail = tx->tail;
	check_arrived("packets", &b, 0, 8);
	/* The reader exchanges the buffers of slots 0 and 1, changes the length of 2, and keeps 5
	 * to 7. */
	spare = rx->slot[0].buf_idx;
	rx->slot[0].buf_idx = rx->slot[1].buf_idx;
	rx->slot[1].buf_idx = spare;
	rx->slot[0].flags = rx->slot[1].flags = NS_BUF_CHANGED;
	rx->slot[2].len = 99;
	rx->head = rx->cur = 5;
	check_call("NIOCRXSYNC", 0, rx_sync(&b));
	check_equal("tail does not move by itself", old_tail, tx->tail);
	check_call("NIOCTXSYNC", 0, tx_sync(&a));
	check_equal("tail", 4, tx->tail);
	check_equal("slot 0: the reader's buffer", given[1], tx->slot[0].buf_idx);
	check_equal("slot 1: the reader's buffer", given[0], tx->slot[1].buf_idx);
	check_equal("slot 0: the reader's flags", NS_BUF_CHANGED, tx->slot[0].flags);
	check_equal("slot 2: the reader's length", 99, tx->slot[2].len);
	for (i = 0; i < 5; i++)
		check_equal("ptr comes back", 1000 + i, (long long)tx->slot[i].ptr);
	check_equal("the slot at the new tail", given[4], tx->slot[4].buf_idx);
	check_equal("its length", 60, tx->slot[4].len);
	unbind(&a);
	unbind(&b);
}

static void pipe_reopen(void)
{
	struct bound a = bind_and_map(own("c~w{1"), 0), b = bind_and_map(own("c~w}1"), 0);
	struct netmap_ring *tx, *rx = NETMAP_RXRING(b.nifp, 0);
	unsigned int i;

	for (i = 0; i < 10; i++)
		put(&a, i);
	check_call("NIOCTXSYNC", 0, tx_sync(&a));
	check_arrived("packets", &b, 0, 10);
	for (i = 0; i < 4; i++)
		check_packet("received", rx, 60, broadcast, mac(1), i);
	check_call("NIOCRXSYNC", 0, rx_sync(&b));
	unbind(&b);
	check_equal("the remaining end: no error", POLLOUT, poll_now(a.fd, POLLOUT, 1000));
	for (i = 10; i < 20; i++)
		put(&a, i);
	check_call("NIOCTXSYNC", 0, tx_sync(&a));
	b = bind_and_map(own("c~w}1"), 0);
	rx = NETMAP_RXRING(b.nifp, 0);
	check_equal("positions go on", 4, rx->head);
	check_arrived("what was queued, and came since", &b, 0, 16);
	for (i = 4; i < 20; i++)
		check_packet("received", rx, 60, broadcast, mac(1), i);
	check_call("NIOCRXSYNC", 0, rx_sync(&b));
	/* The sender's end comes and goes as well. */
	unbind(&a);
	a = bind_and_map(own("c~w{1"), 0);
	tx = NETMAP_TXRING(a.nifp, 0);
	check_equal("positions go on", 20, tx->head);
	check_call("NIOCTXSYNC", 0, tx_sync(&a));
	check_equal("room", tx->num_slots - 1, nm_ring_space(tx));
	put(&a, 20);
	check_call("NIOCTXSYNC", 0, tx_sync(&a));
	check_arrived("one more", &b, 0, 1);
	check_packet("received", rx, 60, broadcast, mac(1), 20);
	put(&a, 21);
	check_call("NIOCTXSYNC", 0, tx_sync(&a));
	unbind(&a);
	unbind(&b);
	a = bind_and_map(own("c~w{1"), 0);
	b = bind_and_map(own("c~w}1"), 0);
	check_equal("both closed: a new pipe", 0, NETMAP_TXRING(a.nifp, 0)->head);
	check_nothing("with nothing in it", &b);
	unbind(&a);
	unbind(&b);
}

/* ---- virtio-net headers ---- */

static void set_header_length(const char *name, uint32_t length)
{
	struct nmreq_port_hdr hdr = {.nr_hdr_len = length};

	need(request_once(name, NETMAP_REQ_PORT_HDR_SET, &hdr) == 0, "PORT_HDR_SET");
}

static void header_conversion(void)
{
	static const uint32_t lengths[] = {0, 10, 12};
	struct bound a = bind_and_map(own("vale~:a"), NR_ACCEPT_VNET_HDR);
	struct bound b = bind_and_map(own("vale~:b"), NR_ACCEPT_VNET_HDR);
	uint8_t sent[256], got[MAX_PACKET], wanted[256];
	struct nmreq_register reg;
	int fd = open_netmap();
	size_t from, to;

	for (from = 0; from < 3; from++) {
		for (to = 0; to < 3; to++) {
			uint32_t in = lengths[from], out = lengths[to];

			set_header_length(own("vale~:a"), in);
			set_header_length(own("vale~:b"), out);
			memset(sent, 0, sizeof(sent));
			memset(wanted, 0, sizeof(wanted));
			make_packet(sent + in, 100, broadcast, mac(1), (uint32_t)(from * 3 + to));
			make_packet(wanted + out, 100, broadcast, mac(1),
				    (uint32_t)(from * 3 + to));
			if (in)
				sent[0] = 2; /* DATA_VALID */
			if (in && out)
				wanted[0] = 2;
			if (in == 12)
				sent[10] = 1; /* num_buffers */
			if (in == 12 && out == 12)
				wanted[10] = 1;
			need(put_bytes(NETMAP_TXRING(a.nifp, 0), sent, in + 100, 2048), "room");
			check_call("NIOCTXSYNC", 0, tx_sync(&a));
			check_arrived("packet", &b, 0, 1);
			check_equal("length", out + 100, take_bytes(NETMAP_RXRING(b.nifp, 0), got));
			check_equal("header and packet", 0, memcmp(got, wanted, out + 100));
		}
	}
	check_call("opening without NR_ACCEPT_VNET_HDR", EIO,
		   bind_rings(fd, own("vale~:b"), NR_REG_ALL_NIC, 0, 0, &reg));
	check_call("and with it", 0,
		   bind_rings(fd, own("vale~:b"), NR_REG_ALL_NIC, 0, NR_ACCEPT_VNET_HDR, &reg));
	close(fd);
	unbind(&a);
	unbind(&b);
}

static uint16_t checksum(const uint8_t *bytes, size_t len, uint32_t sum)
{
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	if (len & 1)
		sum += (uint32_t)bytes[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

/* Checksum of a TCP segment over IPv4, with its pseudo-header; 0 if it is right. */
static uint16_t tcp_check(const uint8_t *ip, size_t tcp_len)
{
	uint32_t sum = get16(ip + 12) + get16(ip + 14) + get16(ip + 16) + get16(ip + 18) + 6 +
		       (uint32_t)tcp_len;

	return checksum(ip + 20, tcp_len, sum);
}

#define TCP_DATA 8000

/* A large TCP frame goes to a port without headers as frames of 1514 bytes. */
static void segmentation(void)
{
	struct bound a = bind_and_map(own("vale~:a"), NR_ACCEPT_VNET_HDR);
	struct bound b = bind_and_map(own("vale~:b"), 0);
	static uint8_t sent[12 + 54 + TCP_DATA], got[MAX_PACKET];
	static const uint8_t addresses[] = {10, 0, 0, 1, 10, 0, 0, 2};
	uint8_t *ip = sent + 12 + 14, *tcp = ip + 20;
	unsigned int frames = (TCP_DATA + 1459) / 1460, i;
	size_t done = 0;

	set_header_length(own("vale~:a"), 12);
	sent[0] = 1;	      /* NEEDS_CSUM */
	sent[1] = 1;	      /* TCPv4 */
	sent[2] = 54;	      /* hdr_len */
	sent[4] = 1460 & 255; /* gso_size */
	sent[5] = 1460 >> 8;
	sent[6] = 34; /* csum_start */
	sent[8] = 16; /* csum_offset */
	memcpy(sent + 12, broadcast.bytes, 6);
	memcpy(sent + 18, mac(1).bytes, 6);
	put16(sent + 24, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, 40 + TCP_DATA);
	put16(ip + 4, 100); /* id */
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, addresses, sizeof(addresses));
	put16(tcp, 1234);
	put16(tcp + 2, 80);
	put16(tcp + 6, 5000); /* sequence number */
	tcp[12] = 0x50;
	tcp[13] = 0x19; /* ACK, PSH, FIN */
	put16(tcp + 14, 1000);
	for (i = 0; i < TCP_DATA; i++)
		tcp[20 + i] = (uint8_t)(i * 7 + i / 256);

	need(put_bytes(NETMAP_TXRING(a.nifp, 0), sent, sizeof(sent), 2048), "room");
	check_call("NIOCTXSYNC", 0, tx_sync(&a));
	check_arrived("frames", &b, 0, frames);
	for (i = 0; i < frames; i++) {
		ssize_t len = take_bytes(NETMAP_RXRING(b.nifp, 0), got);
		size_t data = (size_t)len - 54;
		const uint8_t *head = got + 14, *t = got + 34;

		if (len < 54 || len > 1514) {
			check_equal("a frame's length", 1514, len);
			return;
		}
		check_equal("addresses and type", 0, memcmp(got, sent + 12, 14));
		check_equal("IP length", len - 14, get16(head + 2));
		check_equal("IP id", 100 + i, get16(head + 4));
		check_equal("IP checksum", 0, checksum(head, 20, 0));
		check_equal("sequence number", 5000 + (long long)done, get32(t + 4));
		check_equal("flags", i == frames - 1 ? 0x19 : 0x10, t[13]);
		check_equal("TCP checksum", 0, tcp_check(head, 20 + data));
		check_equal("data", 0, memcmp(t + 20, tcp + 20 + done, data));
		done += data;
	}
	check_equal("all data", TCP_DATA, (long long)done);
	unbind(&a);
	unbind(&b);
}

/* ---- several users ---- */

static void shared_port(void)
{
	struct bound a = bind_and_map(first_name(), 0), again = bind_and_map(first_name(), 0);
	struct bound b = bind_and_map(second_name(), 0);
	struct netmap_ring *rx = NETMAP_RXRING(a.nifp, 0);

	if (!in_guest) /* there it lies in the port's memory, which the host has laid out */
		check_equal("each has a netmap_if of its own", 1,
			    a.reg.nr_offset != again.reg.nr_offset);
	check_equal("the rings are the same", 1,
		    (char *)rx - a.memory == (char *)NETMAP_RXRING(again.nifp, 0) - again.memory);
	put(&a, 1);
	put(&again, 2); /* behind the first */
	check_call("NIOCTXSYNC by one", 0, tx_sync(&a));
	check_arrived("sends for both", &b, 0, 2);
	check_packet("received", NETMAP_RXRING(b.nifp, 0), 60, broadcast, mac(1), 1);
	check_packet("received", NETMAP_RXRING(b.nifp, 0), 60, broadcast, mac(1), 2);
	put(&b, 3);
	check_call("NIOCTXSYNC", 0, tx_sync(&b));
	check_equal("a packet wakes one", POLLIN, poll_now(a.fd, POLLIN, 10000));
	check_equal("and the other", POLLIN, poll_now(again.fd, POLLIN, 10000));
	check_packet("received by one", NETMAP_RXRING(again.nifp, 0), 60, broadcast, mac(1), 3);
	check_equal("taken from the other", 0, poll_now(a.fd, POLLIN, 0));
	unbind(&a);
	put(&again, 4);
	check_call("NIOCTXSYNC by who remains", 0, tx_sync(&again));
	check_arrived("sends", &b, 0, 1);
	check_packet("received", NETMAP_RXRING(b.nifp, 0), 60, broadcast, mac(1), 4);
	unbind(&again);
	unbind(&b);
}

/* A monitor that loses packets: there are none to lose them. */
static void monitor_loss(void)
{
	struct bound a = bind_and_map(own("vale~:a"), 0);
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC,
				     .nr_flags = NR_MONITOR_RX | NR_MONITOR_TX,
				     .nr_rx_slots = 16};

	check_call("a monitor with a short ring", EOPNOTSUPP,
		   request_once(own("vale~:a"), NETMAP_REQ_REGISTER, &reg));
	unbind(&a);
}

/* Asleep in poll when it is killed, with a ring half filled. */
static void dies_holding_all(int channel)
{
	struct bound b = bind_and_map(first_name(), NR_EXCLUSIVE);

	put(&b, 1);
	NETMAP_TXRING(b.nifp, 0)->slot[5].buf_idx = 0;
	tell(channel, 'b');
	poll_now(b.fd, POLLIN, -1);
}

static void sleeps_with_inherited(int channel)
{
	expect(channel, 'q');
}

static void dup_and_fork(void)
{
	struct bound a = bind_and_map(first_name(), NR_EXCLUSIVE);
	struct bound b = bind_and_map(second_name(), 0);
	int copy = dup(a.fd), fd = open_netmap();
	struct nmreq_register reg;
	struct child child;

	need(copy >= 0, "dup");
	put(&a, 1);
	check_call("NIOCTXSYNC on a copy", 0, ioctl(copy, NIOCTXSYNC, NULL));
	check_arrived("sends", &b, 0, 1);
	check_packet("received", NETMAP_RXRING(b.nifp, 0), 60, broadcast, mac(1), 1);
	check_equal("poll on a copy", POLLOUT, poll_now(copy, POLLOUT, 1000));
	close(a.fd);
	check_call("a copy keeps it bound", EBUSY,
		   bind_rings(fd, first_name(), NR_REG_ALL_NIC, 0, 0, &reg));
	child = start_child(sleeps_with_inherited);
	close(copy);
	munmap(a.memory, a.reg.nr_memsize);
	check_call("a child keeps it bound", EBUSY,
		   bind_rings(fd, first_name(), NR_REG_ALL_NIC, 0, 0, &reg));
	tell(child.channel, 'q');
	end_child(&child, "the child");
	check_call("the last close frees it", 0,
		   bind_rings(fd, first_name(), NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, &reg));
	close(fd);
	unbind(&b);

	child = start_child(dies_holding_all);
	expect(child.channel, 'b');
	fd = open_netmap();
	check_call("a program has it", EBUSY,
		   bind_rings(fd, first_name(), NR_REG_ALL_NIC, 0, 0, &reg));
	kill_child(&child);
	check_call("it was killed", 0, bind_rings(fd, first_name(), NR_REG_ALL_NIC, 0, 0, &reg));
	a = (struct bound){.fd = fd, .reg = reg};
	map_bound(&a);
	check_equal("each slot has a buffer again", 1, buffers_are_distinct(&a));
	b = bind_and_map(second_name(), 0);
	check_nothing("what it had not sent is lost", &b);
	put(&a, 9);
	check_call("NIOCTXSYNC", 0, tx_sync(&a));
	check_arrived("all is well", &b, 0, 1);
	check_packet("received", NETMAP_RXRING(b.nifp, 0), 60, broadcast, mac(1), 9);
	unbind(&a);
	unbind(&b);
}

/* ---- requests ---- */

static void vale_list(void)
{
	static const char *const names[] = {"a", "b", "c"};
	struct nmreq_vale_list list = {0};
	const char *on = own("vale~:");
	struct nmreq_register reg;
	unsigned int found[3] = {0}, rounds = 0, i;
	int fds[3], fd = open_netmap();
	struct nmreq_header h;
	char name[64];

	for (i = 0; i < 3; i++) {
		fds[i] = open_netmap();
		snprintf(name, sizeof(name), "%s%s", on, names[i]);
		need(bind_rings(fds[i], name, NR_REG_ALL_NIC, 0, 0, &reg) == 0, name);
	}
	/* Others may have switches of theirs. */
	for (h = header("", NETMAP_REQ_VALE_LIST, &list); rounds < 10000; rounds++) {
		memset(h.nr_name, 0, sizeof(h.nr_name));
		if (ioctl(fd, NIOCCTRL, &h)) {
			check_call("the end of the list", ENOENT, -1);
			break;
		}
		for (i = 0; i < 3; i++) {
			snprintf(name, sizeof(name), "%s%s", on, names[i]);
			found[i] += strcmp(name, h.nr_name) == 0;
		}
		list.nr_port_idx++;
	}
	for (i = 0; i < 3; i++)
		check_equal("each is listed once", 1, found[i]);
	snprintf(name, sizeof(name), "%sb", on);
	check_call("by name", 0, request(fd, name, NETMAP_REQ_VALE_LIST, &list));
	check_equal("its index", 1, list.nr_port_idx);
	check_call("a switch", 0, request(fd, on, NETMAP_REQ_VALE_LIST, &list));
	check_equal("no such port on it", 255, list.nr_port_idx);
	check_call("not a switch's name", EINVAL, request(fd, "x", NETMAP_REQ_VALE_LIST, &list));
	for (i = 0; i < 3; i++)
		close(fds[i]);
	check_call("a switch goes with its last port", ENOENT,
		   request(fd, on, NETMAP_REQ_VALE_LIST, &list));
	close(fd);
}

static void port_hdr_errors(void)
{
	struct nmreq_port_hdr hdr = {.nr_hdr_len = 11};
	struct nmreq_register reg;
	int fd = open_netmap();
	const char *name = own("vale~:a");

	need(bind_rings(fd, name, NR_REG_ALL_NIC, 0, 0, &reg) == 0, name);
	check_call("SET of 11", EINVAL, request_once(name, NETMAP_REQ_PORT_HDR_SET, &hdr));
	hdr.nr_hdr_len = 12;
	check_call("SET of a port that isn't there", ENXIO,
		   request_once(own("vale~:b"), NETMAP_REQ_PORT_HDR_SET, &hdr));
	check_call("SET of an interface that isn't there", ENXIO,
		   request_once("nosuch0", NETMAP_REQ_PORT_HDR_SET, &hdr));
	check_call("SET of a pipe", ENXIO,
		   request_once(own("c~w{1"), NETMAP_REQ_PORT_HDR_SET, &hdr));
	check_call("GET of a port that isn't there", ENXIO,
		   request_once(own("vale~:b"), NETMAP_REQ_PORT_HDR_GET, &hdr));
	check_call("GET of an interface that isn't there", ENXIO,
		   request_once("nosuch0", NETMAP_REQ_PORT_HDR_GET, &hdr));
	check_call("GET of a pipe that isn't there", ENODEV,
		   request_once(own("c~w{1"), NETMAP_REQ_PORT_HDR_GET, &hdr));
	close(fd);
	fd = open_netmap();
	need(bind_rings(fd, own("c~w{1"), NR_REG_ALL_NIC, 0, 0, &reg) == 0, "a pipe");
	check_call("GET of a pipe", 0, request_once(own("c~w{1"), NETMAP_REQ_PORT_HDR_GET, &hdr));
	check_equal("which has none", 0, hdr.nr_hdr_len);
	close(fd);
}

/* ports.md section 1: accepted in syntax. */
static void pipe_of_a_pipe(void)
{
	struct bound outer = bind_and_map(own("c~w{1"), 0);
	struct bound a = bind_and_map(own("c~w{1{2"), 0), b = bind_and_map(own("c~w{1}2"), 0);

	check_equal("all in one memory", 1,
		    outer.reg.nr_mem_id == a.reg.nr_mem_id && a.reg.nr_mem_id == b.reg.nr_mem_id);
	put(&a, 1);
	check_call("NIOCTXSYNC", 0, tx_sync(&a));
	check_arrived("packets", &b, 0, 1);
	check_packet("received", NETMAP_RXRING(b.nifp, 0), 60, broadcast, mac(1), 1);
	unbind(&a);
	unbind(&b);
	unbind(&outer);
}

const struct test program_tests[] = {
	{"P1-poll-in-sends", poll_in_sends, EVERYWHERE | WITH_PORTS},
	{"P2-no-tx-poll", no_tx_poll, EVERYWHERE | WITH_PORTS},
	{"P3-poll-errors", poll_errors, EVERYWHERE | WITH_PORTS},
	{"P4-cur-at-tail", cur_at_tail, ON_HOST},
	{"P5-zero-ring-offsets", zero_ring_offsets, ON_HOST | WITH_PORTS},
	{"P6-shared-memory", shared_memory, ON_HOST},
	{"P7-extra-buffer-list", extra_buffer_list, ON_HOST},
	{"P8-slot-at-new-tail", slot_at_new_tail, ON_HOST},
	{"P9-header-conversion", header_conversion, ON_HOST},
	{"P10-segmentation", segmentation, ON_HOST},
	{"P11-shared-port", shared_port, EVERYWHERE | WITH_PORTS},
	{"P12-monitor-loss", monitor_loss, ON_HOST},
	{"P13-pipe-reopen", pipe_reopen, ON_HOST},
	{"P14-vale-list", vale_list, ON_HOST},
	{"P15-port-hdr-errors", port_hdr_errors, ON_HOST},
	{"P16-dup-fork-kill", dup_and_fork, EVERYWHERE | WITH_PORTS},
	{"P18-pipe-of-a-pipe", pipe_of_a_pipe, ON_HOST},
	{NULL, NULL, 0},
};
