/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "attach/netif_device.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ptnet/registers.h>

#include "engine/endpoint.h"
#include "port/pipe.h"
#include "port/port.h"
#include "ring/interrupt.h"

/* Positive: the server takes few of these in a row. */
#define EXPENSIVE 1

static struct netif_device *device_of(struct vfio_user_function *function)
{
	return (struct netif_device *)function;
}

static bool has_extension(const struct netif_device *device)
{
	return device->port->csb_index >= 0;
}

static uint32_t offered_features(const struct netif_device *device)
{
	return has_extension(device) ? PTNET_F_REGION_CSB : 0;
}

/* ---- reaching the CSB ---- */

#define MISSING_OPTION                                                                             \
	"start QEMU with '-object memory-backend-memfd,id=mem0,size=<RAM>,share=on "               \
	"-machine memory-backend=mem0', or use a guest driver that knows ptnetmap's extension"

/* Why there is nothing to map for @range; NULL: there is. */
static const char *range_unusable(const struct dma_range *range)
{
	if (range == NULL)
		return "not inside one range of the VM's RAM";
	if (!range->readable || !range->writable)
		return "in read-only memory";
	switch (range->file) {
	case DMA_NOT_SHARED:
		return "in RAM that QEMU does not share; " MISSING_OPTION;
	case DMA_NOT_MEMORY:
		return "in RAM that is neither memfd nor tmpfs nor hugetlbfs; " MISSING_OPTION;
	case DMA_NO_SLOT:
		return "in RAM of more files than the daemon keeps open for one VM";
	default:
		return NULL;
	}
}

static uint64_t array_size(const struct netif_device *device)
{
	return (uint64_t)port_num_rings(device->port) * sizeof(struct nm_csb_atok);
}

/* The array at @address lies in *range. NULL, or the reason why it can't be used. */
static const char *array_unusable(const struct netif_device *device, uint64_t address,
				  const struct dma_range **range)
{
	if (address % sizeof(struct nm_csb_atok) != 0)
		return "not a multiple of 64";
	*range = dma_table_find(&device->dma, address, array_size(device));
	return range_unusable(*range);
}

/* Finds the array at @address in guest RAM. 0, or -ENXIO and a line in the log. */
static int find_array(struct netif_device *device, const char *name, uint64_t address,
		      const struct dma_range **range)
{
	const char *reason = array_unusable(device, address, range);
	struct port *port = device->port;

	if (reason == NULL)
		return 0;
	vfio_user_count_error(device->counters, VFIO_USER_ERROR_CSB);
	log_limited(port->log_limit, LOG_LEVEL_WARNING,
		    "port %s: %s array of the CSB, %" PRIu64 " bytes at guest address 0x%" PRIx64
		    ", is %s",
		    port->name, name, array_size(device), address, reason);
	return -ENXIO;
}

static int map_array(struct netif_device *device, const char *name, uint64_t address,
		     struct csb_map *map)
{
	struct port *port = device->port;
	const struct dma_range *range;
	struct error error;
	int result;

	if (address == 0)
		return -ENXIO;
	result = find_array(device, name, address, &range);
	if (result < 0)
		return result;
	result = csb_map(map, dma_table_fd(&device->dma, range),
			 range->offset + (address - range->address), array_size(device),
			 device->lost_eventfd, &error);
	if (result < 0) {
		vfio_user_count_error(device->counters, VFIO_USER_ERROR_CSB);
		log_limited(port->log_limit, LOG_LEVEL_WARNING,
			    "port %s: %s array of the CSB at guest address 0x%" PRIx64 ": %s",
			    port->name, name, address, error.text);
		return -ENXIO;
	}
	return 0;
}

static void unmap_arrays(struct netif_device *device)
{
	csb_unmap(&device->gh);
	csb_unmap(&device->hg);
}

/* The CSB in guest RAM. 0 or -ENXIO. */
static int map_arrays(struct netif_device *device, struct endpoint_csb *csb)
{
	int result;

	if (!pci_config_bus_master(&device->state.config)) {
		log_limited(device->port->log_limit, LOG_LEVEL_WARNING,
			    "port %s: the guest wants rings but has not enabled bus mastering",
			    device->port->name);
		vfio_user_count_error(device->counters, VFIO_USER_ERROR_CSB);
		return -ENXIO;
	}
	result = map_array(device, "guest-to-host", device->state.csb_gh, &device->gh);
	if (result == 0)
		result = map_array(device, "host-to-guest", device->state.csb_hg, &device->hg);
	if (result < 0) {
		unmap_arrays(device);
		return result;
	}
	csb->atok = device->gh.array;
	csb->ktoa = device->hg.array;
	return 0;
}

