/* SPDX-License-Identifier: BSD-2-Clause */
/* Sections E and F: VALE ports, ephemeral and persistent, and polling. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conformance.h"

#define PORTS 3

static char *full_name(const char *on_switch, const char *port)
{
	char *name = NULL;

	need(asprintf(&name, "%s:%s", on_switch, port) > 0, "memory");
	return name;
}

/* Whether a port of that name is on a switch. */
static bool is_listed(const char *name)
{
	struct nmreq_vale_list list = {0};

	return request_once(name, NETMAP_REQ_VALE_LIST, &list) == 0 && list.nr_port_idx != 255;
}

/* ---- attach and detach ---- */

static void check_attach_detach(uint32_t mode)
{
	struct nmreq_vale_attach attach = {.reg.nr_mode = mode}, asked = attach;
	struct nmreq_vale_detach detach = {.port_index = 12345};
	char *name, host[64];

	need(new_port(own("c~n"), 0, 0) == 0, "NEWIF");
	name = full_name(own("vale~"), own("c~n"));
	check_call("ATTACH", 0, request_once(name, NETMAP_REQ_VALE_ATTACH, &attach));
	check_equal("memory id as asked for or a region's own", 1,
		    attach.reg.nr_mem_id == 0 || attach.reg.nr_mem_id > 1);
	check_equal("the flags are echoed", (long long)asked.reg.nr_flags,
		    (long long)attach.reg.nr_flags);
	check_equal("the mode is echoed", mode, attach.reg.nr_mode);
	check_equal("it is on the switch", 1, is_listed(name));
	snprintf(host, sizeof(host), "%s^", name);
	check_equal("it has no host side", 0, is_listed(host));
	check_call("DETACH", 0, request_once(name, NETMAP_REQ_VALE_DETACH, &detach));
	check_equal("of the index that it had", attach.port_index, detach.port_index);
	check_equal("it is not on the switch", 0, is_listed(name));
	check_call("DETACH again", ENXIO, detach_port(name, NULL));
	check_call("DELIF", 0, remove_port(own("c~n")));
}

static void attach_detach(void)
{
	struct nmreq_vale_attach attach = {.reg.nr_mode = NR_REG_ALL_NIC};

	check_attach_detach(NR_REG_ALL_NIC);
	check_call("ATTACH of no interface", EINVAL, attach_port(own("vale~:c~none"), NULL));
	check_call("ATTACH to no switch", EINVAL, attach_port(own("c~n"), NULL));
	check_call("DETACH from no switch", EINVAL, detach_port(own("c~n"), NULL));
	attach.reg.nr_mem_id = 64999;
	check_call("ATTACH with an unknown memory id", EINVAL,
		   request_once(own("vale~:c~n"), NETMAP_REQ_VALE_ATTACH, &attach));
}

static void attach_nic_sw(void)
{
	check_attach_detach(NR_REG_NIC_SW);
}

static void header_length(void)
{
	static const uint32_t lengths[] = {12, 0, 10};
	const char *name = own("vale~:eph0");
	struct nmreq_port_hdr hdr = {0};
	int fd = open_netmap();
	struct nmreq_register reg;
	size_t i;

	need(bind_rings(fd, name, NR_REG_ALL_NIC, 0, 0, &reg) == 0, name);
	check_call("PORT_HDR_GET", 0, request(fd, name, NETMAP_REQ_PORT_HDR_GET, &hdr));
	check_equal("at first there is no header", 0, hdr.nr_hdr_len);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		hdr.nr_hdr_len = lengths[i];
		check_call("PORT_HDR_SET", 0, request(fd, name, NETMAP_REQ_PORT_HDR_SET, &hdr));
		check_equal("the length is echoed", lengths[i], hdr.nr_hdr_len);
		hdr.nr_hdr_len = 99;
		check_call("PORT_HDR_GET", 0, request(fd, name, NETMAP_REQ_PORT_HDR_GET, &hdr));
		check_equal("the length", lengths[i], hdr.nr_hdr_len);
	}
	close(fd);
}

