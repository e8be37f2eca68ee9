/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach/pci_config.h"

#include <linux/pci_regs.h>
#include <string.h>

#define MSIX_CAPABILITY 0x40 /* the first byte behind the header */

static void put16(uint8_t *bytes, unsigned offset, uint32_t value)
{
	bytes[offset] = (uint8_t)value;
	bytes[offset + 1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *bytes, unsigned offset, uint32_t value)
{
	put16(bytes, offset, value);
	put16(bytes, offset + 2, value >> 16);
}

void pci_layout_init(struct pci_config_layout *layout, const struct pci_identity *identity)
{
	uint8_t *initial = layout->initial;

	memset(layout, 0, sizeof(*layout));
	put16(initial, PCI_VENDOR_ID, identity->vendor);
	put16(initial, PCI_DEVICE_ID, identity->device);
	put32(initial, PCI_CLASS_REVISION, identity->class << 8);
	initial[PCI_CACHE_LINE_SIZE] = identity->cache_line_size;
	put16(initial, PCI_SUBSYSTEM_VENDOR_ID, identity->subvendor);
	put16(initial, PCI_SUBSYSTEM_ID, identity->subdevice);
	initial[PCI_INTERRUPT_PIN] = identity->interrupt_pin;

	put16(layout->writable, PCI_COMMAND,
	      PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
		      PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	layout->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	layout->writable[PCI_LATENCY_TIMER] = 0xff;
	layout->writable[PCI_INTERRUPT_LINE] = 0xff;
}

static unsigned bar_offset(unsigned bar)
{
	return PCI_BASE_ADDRESS_0 + 4 * bar;
}

void pci_layout_add_io_bar(struct pci_config_layout *layout, unsigned bar, uint32_t size)
{
	put32(layout->initial, bar_offset(bar), PCI_BASE_ADDRESS_SPACE_IO);
	put32(layout->writable, bar_offset(bar), ~(size - 1));
}

void pci_layout_add_memory_bar(struct pci_config_layout *layout, unsigned bar, uint64_t size,
			       bool prefetchable, bool is_64bit)
{
	uint64_t mask = ~(size - 1);
	uint32_t type = is_64bit ? PCI_BASE_ADDRESS_MEM_TYPE_64 : PCI_BASE_ADDRESS_MEM_TYPE_32;

	if (prefetchable)
		type |= PCI_BASE_ADDRESS_MEM_PREFETCH;
	put32(layout->initial, bar_offset(bar), type);
	put32(layout->writable, bar_offset(bar), (uint32_t)mask);
	if (is_64bit)
		put32(layout->writable, bar_offset(bar + 1), (uint32_t)(mask >> 32));
}

void pci_layout_add_msix(struct pci_config_layout *layout, unsigned vectors, unsigned bar,
			 uint32_t table_offset, uint32_t pba_offset)
{
	uint8_t *initial = layout->initial;

	initial[PCI_CAPABILITY_LIST] = MSIX_CAPABILITY;
	put16(initial, PCI_STATUS, PCI_STATUS_CAP_LIST);
	initial[MSIX_CAPABILITY + PCI_CAP_LIST_ID] = PCI_CAP_ID_MSIX;
	put16(initial, MSIX_CAPABILITY + PCI_MSIX_FLAGS, vectors - 1);
	put32(initial, MSIX_CAPABILITY + PCI_MSIX_TABLE, table_offset | bar);
	put32(initial, MSIX_CAPABILITY + PCI_MSIX_PBA, pba_offset | bar);
	put16(layout->writable, MSIX_CAPABILITY + PCI_MSIX_FLAGS,
	      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

void pci_config_reset(struct pci_config *config, const struct pci_config_layout *layout)
{
	memcpy(config->bytes, layout->initial, PCI_CONFIG_SIZE);
}

void pci_config_read(const struct pci_config *config, uint64_t offset, uint32_t count,
		     uint8_t *data)
{
	memcpy(data, config->bytes + offset, count);
}

void pci_config_write(struct pci_config *config, const struct pci_config_layout *layout,
		      uint64_t offset, uint32_t count, const uint8_t *data)
{
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *byte = &config->bytes[offset + i];
		uint8_t writable = layout->writable[offset + i];

		*byte = (uint8_t)((*byte & ~writable) | (data[i] & writable));
	}
}

bool pci_config_bus_master(const struct pci_config *config)
{
	return (config->bytes[PCI_COMMAND] & PCI_COMMAND_MASTER) != 0;
}
