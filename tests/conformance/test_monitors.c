/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Section H: monitors. Requests for them are answered as netmap answers a wrong one, and are
 * otherwise refused: nothing is copied to them yet.
 */
#include <errno.h>
#include <unistd.h>

#include "conformance.h"

/*
 * A monitor of @name with @flags: nobody has the port open, somebody has. What the port then
 * receives is as if nobody had asked.
 */
static void check_refused(const char *name, const char *sender, uint64_t flags)
{
	struct bound parent, other;
	struct nmreq_register reg;
	int fd = open_netmap();

	check_call("a monitor of a port that nobody has open", EINVAL,
		   bind_rings(fd, name, NR_REG_ALL_NIC, 0, flags, &reg));
	parent = bind_and_map(name, 0);
	other = bind_and_map(sender, 0);
	check_call("a monitor", EOPNOTSUPP, bind_rings(fd, name, NR_REG_ALL_NIC, 0, flags, &reg));
	need(put_packet(NETMAP_TXRING(other.nifp, 0), 60, broadcast, mac(1), 1), "room");
	check_call("NIOCTXSYNC", 0, tx_sync(&other));
	check_arrived("the port's packets", &parent, 0, 1);
	check_packet("the port receives", NETMAP_RXRING(parent.nifp, 0), 60, broadcast, mac(1), 1);
	check_call("the descriptor is still of use", 0,
		   bind_rings(fd, name, NR_REG_ALL_NIC, 0, 0, &reg));
	close(fd);
	unbind(&parent);
	unbind(&other);
}

static void check_three_parents(uint64_t flags)
{
	check_refused(own("vale~m:a"), own("vale~m:b"), flags);
	check_refused(own("c~p"), own("c~q"), flags);
	check_refused(own("c~w}1"), own("c~w{1"), flags);
}

static void copy_rx(void)
{
	check_three_parents(NR_MONITOR_RX);
}

static void copy_tx(void)
{
	check_three_parents(NR_MONITOR_TX);
}

static void zero_copy_received(void)
{
	check_three_parents(NR_ZCOPY_MON | NR_MONITOR_RX);
}

static void zero_copy_sent(void)
{
	check_refused(own("vale~m:a"), own("vale~m:b"), NR_ZCOPY_MON | NR_MONITOR_TX);
	check_refused(own("c~p"), own("c~q"), NR_ZCOPY_MON | NR_MONITOR_TX);
}

static void zero_copy_sent_pipe(void)
{
	check_refused(own("c~w{1"), own("c~w}1"), NR_ZCOPY_MON);
}

static void by_interface_name(void)
{
	char name[64];
	struct bound parent;
	struct nmreq_register reg;
	int fd = open_netmap();

	snprintf(name, sizeof(name), "%s:%s", ports_switch(), port_name);
	parent = bind_and_map(name, 0);
	check_call("a monitor by the interface's name", EOPNOTSUPP,
		   bind_rings(fd, port_name, NR_REG_ALL_NIC, 0, NR_MONITOR_RX, &reg));
	unbind(&parent);
	check_call("when the port was closed", EINVAL,
		   bind_rings(fd, port_name, NR_REG_ALL_NIC, 0, NR_MONITOR_RX, &reg));
	close(fd);
}

const struct test monitor_tests[] = {
	{"H39-monitor-copy-rx", copy_rx, ON_HOST | WITH_PORTS},
	{"H40-monitor-copy-tx", copy_tx, ON_HOST | WITH_PORTS},
	{"H41-monitor-zero-copy-received", zero_copy_received, ON_HOST | WITH_PORTS},
	{"H42-monitor-zero-copy-sent", zero_copy_sent, ON_HOST | WITH_PORTS},
	{"H43-monitor-zero-copy-sent-pipe", zero_copy_sent_pipe, ON_HOST},
	{"H44-monitor-by-interface", by_interface_name, ON_HOST | WITH_PORTS},
	{NULL, NULL, 0},
};
