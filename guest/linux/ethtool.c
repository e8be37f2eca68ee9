// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * ethtool's view of the interface: identity, rings, channels, statistics, link.
 */
#include <linux/ethtool.h>

#include "ptnet.h"

/* In the order of enum ptnet_ring_stat. */
static const char *const ptnet_stat_names[] = {
	"packets",	    "bytes",	    "dropped",	    "bad_packets",   "stops",  "kicks",
	"kicks_suppressed", "netmap_syncs", "netmap_slots", "netmap_resets", "faults",
};
static_assert(ARRAY_SIZE(ptnet_stat_names) == PTNET_STAT_COUNT);

/* Each ring: the above, then its interrupts. */
#define PTNET_STATS_PER_RING (PTNET_STAT_COUNT + 1)

static void ptnet_get_drvinfo(struct net_device *netdev, struct ethtool_drvinfo *info)
{
	const struct ptnet_port *port = ptnet_netdev_port(netdev);

	strscpy(info->driver, PTNET_DRIVER_NAME, sizeof(info->driver));
	strscpy(info->version, PTNET_DRIVER_VERSION, sizeof(info->version));
	strscpy(info->bus_info, pci_name(port->pdev), sizeof(info->bus_info));
}

/* The host decides about the size; there is nothing to be set. */
static void ptnet_get_ringparam(struct net_device *netdev, struct ethtool_ringparam *param,
				struct kernel_ethtool_ringparam *kernel_param,
				struct netlink_ext_ack *extack)
{
	const struct ptnet_port *port = ptnet_netdev_port(netdev);

	param->rx_max_pending = port->num_slots[PTNET_RX];
	param->tx_max_pending = port->num_slots[PTNET_TX];
	param->rx_pending = param->rx_max_pending;
	param->tx_pending = param->tx_max_pending;
}

static void ptnet_get_channels(struct net_device *netdev, struct ethtool_channels *channels)
{
	const struct ptnet_port *port = ptnet_netdev_port(netdev);

	channels->max_combined = port->num_queues;
	channels->combined_count = port->num_queues;
}

static int ptnet_get_sset_count(struct net_device *netdev, int sset)
{
	const struct ptnet_port *port = ptnet_netdev_port(netdev);

	if (sset != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return (port->num_rings[PTNET_TX] + port->num_rings[PTNET_RX]) * PTNET_STATS_PER_RING;
}

static void ptnet_get_strings(struct net_device *netdev, u32 sset, u8 *data)
{
	const struct ptnet_port *port = ptnet_netdev_port(netdev);
	enum ptnet_ring_dir dir;
	unsigned int i, stat;
	u8 *p = data;

	if (sset != ETH_SS_STATS)
		return;
	for (dir = PTNET_TX; dir < PTNET_DIRS; dir++) {
		for (i = 0; i < port->num_rings[dir]; i++) {
			for (stat = 0; stat < PTNET_STAT_COUNT; stat++)
				ethtool_sprintf(&p, "%s%u_%s", ptnet_dir_name(dir), i,
						ptnet_stat_names[stat]);
			ethtool_sprintf(&p, "%s%u_interrupts", ptnet_dir_name(dir), i);
		}
	}
}

static void ptnet_get_ring_stats(const struct ptnet_ring *ring, u64 *data)
{
	unsigned int start, stat;

	do {
		start = u64_stats_fetch_begin(&ring->stats_sync);
		for (stat = 0; stat < PTNET_STAT_COUNT; stat++)
			data[stat] = u64_stats_read(&ring->stats[stat]);
	} while (u64_stats_fetch_retry(&ring->stats_sync, start));
	data[PTNET_STAT_COUNT] = READ_ONCE(ring->interrupts);
}

static void ptnet_get_ethtool_stats(struct net_device *netdev, struct ethtool_stats *stats,
				    u64 *data)
{
	const struct ptnet_port *port = ptnet_netdev_port(netdev);
	enum ptnet_ring_dir dir;
	unsigned int i;

	for (dir = PTNET_TX; dir < PTNET_DIRS; dir++) {
		for (i = 0; i < port->num_rings[dir]; i++) {
			ptnet_get_ring_stats(&port->rings[dir][i], data);
			data += PTNET_STATS_PER_RING;
		}
	}
}

/* Also brings the carrier up to date, as nothing tells us when the link goes down. */
static u32 ptnet_get_link(struct net_device *netdev)
{
	struct ptnet_port *port = ptnet_netdev_port(netdev);

	mutex_lock(&port->lock);
	ptnet_netdev_check_link(port);
	mutex_unlock(&port->lock);
	return ethtool_op_get_link(netdev);
}

/* Memory has no line rate; 10 Gb/s is what other drivers of this device report. */
static int ptnet_get_link_ksettings(struct net_device *netdev, struct ethtool_link_ksettings *cmd)
{
	ethtool_link_ksettings_zero_link_mode(cmd, supported);
	ethtool_link_ksettings_zero_link_mode(cmd, advertising);
	cmd->base.speed = netif_carrier_ok(netdev) ? SPEED_10000 : SPEED_UNKNOWN;
	cmd->base.duplex = netif_carrier_ok(netdev) ? DUPLEX_FULL : DUPLEX_UNKNOWN;
	cmd->base.port = PORT_OTHER;
	cmd->base.autoneg = AUTONEG_DISABLE;
	return 0;
}

const struct ethtool_ops ptnet_ethtool_ops = {
	.get_drvinfo = ptnet_get_drvinfo,
	.get_link = ptnet_get_link,
	.get_link_ksettings = ptnet_get_link_ksettings,
	.get_ringparam = ptnet_get_ringparam,
	.get_channels = ptnet_get_channels,
	.get_sset_count = ptnet_get_sset_count,
	.get_strings = ptnet_get_strings,
	.get_ethtool_stats = ptnet_get_ethtool_stats,
	.get_ts_info = ethtool_op_get_ts_info,
};
