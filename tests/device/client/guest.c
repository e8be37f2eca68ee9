/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define PCI_COMMAND	   4
#define PCI_COMMAND_ALL	   0x7 /* I/O, memory, bus master */
#define PCI_STATUS	   6
#define PCI_CAP_POINTER	   0x34
#define PCI_CAP_MSIX	   0x11
#define PCI_MSIX_CONTROL   2
#define PCI_MSIX_ENABLE	   0x8000
#define PCI_MSIX_SIZE_MASK 0x7ff

int guest_fail(struct guest *guest, int error, const char *format, ...)
{
	va_list arguments;

	if (guest->error != 0)
		return -guest->error;
	guest->error = error;
	va_start(arguments, format);
	vsnprintf(guest->error_text, sizeof(guest->error_text), format, arguments);
	va_end(arguments);
	return -error;
}

bool guest_failed(const struct guest *guest)
{
	return guest->error != 0;
}

/* ---- registers ---- */

static uint32_t bar_read(struct guest *guest, struct vu_connection *device, uint32_t offset)
{
	uint32_t value = UINT32_MAX;
	int error;

	if (guest->error != 0)
		return UINT32_MAX;
	error = vu_region_read(device, VU_REGION_BAR0, offset, &value, sizeof(value));
	if (error < 0) {
		guest_fail(guest, -error, "reading BAR 0 offset %u: %s", offset, strerror(-error));
		return UINT32_MAX;
	}
	return value;
}

uint32_t guest_read(struct guest *guest, uint32_t offset)
{
	return bar_read(guest, &guest->netif, offset);
}

uint32_t guest_memdev_read(struct guest *guest, uint32_t offset)
{
	return bar_read(guest, &guest->memdev, offset);
}

void guest_write(struct guest *guest, uint32_t offset, uint32_t value)
{
	int error;

	if (guest->post_io)
		error = vu_region_write_posted(&guest->netif, VU_REGION_BAR0, offset, &value,
					       sizeof(value));
	else
		error = vu_region_write(&guest->netif, VU_REGION_BAR0, offset, &value,
					sizeof(value));
	if (error < 0)
		guest_fail(guest, -error, "writing BAR 0 offset %u: %s", offset, strerror(-error));
}

void guest_kick(struct guest *guest, unsigned ring)
{
	uint32_t value = 0;
	int error;

	if (!guest->doorbell) {
		guest_write(guest, PTNET_IO_KICK_BASE + 4 * ring, value);
		return;
	}
	error = vu_region_write_posted(&guest->netif, PTNET_BAR_DOORBELL, 4 * ring, &value,
				       sizeof(value));
	if (error < 0)
		guest_fail(guest, -error, "doorbell of ring %u: %s", ring, strerror(-error));
}

uint32_t guest_config_read(struct guest *guest, struct vu_connection *device, uint32_t offset,
			   uint32_t size)
{
	uint32_t value = 0;
	int error;

	if (guest->error != 0)
		return UINT32_MAX;
	error = vu_region_read(device, VU_REGION_CONFIG, offset, &value, size);
	if (error < 0) {
		guest_fail(guest, -error, "reading configuration space at %#x: %s", offset,
			   strerror(-error));
		return UINT32_MAX;
	}
	return value;
}

void guest_config_write(struct guest *guest, struct vu_connection *device, uint32_t offset,
			uint32_t value, uint32_t size)
{
	int error;

	if (guest->error != 0)
		return;
	error = vu_region_write(device, VU_REGION_CONFIG, offset, &value, size);
	if (error < 0)
		guest_fail(guest, -error, "writing configuration space at %#x: %s", offset,
			   strerror(-error));
}

void guest_enable(struct guest *guest, struct vu_connection *device, bool on)
{
	uint32_t command = guest_config_read(guest, device, PCI_COMMAND, 2);

	if (on)
		command |= PCI_COMMAND_ALL;
	else
		command &= ~(uint32_t)PCI_COMMAND_ALL;
	guest_config_write(guest, device, PCI_COMMAND, command, 2);
}

/* ---- interrupts ---- */

static uint32_t find_msix(struct guest *guest)
{
	uint32_t at = guest_config_read(guest, &guest->netif, PCI_CAP_POINTER, 1) & ~3u;

	for (unsigned hops = 0; at >= 0x40 && hops < 48; hops++) {
		if (guest_config_read(guest, &guest->netif, at, 1) == PCI_CAP_MSIX)
			return at;
		at = guest_config_read(guest, &guest->netif, at + 1, 1) & ~3u;
	}
	guest_fail(guest, ENOENT, "ptnet has no MSI-X capability");
	return 0;
}

static void close_interrupts(struct guest *guest)
{
	for (unsigned i = 0; i < PTNET_MAX_RINGS; i++) {
		if (guest->interrupts[i] >= 0)
			close(guest->interrupts[i]);
		guest->interrupts[i] = -1;
	}
	guest->num_vectors = 0;
}