static void newif_defaults(void)
{
	struct nmreq_vale_newif newif = {0};
	char *name = full_name(own("vale~"), own("c~n"));

	check_call("NEWIF", 0, request_once(own("c~n"), NETMAP_REQ_VALE_NEWIF, &newif));
	check_equal("TX slots", 1024, newif.nr_tx_slots);
	check_equal("RX slots", 1024, newif.nr_rx_slots);
	check_equal("TX rings", 1, newif.nr_tx_rings);
	check_equal("RX rings", 1, newif.nr_rx_rings);
	check_equal("memory id", 1, newif.nr_mem_id > 1);
	check_call("ATTACH", 0, attach_port(name, NULL));
	check_call("DETACH", 0, detach_port(name, NULL));
	check_call("DELIF", 0, remove_port(own("c~n")));
	check_call("DELIF again", ENXIO, remove_port(own("c~n")));
}

static void newif_twice(void)
{
	char *a = full_name(own("vale~a"), own("c~n")), *b = full_name(own("vale~b"), own("c~n"));

	check_call("NEWIF", 0, new_port(own("c~n"), 0, 0));
	check_call("NEWIF again", EEXIST, new_port(own("c~n"), 0, 0));
	check_call("ATTACH", 0, attach_port(a, NULL));
	check_call("NEWIF of an attached one", EEXIST, new_port(own("c~n"), 0, 0));
	check_call("ATTACH to a second switch", 0, attach_port(b, NULL));
	check_call("NEWIF of one attached twice", EEXIST, new_port(own("c~n"), 0, 0));
	check_call("DETACH", 0, detach_port(b, NULL));
	check_call("DETACH", 0, detach_port(a, NULL));
	check_call("DELIF", 0, remove_port(own("c~n")));
	check_call("NEWIF of a switch's name", EINVAL, new_port("valex", 0, 0));
	check_call("NEWIF of 16 characters", EINVAL, new_port("abcdefghijklmnop", 0, 0));
}

static void delif_order(void)
{
	char *a = full_name(own("vale~a"), own("c~n")), *b = full_name(own("vale~b"), own("c~n"));

	check_call("NEWIF", 0, new_port(own("c~n"), 0, 0));
	check_call("DELIF at once", 0, remove_port(own("c~n")));
	check_call("NEWIF", 0, new_port(own("c~n"), 0, 0));
	check_call("ATTACH", 0, attach_port(a, NULL));
	check_call("DELIF of an attached one", EBUSY, remove_port(own("c~n")));
	check_call("ATTACH to a second switch", 0, attach_port(b, NULL));
	check_call("DELIF of one attached twice", EBUSY, remove_port(own("c~n")));
	check_call("DETACH of the first attachment before the second", EBUSY, detach_port(a, NULL));
	check_call("DETACH of the second", 0, detach_port(b, NULL));
	check_call("DELIF of one still attached", EBUSY, remove_port(own("c~n")));
	check_call("DETACH of the first", 0, detach_port(a, NULL));
	check_call("DELIF", 0, remove_port(own("c~n")));
}

static void attach_twice(void)
{
	char *a = full_name(own("vale~a"), own("c~n")), *b = full_name(own("vale~b"), own("c~n"));

	check_call("NEWIF", 0, new_port(own("c~n"), 0, 0));
	check_call("ATTACH", 0, attach_port(a, NULL));
	check_call("ATTACH to the same switch", EBUSY, attach_port(a, NULL));
	check_call("ATTACH to another", 0, attach_port(b, NULL));
	check_call("DETACH", 0, detach_port(b, NULL));
	check_call("DETACH", 0, detach_port(a, NULL));
	check_call("DELIF", 0, remove_port(own("c~n")));
}

/* ---- three ports ---- */

struct three {
	struct bound port[PORTS];
	struct netmap_ring *tx[PORTS], *rx[PORTS];
	bool persistent;
	uint32_t numbers; /* of packets, so that no two are alike */
};

static void open_three(struct three *t, bool persistent, uint32_t extra_buffers)
{
	static const char *const names[PORTS] = {"c~x", "c~y", "c~z"};
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC, .nr_extra_bufs = extra_buffers};
	unsigned int i;

	*t = (struct three){.persistent = persistent};
	for (i = 0; i < PORTS; i++) {
		char *name = full_name(own("vale~"), own(names[i]));

		if (persistent) {
			need(new_port(own(names[i]), 0, 0) == 0, "NEWIF");
			need(attach_port(name, NULL) == 0, "ATTACH");
		}
		t->port[i] = bind_as(name, reg);
		t->tx[i] = NETMAP_TXRING(t->port[i].nifp, 0);
		t->rx[i] = NETMAP_RXRING(t->port[i].nifp, 0);
	}
}