/* ---- starting and stopping ---- */

/* Finds the CSB and begins with it. 0, or -ENXIO if it cannot be reached. */
static int start(struct netif_device *device,
		 void (*begin)(struct port *port, const struct endpoint_csb *csb))
{
	struct port *port = device->port;
	struct endpoint_csb csb = {.extension = device->state.csb_in_region};
	int result = 0;

	if (region_lost(port->region)) {
		log_limited(port->log_limit, LOG_LEVEL_WARNING,
			    "port %s: region %s has lost memory: delete the port and make it anew",
			    port->name, region_name(port->region));
		return -ENXIO;
	}
	if (csb.extension) {
		char *base = region_base(port->region);

		csb.atok = (struct nm_csb_atok *)(void *)(base + port->csb_gh_offset);
		csb.ktoa = (struct nm_csb_ktoa *)(void *)(base + port->csb_hg_offset);
	} else {
		result = map_arrays(device, &csb);
	}
	if (result < 0)
		return result;
	device->lost = false;
	begin(port, &csb);
	device->started = true;
	return 0;
}

/* When either returns nobody touches guest memory. */
static void stop(struct netif_device *device)
{
	endpoint_stop(device->port);
	device->started = false;
	unmap_arrays(device);
}

static void suspend(struct netif_device *device)
{
	endpoint_suspend(device->port);
	device->started = false;
	unmap_arrays(device);
}

/* What took the CSB away is over: see the top of netif_device.h. */
static void resume(struct netif_device *device)
{
	const struct dma_range *range;

	if (device->state.created && !device->started &&
	    pci_config_bus_master(&device->state.config) &&
	    array_unusable(device, device->state.csb_gh, &range) == NULL &&
	    array_unusable(device, device->state.csb_hg, &range) == NULL)
		start(device, endpoint_resume);
}

static int create(struct netif_device *device)
{
	int result;

	if (device->started)
		return 0; /* runs already: nothing changes */
	device->state.csb_in_region = (device->state.features & PTNET_F_REGION_CSB) != 0;
	result = start(device, endpoint_start);
	device->state.created = result == 0;
	return result;
}

/* Idempotent; sets the result that PTCTL shows. */
static void delete (struct netif_device *device)
{
	stop(device);
	device->state.created = false;
	device->state.ptctl = 0;
}

/* ---- registers ---- */

static uint32_t read_extension(const struct netif_device *device, uint64_t offset)
{
	struct port *port = device->port;
	bool pipe = port_is_pipe(port);

	if (!has_extension(device))
		return 0;
	switch (offset) {
	case PTNET_IO_EXT_CSB_GH_OFS_LO:
		return (uint32_t)port->csb_gh_offset;
	case PTNET_IO_EXT_CSB_GH_OFS_HI:
		return (uint32_t)(port->csb_gh_offset >> 32);
	case PTNET_IO_EXT_CSB_HG_OFS_LO:
		return (uint32_t)port->csb_hg_offset;
	case PTNET_IO_EXT_CSB_HG_OFS_HI:
		return (uint32_t)(port->csb_hg_offset >> 32);
	case PTNET_IO_EXT_MAX_FRAME:
		return port->max_frame;
	case PTNET_IO_EXT_LINK:
		return !pipe || pipe_peer(port) != NULL;
	case PTNET_IO_EXT_FLAGS:
		return PTNET_EXT_FLAG_DOORBELL | (pipe ? PTNET_EXT_FLAG_PIPE : 0);
	default:
		return 0;
	}
}

static uint32_t read_register(const struct netif_device *device, uint64_t offset)
{
	const struct netif_state *state = &device->state;
	const struct port *port = device->port;
	const uint8_t *mac = port->mac;

	switch (offset) {
	case PTNET_IO_PTFEAT:
		return state->features;
	case PTNET_IO_PTCTL:
		return state->ptctl;
	case PTNET_IO_MAC_LO:
		return (uint32_t)mac[2] << 24 | (uint32_t)mac[3] << 16 | (uint32_t)mac[4] << 8 |
		       mac[5];
	case PTNET_IO_MAC_HI:
		return (uint32_t)mac[0] << 8 | mac[1];
	case PTNET_IO_NIFP_OFS:
		return (uint32_t)port->nifp_offset;
	case PTNET_IO_NUM_TX_RINGS:
		return port->tx_rings;
	case PTNET_IO_NUM_RX_RINGS:
		return port->rx_rings;
	case PTNET_IO_NUM_TX_SLOTS:
		return port->tx_slots;
	case PTNET_IO_NUM_RX_SLOTS:
		return port->rx_slots;
	case PTNET_IO_VNET_HDR_LEN:
		return port->vnet_hdr_len;
	case PTNET_IO_HOSTMEMID:
		return region_id(port->region);
	case PTNET_IO_CSB_GH_BAH:
		return state->csb_gh_high;
	case PTNET_IO_CSB_GH_BAL:
		return (uint32_t)state->csb_gh;
	case PTNET_IO_CSB_HG_BAH:
		return state->csb_hg_high;
	case PTNET_IO_CSB_HG_BAL:
		return (uint32_t)state->csb_hg;
	default:
		return read_extension(device, offset);
	}
}