static void set_msix_control(struct guest *guest, bool on)
{
	uint32_t capability = find_msix(guest);
	uint32_t control;

	if (guest->error != 0)
		return;
	control = guest_config_read(guest, &guest->netif, capability + PCI_MSIX_CONTROL, 2);
	control = on ? control | PCI_MSIX_ENABLE : control & ~(uint32_t)PCI_MSIX_ENABLE;
	guest_config_write(guest, &guest->netif, capability + PCI_MSIX_CONTROL, control, 2);
}

static void set_irqs(struct guest *guest, uint32_t flags, uint32_t start, uint32_t count,
		     const int *fds)
{
	int error;

	if (guest->error != 0)
		return;
	error = vu_set_irqs(&guest->netif, flags | VU_IRQ_ACTION_TRIGGER, VU_IRQ_MSIX, start, count,
			    fds);
	if (error < 0)
		guest_fail(guest, -error, "SET_IRQS vectors %u to %u: %s", start, start + count - 1,
			   strerror(-error));
}

/*
 * QEMU first turns MSI-X on with a vector that has no descriptor, then, as the
 * guest unmasks its vectors, takes all away and sets those in use anew.
 */
void guest_msix_enable(struct guest *guest, unsigned vectors)
{
	if (guest->error != 0)
		return;
	for (unsigned i = 0; i < vectors; i++) {
		guest->interrupts[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (guest->interrupts[i] < 0) {
			guest_fail(guest, errno, "eventfd: %s", strerror(errno));
			return;
		}
	}
	set_irqs(guest, VU_IRQ_DATA_EVENTFD, 0, 1, NULL);
	set_msix_control(guest, true);
	set_irqs(guest, VU_IRQ_DATA_NONE, 0, 0, NULL);
	set_irqs(guest, VU_IRQ_DATA_EVENTFD, 0, vectors, guest->interrupts);
	guest->num_vectors = vectors;
}

void guest_msix_disable(struct guest *guest)
{
	set_irqs(guest, VU_IRQ_DATA_NONE, 0, 0, NULL);
	set_msix_control(guest, false);
	close_interrupts(guest);
}

/* ---- memory ---- */

struct ram_range {
	uint64_t address, size;
	uint32_t flags;
};

static const struct ram_range ram_ranges[] = {
	{0, GUEST_RAM_HOLE, VU_DMA_READABLE | VU_DMA_WRITEABLE},
	{GUEST_RAM_ROM, GUEST_RAM_HIGH - GUEST_RAM_ROM, VU_DMA_READABLE},
	{GUEST_RAM_HIGH, GUEST_RAM_SIZE - GUEST_RAM_HIGH, VU_DMA_READABLE | VU_DMA_WRITEABLE},
};
#define NUM_RAM_RANGES (sizeof(ram_ranges) / sizeof(ram_ranges[0]))

int guest_dma_map(struct guest *guest, struct vu_connection *device)
{
	for (unsigned i = 0; i < NUM_RAM_RANGES && guest->ram_kind != GUEST_RAM_NONE; i++) {
		const struct ram_range *range = &ram_ranges[i];
		bool shared = guest->ram_kind == GUEST_RAM_SHARED;
		int error = vu_dma_map(device, range->flags, range->address, range->size,
				       shared ? guest->ram_fd : -1, shared ? range->address : 0);

		if (error < 0)
			return guest_fail(guest, -error, "DMA_MAP of %#llx: %s",
					  (unsigned long long)range->address, strerror(-error));
	}
	return 0;
}

int guest_dma_unmap(struct guest *guest, struct vu_connection *device)
{
	for (unsigned i = 0; i < NUM_RAM_RANGES && guest->ram_kind != GUEST_RAM_NONE; i++) {
		const struct ram_range *range = &ram_ranges[i];
		int error = vu_dma_unmap(device, range->address, range->size);

		if (error < 0)
			return guest_fail(guest, -error, "DMA_UNMAP of %#llx: %s",
					  (unsigned long long)range->address, strerror(-error));
	}
	return 0;
}

static int make_ram(struct guest *guest)
{
	guest->ram_fd = memfd_create("guest-ram", MFD_CLOEXEC);
	if (guest->ram_fd < 0 || ftruncate(guest->ram_fd, GUEST_RAM_SIZE) < 0)
		return guest_fail(guest, errno, "guest RAM: %s", strerror(errno));
	guest->ram =
		mmap(NULL, GUEST_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, guest->ram_fd, 0);
	if (guest->ram == MAP_FAILED) {
		guest->ram = NULL;
		return guest_fail(guest, errno, "mapping guest RAM: %s", strerror(errno));
	}
	return 0;
}

int guest_map_region(struct guest *guest)
{
	struct {
		struct vu_region_info info;
		uint8_t caps[256];
	} reply;
	uint64_t offset = 0, size;
	int fd = -1, error;

	if (guest->region != NULL)
		return 0;
	error = vu_get_region_info(&guest->memdev, VU_REGION_BAR1, &reply.info, sizeof(reply), &fd);
	if (error < 0)
		return guest_fail(guest, -error, "memdev BAR 1: %s", strerror(-error));
	size = reply.info.size;
	if (reply.info.flags & VU_REGION_HAS_CAPS) {
		struct vu_cap_sparse cap;
		struct vu_sparse_area area;
		const char *at = (const char *)&reply.info + reply.info.cap_offset;

		memcpy(&cap, at, sizeof(cap));
		memcpy(&area, at + sizeof(cap), sizeof(area));
		if (cap.header.id != VU_CAP_SPARSE_MMAP || cap.nr_areas != 1) {
			close(fd);
			return guest_fail(guest, EPROTO, "memdev BAR 1: capability %u, %u areas",
					  cap.header.id, cap.nr_areas);
		}
		offset = area.offset;
		size = area.size;
	}
	if (fd < 0 || !(reply.info.flags & VU_REGION_CAN_MMAP) || offset != 0)
		return guest_fail(guest, EPROTO, "memdev BAR 1 cannot be mapped");
	guest->region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			     (off_t)(reply.info.offset + offset));
	error = errno;
	close(fd);
	if (guest->region == MAP_FAILED) {
		guest->region = NULL;
		return guest_fail(guest, error, "mapping memdev BAR 1: %s", strerror(error));
	}
	guest->region_size = size;
	return 0;
}