static void close_three(struct three *t)
{
	static const char *const names[PORTS] = {"c~x", "c~y", "c~z"};
	unsigned int i;

	for (i = 0; i < PORTS; i++) {
		unbind(&t->port[i]);
		if (t->persistent) {
			check_call("DETACH", 0,
				   detach_port(full_name(own("vale~"), own(names[i])), NULL));
			check_call("DELIF", 0, remove_port(own(names[i])));
		}
	}
}

static void send_some(struct three *t, unsigned int from, struct mac to, unsigned int count,
		      size_t len)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		need(put_packet(t->tx[from], len, to, mac((uint8_t)from), t->numbers + i),
		     "room for the packets");
	check_call("NIOCTXSYNC", 0, tx_sync(&t->port[from]));
}

static void receive_some(struct three *t, unsigned int at, unsigned int from, struct mac to,
			 unsigned int count, size_t len)
{
	unsigned int i;

	check_arrived("packets received", &t->port[at], 0, count);
	for (i = 0; i < count; i++)
		check_packet("received", t->rx[at], len, to, mac((uint8_t)from), t->numbers + i);
}

static void check_broadcast(bool persistent)
{
	static const struct {
		unsigned int count;
		size_t len;
	} rounds[] = {{1, 60},	  {100, 60},  {10, 1514}, {1, 2048}, {1, 2049},
		      {10, 6000}, {33, 3000}, {100, 14},  {1, 65536}};
	static const unsigned int senders[] = {0, 1, 2, 0, 0};
	struct three t;
	size_t round, s;
	unsigned int i;

	open_three(&t, persistent, 0);
	for (round = 0; round < sizeof(rounds) / sizeof(rounds[0]); round++) {
		for (s = 0; s < sizeof(senders) / sizeof(senders[0]); s++) {
			unsigned int from = senders[s];

			send_some(&t, from, broadcast, rounds[round].count, rounds[round].len);
			for (i = 0; i < PORTS; i++) {
				if (i != from)
					receive_some(&t, i, from, broadcast, rounds[round].count,
						     rounds[round].len);
			}
			check_nothing("back to the sender", &t.port[from]);
			t.numbers += rounds[round].count;
		}
	}
	close_three(&t);
}

static void broadcast_ephemeral(void)
{
	check_broadcast(false);
}

static void broadcast_persistent(void)
{
	check_broadcast(true);
}

static void learning(void)
{
	struct three t;

	open_three(&t, false, 0);
	send_some(&t, 2, broadcast, 1, 60);
	receive_some(&t, 0, 2, broadcast, 1, 60);
	receive_some(&t, 1, 2, broadcast, 1, 60);
	t.numbers = 100;
	send_some(&t, 0, mac(2), 1, 60);
	receive_some(&t, 2, 0, mac(2), 1, 60);
	check_nothing("a known address reaches no other", &t.port[1]);
	check_nothing("nor the sender", &t.port[0]);
	t.numbers = 200;
	send_some(&t, 0, mac(77), 1, 60);
	receive_some(&t, 1, 0, mac(77), 1, 60);
	receive_some(&t, 2, 0, mac(77), 1, 60);
	close_three(&t);
}

static void receiver_reads_later(void)
{
	struct three t;
	unsigned int i;

	open_three(&t, false, 0);
	for (i = 0; i < 10; i++) {
		t.numbers = i * 10;
		send_some(&t, 0, broadcast, 10, 60 + i);
	}
	for (i = 0; i < 100; i++) {
		if (i == 0)
			check_arrived("all wait in the ring", &t.port[2], 0, 100);
		check_packet("received later", t.rx[2], 60 + i / 10, broadcast, mac(0), i);
	}
	close_three(&t);
}

