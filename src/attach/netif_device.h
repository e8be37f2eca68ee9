/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ptnet function: a port's registers, kicks and interrupts for a VM
 * (spec/ptnet-device.md section 4). One per connection; all functions run on the
 * worker that serves it.
 *
 * Two things make rings run: the guest said CREATE (state.created), and the
 * device can reach the CSB (it is in the region; or in guest RAM that is shared
 * and mapped by the client, and bus mastering is on). Only when both hold is the
 * endpoint started. If the second is lost, by DMA_UNMAP or by clearing the bus
 * master bit, the endpoint is stopped before the client gets its reply; if it
 * comes back, the endpoint is started again on the same CSB, because the driver,
 * whose PCI core did this, has been told nothing and will not say CREATE again.
 */
#ifndef PTNET_ATTACH_NETIF_DEVICE_H
#define PTNET_ATTACH_NETIF_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "attach/csb_map.h"
#include "attach/dma_table.h"
#include "attach/pci_config.h"
#include "attach/vfio_user_server.h"

struct port;

/*
 * All that the guest has negotiated, in one plain structure without pointers:
 * with the descriptors (DMA files, eventfds) and the port's rings it is what a new
 * daemon needs to take over.
 */
struct netif_state {
	struct pci_config config;
	uint32_t features;    /* PTFEAT: acknowledged */
	uint32_t ptctl;	      /* result of the last command */
	uint32_t csb_gh_high; /* as written, in force with the next write of a low half */
	uint32_t csb_hg_high;
	uint64_t csb_gh; /* guest-physical addresses in force; 0: none */
	uint64_t csb_hg;
	bool created;
	bool csb_in_region; /* of the rings that were created */
};

struct netif_device {
	struct vfio_user_function function; /* first */
	struct port *port;
	struct vfio_user_counters *counters;
	struct pci_config_layout layout;
	struct netif_state state;
	bool started; /* the endpoint is, by us */
	struct dma_table dma;
	struct csb_map gh, hg; /* mapped while started and not in the region */
	int lost_eventfd;      /* written when the CSB's memory went away */
	bool lost; /* it did, and was reported: both arrays may go, one after the other */
};

/* All else must outlive it. Negative errno if there is no eventfd left. */
int netif_device_init(struct netif_device *device, struct port *port,
		      struct vfio_user_counters *counters, struct closer *closer);

/* The VM is gone: stops and resets the port, lets go of everything. */
void netif_device_fini(struct netif_device *device);

/* To be called when lost_eventfd is readable. */
void netif_device_csb_lost(struct netif_device *device);

#endif