void guest_unmap_region(struct guest *guest)
{
	if (guest->region != NULL)
		munmap(guest->region, guest->region_size);
	guest->region = NULL;
	guest->region_size = 0;
}

/* ---- the machine ---- */

/* What QEMU asks of a device before its guest runs. */
static int realize(struct guest *guest, struct vu_connection *device)
{
	struct vu_device_info info;
	struct vu_irq_info irq;
	uint8_t config[256];
	int error = vu_negotiate(device);

	if (error < 0)
		return guest_fail(guest, -error, "VERSION: %s", strerror(-error));
	if (guest_dma_map(guest, device) < 0)
		return -guest->error;
	error = vu_get_info(device, &info);
	if (error < 0)
		return guest_fail(guest, -error, "GET_INFO: %s", strerror(-error));
	if (info.num_regions < VU_REGION_CONFIG + 1 || info.num_irqs < VU_IRQ_MSIX + 1)
		return guest_fail(guest, EPROTO, "GET_INFO: %u regions, %u interrupt types",
				  info.num_regions, info.num_irqs);
	for (uint32_t i = 0; i <= VU_REGION_CONFIG; i++) {
		struct {
			struct vu_region_info info;
			uint8_t caps[256];
		} reply;
		int fd;

		error = vu_get_region_info(device, i, &reply.info, sizeof(reply), &fd);
		if (error < 0)
			return guest_fail(guest, -error, "GET_REGION_INFO %u: %s", i,
					  strerror(-error));
		if (fd >= 0)
			close(fd);
	}
	for (uint32_t i = 0; i < info.num_irqs; i++) {
		error = vu_get_irq_info(device, i, &irq);
		/* QEMU does without ERR and REQ. */
		if (error < 0 && i <= VU_IRQ_MSIX)
			return guest_fail(guest, -error, "GET_IRQ_INFO %u: %s", i,
					  strerror(-error));
	}
	error = vu_region_read(device, VU_REGION_CONFIG, 0, config, sizeof(config));
	if (error < 0)
		return guest_fail(guest, -error, "configuration space: %s", strerror(-error));
	if ((info.flags & VU_DEVICE_RESETS) != 0) {
		error = vu_reset(device);
		if (error < 0)
			return guest_fail(guest, -error, "RESET: %s", strerror(-error));
	}
	return 0;
}

static int open_device(struct guest *guest, struct vu_connection *device, const char *path)
{
	int error = vu_connect(device, path);

	if (error < 0)
		return guest_fail(guest, -error, "connecting to %s: %s", path, strerror(-error));
	return realize(guest, device);
}

void guest_init(struct guest *guest)
{
	memset(guest, 0, sizeof(*guest));
	guest->netif.fd = -1;
	guest->memdev.fd = -1;
	guest->ram_fd = -1;
	for (unsigned i = 0; i < PTNET_MAX_RINGS; i++)
		guest->interrupts[i] = -1;
}

int guest_open(struct guest *guest, const char *netif_path, const char *memdev_path,
	       enum guest_ram ram)
{
	guest_init(guest);
	guest->ram_kind = ram;
	if (ram == GUEST_RAM_SHARED && make_ram(guest) < 0)
		goto fail;
	if (open_device(guest, &guest->netif, netif_path) < 0)
		goto fail;
	if (memdev_path != NULL && open_device(guest, &guest->memdev, memdev_path) < 0)
		goto fail;
	return 0;
fail:
	guest_close(guest);
	return -guest->error;
}

void guest_close(struct guest *guest)
{
	vu_disconnect(&guest->netif);
	vu_disconnect(&guest->memdev);
	guest_unmap_region(guest);
	close_interrupts(guest);
	if (guest->ram != NULL)
		munmap(guest->ram, GUEST_RAM_SIZE);
	guest->ram = NULL;
	if (guest->ram_fd >= 0)
		close(guest->ram_fd);
	guest->ram_fd = -1;
}
