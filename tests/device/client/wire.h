/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vfio-user protocol's messages as the test client sends and expects them.
 * Written from the protocol's specification, on purpose not shared with the
 * server: a mistake in one of the two must show.
 */
#ifndef CLIENT_WIRE_H
#define CLIENT_WIRE_H

#include <stdint.h>

enum vu_command {
	VU_VERSION = 1,
	VU_DMA_MAP = 2,
	VU_DMA_UNMAP = 3,
	VU_GET_INFO = 4,
	VU_GET_REGION_INFO = 5,
	VU_GET_REGION_IO_FDS = 6,
	VU_GET_IRQ_INFO = 7,
	VU_SET_IRQS = 8,
	VU_REGION_READ = 9,
	VU_REGION_WRITE = 10,
	VU_DMA_READ = 11,
	VU_DMA_WRITE = 12,
	VU_RESET = 13,
	VU_REGION_WRITE_MULTI = 15,
	VU_DEVICE_FEATURE = 16,
};

#define VU_TYPE_MASK 0xf
#define VU_REPLY     0x1
#define VU_NO_REPLY  0x10
#define VU_ERROR     0x20

struct vu_header {
	uint16_t id;
	uint16_t command;
	uint32_t size; /* of the whole message */
	uint32_t flags;
	uint32_t error;
};

struct vu_version {
	uint16_t major;
	uint16_t minor;
	/* JSON with its NUL follows */
};

#define VU_DMA_READABLE	 1
#define VU_DMA_WRITEABLE 2

struct vu_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset;
	uint64_t address;
	uint64_t size;
};

struct vu_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t address;
	uint64_t size;
};

#define VU_DEVICE_RESETS 1
#define VU_DEVICE_PCI	 2

struct vu_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
};

#define VU_REGION_CAN_READ  1
#define VU_REGION_CAN_WRITE 2
#define VU_REGION_CAN_MMAP  4
#define VU_REGION_HAS_CAPS  8

struct vu_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset;
};

#define VU_CAP_SPARSE_MMAP 1

struct vu_cap_header {
	uint16_t id;
	uint16_t version;
	uint32_t next;
};

struct vu_sparse_area {
	uint64_t offset;
	uint64_t size;
};

struct vu_cap_sparse {
	struct vu_cap_header header;
	uint32_t nr_areas;
	uint32_t reserved;
	struct vu_sparse_area areas[];
};

/* Region numbers of a PCI device. */
enum {
	VU_REGION_BAR0 = 0,
	VU_REGION_BAR1 = 1,
	VU_REGION_BAR2 = 2,
	VU_REGION_BAR5 = 5,
	VU_REGION_ROM = 6,
	VU_REGION_CONFIG = 7,
	VU_REGION_VGA = 8,
	VU_NUM_REGIONS = 9,
};

/* Interrupt types of a PCI device. */
enum {
	VU_IRQ_INTX = 0,
	VU_IRQ_MSI = 1,
	VU_IRQ_MSIX = 2,
	VU_IRQ_ERR = 3,
	VU_IRQ_REQ = 4,
	VU_NUM_IRQS = 5,
};

#define VU_IRQ_CAN_EVENTFD 1

struct vu_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};

#define VU_IRQ_DATA_NONE      0x01
#define VU_IRQ_DATA_BOOL      0x02
#define VU_IRQ_DATA_EVENTFD   0x04
#define VU_IRQ_ACTION_MASK    0x08
#define VU_IRQ_ACTION_UNMASK  0x10
#define VU_IRQ_ACTION_TRIGGER 0x20

struct vu_irq_set {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
};

struct vu_region_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
	/* data follows */
};

struct vu_write_one {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
	uint8_t data[8];
};

struct vu_write_multi {
	uint64_t count;
	/* writes follow: struct vu_write_one */
};

#endif