static int write_features(struct netif_device *device, uint32_t wanted)
{
	uint32_t features = wanted & offered_features(device);
	bool running = device->state.created;

	/* A driver that negotiates anew has just been loaded: its rings are not running. */
	if (features != device->state.features)
		delete (device);
	device->state.features = features;
	return running ? EXPENSIVE : 0;
}

static int write_command(struct netif_device *device, uint32_t command)
{
	switch (command) {
	case PTNET_PTCTL_CREATE:
		device->state.ptctl = (uint32_t)-create(device);
		break;
	case PTNET_PTCTL_DELETE:
		delete (device);
		break;
	default:
		device->state.ptctl = EINVAL;
		return 0;
	}
	return EXPENSIVE;
}

/*
 * An address takes effect with its low half: what ran on the old one stops, and
 * the next CREATE maps the new one. That it can be is found out here already,
 * so that the log has the reason when the driver is loaded.
 */
static int write_address(struct netif_device *device, const char *name, uint64_t *address,
			 uint32_t high, uint32_t low)
{
	const struct dma_range *range;
	bool running = device->state.created;

	delete (device);
	*address = (uint64_t)high << 32 | low;
	if (*address != 0)
		find_array(device, name, *address, &range);
	return running ? EXPENSIVE : 0;
}

/* Only 0 until ports carry headers: any other length leaves what was. */
static void write_vnet_hdr_len(struct port *port, uint32_t length)
{
	if (length == 0)
		port->vnet_hdr_len = 0;
}

static int write_register(struct netif_device *device, uint64_t offset, uint32_t value)
{
	struct netif_state *state = &device->state;

	switch (offset) {
	case PTNET_IO_PTFEAT:
		return write_features(device, value);
	case PTNET_IO_PTCTL:
		return write_command(device, value);
	case PTNET_IO_VNET_HDR_LEN:
		write_vnet_hdr_len(device->port, value);
		return 0;
	case PTNET_IO_CSB_GH_BAH:
		state->csb_gh_high = value;
		return 0;
	case PTNET_IO_CSB_GH_BAL:
		return write_address(device, "guest-to-host", &state->csb_gh, state->csb_gh_high,
				     value);
	case PTNET_IO_CSB_HG_BAH:
		state->csb_hg_high = value;
		return 0;
	case PTNET_IO_CSB_HG_BAL:
		return write_address(device, "host-to-guest", &state->csb_hg, state->csb_hg_high,
				     value);
	default:
		return 0;
	}
}

static int write_config(struct netif_device *device, uint64_t offset, uint32_t count,
			const uint8_t *data)
{
	bool before = pci_config_bus_master(&device->state.config);
	bool after;

	pci_config_write(&device->state.config, &device->layout, offset, count, data);
	after = pci_config_bus_master(&device->state.config);
	/* Without it we may not touch guest RAM; the region is not guest RAM. */
	if (before == after || device->state.csb_in_region || !device->state.created)
		return 0;
	if (after)
		resume(device);
	else
		suspend(device);
	return EXPENSIVE;
}

/* ---- the verbs ---- */

static int netif_region_read(struct vfio_user_function *function, uint32_t region, uint64_t offset,
			     uint32_t count, uint8_t *data)
{
	struct netif_device *device = device_of(function);

	if (region == VFIO_PCI_CONFIG_REGION_INDEX) {
		pci_config_read(&device->state.config, offset, count, data);
		return 0;
	}
	memset(data, 0, count); /* MSI-X: QEMU has the table, and nothing is ever pending */
	if (region == PTNET_BAR_IO && count == sizeof(uint32_t) && offset % sizeof(uint32_t) == 0) {
		uint32_t value = read_register(device, offset);

		memcpy(data, &value, sizeof(value));
	}
	return 0;
}

