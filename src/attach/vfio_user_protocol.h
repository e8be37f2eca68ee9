/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vfio-user wire format, version 0.1 (QEMU: docs/interop/vfio-user.rst). All
 * numbers are in the byte order of the host. Payloads start at no particular
 * alignment in the stream: copy them out before use.
 *
 * Flags of regions, interrupts and DMA mappings are those of <linux/vfio.h>.
 */
#ifndef PTNET_ATTACH_VFIO_USER_PROTOCOL_H
#define PTNET_ATTACH_VFIO_USER_PROTOCOL_H

#include <linux/vfio.h>
#include <stdint.h>

enum vfio_user_command {
	VFIO_USER_VERSION = 1,
	VFIO_USER_DMA_MAP = 2,
	VFIO_USER_DMA_UNMAP = 3,
	VFIO_USER_DEVICE_GET_INFO = 4,
	VFIO_USER_DEVICE_GET_REGION_INFO = 5,
	VFIO_USER_DEVICE_GET_REGION_IO_FDS = 6,
	VFIO_USER_DEVICE_GET_IRQ_INFO = 7,
	VFIO_USER_DEVICE_SET_IRQS = 8,
	VFIO_USER_REGION_READ = 9,
	VFIO_USER_REGION_WRITE = 10,
	VFIO_USER_DMA_READ = 11,  /* server to client: never sent by us */
	VFIO_USER_DMA_WRITE = 12, /* server to client: never sent by us */
	VFIO_USER_DEVICE_RESET = 13,
	VFIO_USER_DIRTY_PAGES = 14,
	VFIO_USER_REGION_WRITE_MULTI = 15,
	VFIO_USER_DEVICE_FEATURE = 16,
	VFIO_USER_MIG_DATA_READ = 17,
	VFIO_USER_MIG_DATA_WRITE = 18,
	VFIO_USER_COMMAND_COUNT
};

/* Header flags. */
#define VFIO_USER_TYPE_MASK    0xfu
#define VFIO_USER_TYPE_COMMAND 0x0u
#define VFIO_USER_TYPE_REPLY   0x1u
#define VFIO_USER_NO_REPLY     0x10u
#define VFIO_USER_ERROR	       0x20u

struct vfio_user_header {
	uint16_t id;
	uint16_t command;
	uint32_t size; /* of the whole message, this header included */
	uint32_t flags;
	uint32_t error; /* positive errno, in a reply with VFIO_USER_ERROR */
};

struct vfio_user_version {
	uint16_t major;
	uint16_t minor;
	/* then JSON with its NUL, optional */
};

struct vfio_user_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset; /* in the file that comes with the message */
	uint64_t address;
	uint64_t size;
};

struct vfio_user_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t address;
	uint64_t size;
};

struct vfio_user_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
};

struct vfio_user_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset;
};

/* The sparse-mmap capability with one area, as it follows vfio_user_region_info. */
struct vfio_user_sparse_area {
	uint16_t id;
	uint16_t version;
	uint32_t next;
	uint32_t nr_areas;
	uint32_t reserved;
	uint64_t offset;
	uint64_t size;
};

struct vfio_user_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};

struct vfio_user_irq_set {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
	/* then a byte per interrupt with VFIO_IRQ_SET_DATA_BOOL */
};

struct vfio_user_region_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
	/* then the data */
};

struct vfio_user_multi_write {
	uint64_t offset;
	uint32_t region;
	uint32_t count; /* at most 8 */
	uint8_t data[8];
};

#define VFIO_USER_PIN_SIZE(type, size)                                                             \
	_Static_assert(sizeof(struct type) == (size), #type " has its size on the wire")
VFIO_USER_PIN_SIZE(vfio_user_header, 16);
VFIO_USER_PIN_SIZE(vfio_user_version, 4);
VFIO_USER_PIN_SIZE(vfio_user_dma_map, 32);
VFIO_USER_PIN_SIZE(vfio_user_dma_unmap, 24);
VFIO_USER_PIN_SIZE(vfio_user_device_info, 16);
VFIO_USER_PIN_SIZE(vfio_user_region_info, 32);
VFIO_USER_PIN_SIZE(vfio_user_sparse_area, 32);
VFIO_USER_PIN_SIZE(vfio_user_irq_info, 16);
VFIO_USER_PIN_SIZE(vfio_user_irq_set, 20);
VFIO_USER_PIN_SIZE(vfio_user_region_access, 16);
VFIO_USER_PIN_SIZE(vfio_user_multi_write, 24);

/* What we understand and take. */
#define VFIO_USER_MAJOR		 0
#define VFIO_USER_MINOR		 1 /* 0.1 names what 0.0 had; replies never exceed the client's */
#define VFIO_USER_MAX_DATA	 4096 /* bytes read or written by one message */
#define VFIO_USER_MAX_MESSAGE	 8192 /* bytes, header included: 200 coalesced writes are 4824 */
#define VFIO_USER_MAX_FDS	 8    /* descriptors with one message */
#define VFIO_USER_MAX_DMA_RANGES 1024
#define VFIO_USER_MAX_MULTI	 256 /* writes in one REGION_WRITE_MULTI; QEMU sends up to 200 */
#define VFIO_USER_NUM_IRQS	 3   /* INTx, MSI, MSI-X */

_Static_assert(sizeof(struct vfio_user_header) + sizeof(uint64_t) +
			       VFIO_USER_MAX_MULTI * sizeof(struct vfio_user_multi_write) <=
		       VFIO_USER_MAX_MESSAGE,
	       "a full REGION_WRITE_MULTI fits");
_Static_assert(sizeof(struct vfio_user_header) + sizeof(struct vfio_user_region_access) +
			       VFIO_USER_MAX_DATA <=
		       VFIO_USER_MAX_MESSAGE,
	       "a full REGION_WRITE fits");

#endif
