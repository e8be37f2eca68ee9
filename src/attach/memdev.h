/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ptnetmap-memdev function: shows a memory region to a VM, as read-only
 * registers in BAR 0 and as memory in BAR 1 (spec/ptnet-device.md section 3).
 * One per connection; the worker that serves the connection.
 */
#ifndef PTNET_ATTACH_MEMDEV_H
#define PTNET_ATTACH_MEMDEV_H

#include <ptnet/registers.h>

#include "attach/pci_config.h"
#include "attach/vfio_user_server.h"

struct region;

struct memdev {
	struct vfio_user_function function; /* first */
	struct region *region;
	uint64_t memsize;
	uint32_t registers[PTNET_MDEV_IO_END / 4];
	struct pci_config_layout layout;
	struct pci_config config;
};

/* @region must outlive it. Nothing to undo. */
void memdev_init(struct memdev *memdev, struct region *region);

#endif