static int netif_region_write(struct vfio_user_function *function, uint32_t region, uint64_t offset,
			      uint32_t count, const uint8_t *data)
{
	struct netif_device *device = device_of(function);
	uint32_t value;

	if (region == PTNET_BAR_IO && count == sizeof(value) && offset % sizeof(value) == 0) {
		if (offset >= PTNET_IO_KICK_BASE) {
			endpoint_kick(device->port,
				      (unsigned)(offset - PTNET_IO_KICK_BASE) / sizeof(value));
			return 0;
		}
		memcpy(&value, data, sizeof(value));
		return write_register(device, offset, value);
	}
	if (region == PTNET_BAR_DOORBELL && count == sizeof(value) && offset % sizeof(value) == 0) {
		endpoint_kick(device->port, (unsigned)(offset / sizeof(value)));
		return 0;
	}
	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		return write_config(device, offset, count, data);
	return 0; /* other sizes, and the MSI-X table, which QEMU has */
}

/* A client may fire an interrupt itself, to see that it arrives. */
static void trigger(struct port *port, uint32_t ring)
{
	struct kring *kring = &port->rings[ring];

	pthread_mutex_lock(&kring->lock);
	if (kring->interrupt_fd >= 0)
		interrupt_raise(kring->interrupt_fd);
	pthread_mutex_unlock(&kring->lock);
}

/* An eventfd, as the server has seen: closing it never waits. */
static void take_interrupt(struct port *port, uint32_t ring, int eventfd)
{
	if (endpoint_set_interrupt(port, ring, eventfd) < 0 && eventfd >= 0)
		close(eventfd);
}

static int netif_set_irqs(struct vfio_user_function *function, const struct vfio_user_irq_set *set,
			  const uint8_t *bools, struct vfio_user_fds *fds)
{
	struct port *port = device_of(function)->port;
	uint32_t end = set->start + set->count;

	/*
	 * INTx is never raised, but it is in the configuration space (section 2), so
	 * QEMU sets it up and gives up on the device if it cannot.
	 */
	if (set->index == VFIO_PCI_INTX_IRQ_INDEX)
		return 0;
	if ((set->flags & VFIO_IRQ_SET_ACTION_TRIGGER) == 0)
		return -ENOTSUP; /* vectors are masked by QEMU, not by us */
	if (set->count == 0)
		end = set->index == VFIO_PCI_MSIX_IRQ_INDEX ? port_num_rings(port) : 0;
	for (uint32_t ring = set->start; ring < end; ring++) {
		if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
			take_interrupt(port, ring,
				       fds->count > 0 ? vfio_user_fds_take(fds, ring - set->start)
						      : -1);
		else if (set->count == 0)
			take_interrupt(port, ring, -1);
		else if ((set->flags & VFIO_IRQ_SET_DATA_NONE) || bools[ring - set->start] != 0)
			trigger(port, ring);
	}
	return 0;
}

static int netif_dma_map(struct vfio_user_function *function, const struct vfio_user_dma_map *map,
			 struct vfio_user_fds *fds)
{
	struct netif_device *device = device_of(function);
	int result;

	if ((map->flags & ~(uint32_t)(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)) != 0)
		return -EINVAL;
	result = dma_table_map(&device->dma, map->address, map->size, map->offset,
			       (map->flags & VFIO_DMA_MAP_FLAG_READ) != 0,
			       (map->flags & VFIO_DMA_MAP_FLAG_WRITE) != 0,
			       fds->count > 0 ? vfio_user_fds_take(fds, 0) : -1);
	if (result == 0)
		resume(device);
	return result;
}

/* An array of the CSB that is in use has a byte in [@address, @address + @size). */
static bool csb_inside(const struct netif_device *device, uint64_t address, uint64_t size)
{
	uint64_t length = array_size(device);

	return (device->gh.array != NULL &&
		dma_overlap(address, size, device->state.csb_gh, length)) ||
	       (device->hg.array != NULL &&
		dma_overlap(address, size, device->state.csb_hg, length));
}

static int netif_dma_unmap(struct vfio_user_function *function,
			   const struct vfio_user_dma_unmap *unmap)
{
	struct netif_device *device = device_of(function);

	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		if (!device->state.csb_in_region)
			suspend(device);
		dma_table_clear(&device->dma);
		return EXPENSIVE;
	}
	if (!dma_table_has(&device->dma, unmap->address, unmap->size))
		return -ENOENT;
	bool csb_goes = csb_inside(device, unmap->address, unmap->size);
	/* First: a mapping that outlives the descriptor frees the VM's RAM when it goes. */
	if (csb_goes)
		suspend(device);
	dma_table_unmap(&device->dma, unmap->address, unmap->size);
	return csb_goes ? EXPENSIVE : 0;
}