static void nothing_pending(void)
{
	struct three t;
	unsigned int count;

	open_three(&t, false, 0);
	for (count = 1; count <= 1023; count = count * 3 + 1) {
		send_some(&t, 0, broadcast, count > 1023 ? 1023 : count, 60);
		check_equal("all of it was taken", t.tx[0]->head,
			    nm_ring_next(t.tx[0], t.tx[0]->tail));
	}
	send_some(&t, 0, broadcast, 1023, 60);
	check_equal("of a full ring, too", t.tx[0]->head, nm_ring_next(t.tx[0], t.tx[0]->tail));
	close_three(&t);
}

/* All packets are sent from buffers that no ring had. */
static void check_extra_buffers(bool persistent)
{
	enum { EXTRA = 12 };
	struct three t;
	unsigned int i;

	open_three(&t, persistent, EXTRA);
	check_equal("extra buffers", EXTRA, t.port[0].reg.nr_extra_bufs);
	put_extra_buffers(&t.port[0], EXTRA, NULL);
	check_call("NIOCTXSYNC", 0, tx_sync(&t.port[0]));
	for (i = 1; i < PORTS; i++) {
		unsigned int k;

		check_arrived("packets from extra buffers", &t.port[i], 0, EXTRA);
		for (k = 0; k < EXTRA; k++)
			check_packet("from extra buffers", t.rx[i], 200 + k, broadcast, mac(1), k);
	}
	for (i = 0; i < EXTRA; i++)
		check_equal("NS_BUF_CHANGED is cleared", 0,
			    t.tx[0]->slot[i].flags & NS_BUF_CHANGED);
	close_three(&t);
}

static void extra_buffers(void)
{
	check_extra_buffers(false);
	check_extra_buffers(true);
}

/* ---- F: polling ---- */

static int poll_with(const char *name, uint16_t type, struct nmreq_vale_polling polling,
		     bool *echoed)
{
	struct nmreq_vale_polling body = polling;
	int result = request_once(name, type, &body);

	if (echoed)
		*echoed = memcmp(&body, &polling, sizeof(body)) == 0;
	return result;
}

/*
 * Only a NIC of the host can be polled. What can be shown without is how requests are refused.
 */
static void polling(void)
{
	const struct nmreq_vale_polling one = {.nr_mode = NETMAP_POLLING_MODE_SINGLE_CPU,
					       .nr_num_polling_cpus = 1};
	char name[64];
	bool echoed;

	snprintf(name, sizeof(name), "%s:%s", ports_switch(), port_name);
	check_call("ENABLE for a port that is no NIC", EOPNOTSUPP,
		   poll_with(name, NETMAP_REQ_VALE_POLLING_ENABLE, one, &echoed));
	check_equal("the body is as it was", 1, echoed);
	check_call("DISABLE for a port that is no NIC", EOPNOTSUPP,
		   poll_with(name, NETMAP_REQ_VALE_POLLING_DISABLE, one, NULL));
	check_call("ENABLE for nobody", ENXIO,
		   poll_with(own("vale~:nobody"), NETMAP_REQ_VALE_POLLING_ENABLE, one, NULL));
	check_call("ENABLE without a switch", EINVAL,
		   poll_with(port_name, NETMAP_REQ_VALE_POLLING_ENABLE, one, NULL));
}

const struct test vale_tests[] = {
	{"E18-attach-detach", attach_detach, ON_HOST},
	{"E19-attach-nic-sw", attach_nic_sw, ON_HOST},
	{"E20-header-length", header_length, ON_HOST},
	{"E21-newif-defaults", newif_defaults, ON_HOST},
	{"E22-newif-twice", newif_twice, ON_HOST},
	{"E23-delif-order", delif_order, ON_HOST},
	{"E24-attach-twice", attach_twice, ON_HOST},
	{"E25-broadcast-ephemeral", broadcast_ephemeral, ON_HOST},
	{"E26-broadcast-persistent", broadcast_persistent, ON_HOST},
	{"E27-learning", learning, ON_HOST},
	{"E28-receiver-reads-later", receiver_reads_later, ON_HOST},
	{"E29-nothing-pending", nothing_pending, ON_HOST},
	{"E30-extra-buffers", extra_buffers, ON_HOST},
	{"F31-polling", polling, ON_HOST | WITH_PORTS},
	{NULL, NULL, 0},
};
