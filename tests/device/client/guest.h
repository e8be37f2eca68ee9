/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual machine as the daemon sees one: guest RAM, and the two PCI functions
 * (ptnet and ptnetmap-memdev), each with its vfio-user connection, its registers,
 * configuration space and interrupts. No driver in it: see driver.h.
 *
 * Accessors do not return errors: the first one sticks to the guest, with a
 * sentence, and a test asks for it when it suits: guest_failed().
 */
#ifndef CLIENT_GUEST_H
#define CLIENT_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <ptnet/registers.h>

#include "connection.h"

enum guest_ram {
	GUEST_RAM_SHARED,  /* memory-backend-memfd,share=on */
	GUEST_RAM_PRIVATE, /* the server gets no descriptor */
	GUEST_RAM_NONE,	   /* nothing is mapped for DMA */
};

#define GUEST_RAM_SIZE (16u << 20)
/* Low memory has holes, as a PC's has: the server sees three ranges. */
#define GUEST_RAM_HOLE 0xa0000u
#define GUEST_RAM_ROM  0xc0000u /* to 1 MB: readable only */
#define GUEST_RAM_HIGH 0x100000u
/* Where the drivers put their two CSB pages. */
#define GUEST_CSB_ADDRESS 0x200000u

struct guest {
	struct vu_connection netif;
	struct vu_connection memdev;
	enum guest_ram ram_kind;
	int ram_fd;
	char *ram;
	/* BAR 1 of the memdev, mapped from its descriptor. */
	char *region;
	uint64_t region_size;
	/* One eventfd per MSI-X vector, or -1. */
	int interrupts[PTNET_MAX_RINGS];
	unsigned num_vectors;
	bool post_io;  /* do not await the reply to a write to BAR 0; QEMU does await it */
	bool doorbell; /* kick through the memory BAR, posted (extension) */

	int error;
	char error_text[256];
};

/* No machine yet: guest_close() does nothing. */
void guest_init(struct guest *guest);

/*
 * Starts the machine: connects, negotiates and asks all that QEMU asks until the
 * device is realised. @memdev_path NULL: without memdev.
 */
int guest_open(struct guest *guest, const char *netif_path, const char *memdev_path,
	       enum guest_ram ram);
/* Ends it at once, as a killed QEMU does. Harmless if it is not open. */
void guest_close(struct guest *guest);

bool guest_failed(const struct guest *guest);
/* Records the first error; returns -@error. */
int guest_fail(struct guest *guest, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* BAR 0 of ptnet. Reads are all ones after an error. */
uint32_t guest_read(struct guest *guest, uint32_t offset);
void guest_write(struct guest *guest, uint32_t offset, uint32_t value);
void guest_kick(struct guest *guest, unsigned ring);
/* BAR 0 of memdev. */
uint32_t guest_memdev_read(struct guest *guest, uint32_t offset);

/* Configuration space of one of the two. */
uint32_t guest_config_read(struct guest *guest, struct vu_connection *device, uint32_t offset,
			   uint32_t size);
void guest_config_write(struct guest *guest, struct vu_connection *device, uint32_t offset,
			uint32_t value, uint32_t size);
/* I/O, memory and bus master on (or off) in the command register. */
void guest_enable(struct guest *guest, struct vu_connection *device, bool on);

/* MSI-X on with this many vectors, by QEMU's messages; and off. */
void guest_msix_enable(struct guest *guest, unsigned vectors);
void guest_msix_disable(struct guest *guest);

/* Maps the memdev's BAR 1. */
int guest_map_region(struct guest *guest);
void guest_unmap_region(struct guest *guest);

/* Maps guest RAM for DMA on @device, as QEMU does; and takes it away. */
int guest_dma_map(struct guest *guest, struct vu_connection *device);
int guest_dma_unmap(struct guest *guest, struct vu_connection *device);

#endif