static void netif_reset(struct vfio_user_function *function)
{
	struct netif_device *device = device_of(function);

	stop(device);
	memset(&device->state, 0, sizeof(device->state));
	pci_config_reset(&device->state.config, &device->layout);
	write_vnet_hdr_len(device->port, 0);
	endpoint_reset(device->port);
}

static const struct vfio_user_function_ops netif_ops = {
	.region_read = netif_region_read,
	.region_write = netif_region_write,
	.set_irqs = netif_set_irqs,
	.dma_map = netif_dma_map,
	.dma_unmap = netif_dma_unmap,
	.reset = netif_reset,
};

static void layout_init(struct pci_config_layout *layout, unsigned vectors, bool doorbell)
{
	static const struct pci_identity identity = {
		.vendor = PTNET_PCI_VENDOR,
		.device = PTNET_PCI_DEVICE_NETIF,
		.subvendor = PTNET_PCI_SUBVENDOR,
		.subdevice = PTNET_PCI_SUBDEVICE,
		.class = PTNET_PCI_CLASS_NETIF,
		.interrupt_pin = 1,
		.cache_line_size = 0x10,
	};

	pci_layout_init(layout, &identity);
	pci_layout_add_io_bar(layout, PTNET_BAR_IO, PTNET_IO_BAR_SIZE);
	pci_layout_add_memory_bar(layout, PTNET_BAR_MSIX, PTNET_BAR_MSIX_SIZE, false, false);
	if (doorbell)
		pci_layout_add_memory_bar(layout, PTNET_BAR_DOORBELL, PTNET_BAR_DOORBELL_SIZE,
					  false, false);
	pci_layout_add_msix(layout, vectors, PTNET_BAR_MSIX, 0, PTNET_MSIX_PBA_OFS);
}

int netif_device_init(struct netif_device *device, struct port *port,
		      struct vfio_user_counters *counters, struct closer *closer)
{
	unsigned rings = port_num_rings(port);

	memset(device, 0, sizeof(*device));
	device->lost_eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (device->lost_eventfd < 0)
		return -errno;
	device->port = port;
	device->counters = counters;
	device->function.ops = &netif_ops;
	/* No region may be mapped: then QEMU's writes to memory BARs await no reply. */
	device->function.regions[VFIO_PCI_CONFIG_REGION_INDEX].size = PCI_CONFIG_SIZE;
	device->function.regions[PTNET_BAR_IO].size = PTNET_IO_BAR_SIZE;
	device->function.regions[PTNET_BAR_MSIX].size = PTNET_BAR_MSIX_SIZE;
	if (has_extension(device))
		device->function.regions[PTNET_BAR_DOORBELL].size = PTNET_BAR_DOORBELL_SIZE;
	device->function.num_irqs[VFIO_PCI_INTX_IRQ_INDEX] = 1;
	device->function.num_irqs[VFIO_PCI_MSIX_IRQ_INDEX] = rings;
	layout_init(&device->layout, rings, has_extension(device));
	pci_config_reset(&device->state.config, &device->layout);
	dma_table_init(&device->dma, closer);
	return 0;
}

void netif_device_fini(struct netif_device *device)
{
	struct port *port = device->port;

	stop(device);
	for (unsigned ring = 0; ring < port_num_rings(port); ring++)
		endpoint_set_interrupt(port, ring, -1);
	write_vnet_hdr_len(port, 0);
	endpoint_reset(port);
	dma_table_clear(&device->dma);
	close(device->lost_eventfd);
}

void netif_device_csb_lost(struct netif_device *device)
{
	struct port *port = device->port;
	uint64_t count;

	if (read(device->lost_eventfd, &count, sizeof(count)) < 0)
		return;
	if (!csb_map_lost(&device->gh) && !csb_map_lost(&device->hg))
		return; /* unmapped meanwhile */
	if (!device->lost) {
		vfio_user_count_error(device->counters, VFIO_USER_ERROR_CSB_LOST);
		log_limited(port->log_limit, LOG_LEVEL_WARNING,
			    "port %s: the memory of the guest's CSB went away: its file was "
			    "truncated; the rings stop until the guest opens them again",
			    port->name);
	}
	device->lost = true;
	endpoint_fault(port, PTNET_FAULT_CSB);
}
