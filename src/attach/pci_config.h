/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI configuration space, 256 bytes (PCI Local Bus Specification 3.0, chapter 6):
 * what it holds after reset, and which bits software may write. QEMU keeps a copy
 * of its own for what it emulates (BARs, MSI-X) and forwards every write.
 */
#ifndef PTNET_ATTACH_PCI_CONFIG_H
#define PTNET_ATTACH_PCI_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define PCI_CONFIG_SIZE 256

struct pci_identity {
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class; /* class, subclass, prog-if */
	uint8_t interrupt_pin;
	uint8_t cache_line_size;
};

/* The device's side: constant once built. */
struct pci_config_layout {
	uint8_t initial[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE];
};

/* The guest's side: plain data. */
struct pci_config {
	uint8_t bytes[PCI_CONFIG_SIZE];
};

void pci_layout_init(struct pci_config_layout *layout, const struct pci_identity *identity);
/* @size: a power of two, at least 4 (I/O) or 16. A 64-bit BAR takes @bar + 1 too. */
void pci_layout_add_io_bar(struct pci_config_layout *layout, unsigned bar, uint32_t size);
void pci_layout_add_memory_bar(struct pci_config_layout *layout, unsigned bar, uint64_t size,
			       bool prefetchable, bool is_64bit);
/* The one capability that we have. Table and PBA are both in BAR @bar. */
void pci_layout_add_msix(struct pci_config_layout *layout, unsigned vectors, unsigned bar,
			 uint32_t table_offset, uint32_t pba_offset);

void pci_config_reset(struct pci_config *config, const struct pci_config_layout *layout);

/* @offset + @count must not exceed PCI_CONFIG_SIZE. */
void pci_config_read(const struct pci_config *config, uint64_t offset, uint32_t count,
		     uint8_t *data);
void pci_config_write(struct pci_config *config, const struct pci_config_layout *layout,
		      uint64_t offset, uint32_t count, const uint8_t *data);

bool pci_config_bus_master(const struct pci_config *config);

#endif
