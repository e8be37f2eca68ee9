/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach/memdev.h"

#include <errno.h>
#include <string.h>

#include "memory/region.h"

#define PAGE 4096

static struct memdev *memdev_of(struct vfio_user_function *function)
{
	return (struct memdev *)function;
}

static uint64_t power_of_two_above(uint64_t value)
{
	uint64_t power = PAGE;

	while (power < value)
		power <<= 1;
	return power;
}

static void fill_registers(struct memdev *memdev, const struct region_geometry *geometry)
{
	const struct pool_geometry *pools[] = {&geometry->if_pool, &geometry->ring_pool,
					       &geometry->buf_pool};
	uint32_t *registers = memdev->registers;

	registers[PTNET_MDEV_IO_MEMSIZE_LO / 4] = (uint32_t)geometry->memsize;
	registers[PTNET_MDEV_IO_MEMSIZE_HI / 4] = (uint32_t)(geometry->memsize >> 32);
	registers[PTNET_MDEV_IO_MEMID / 4] = region_id(memdev->region);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t *pool = &registers[PTNET_MDEV_IO_IF_POOL_OFS / 4 + 3 * i];

		pool[0] = (uint32_t)pools[i]->offset;
		pool[1] = pools[i]->objtotal;
		pool[2] = pools[i]->objsize;
	}
}

static void read_registers(const struct memdev *memdev, uint64_t offset, uint32_t count,
			   uint8_t *data)
{
	uint32_t value = 0;

	memset(data, 0, count);
	if (count != sizeof(value) || offset % sizeof(value) != 0)
		return;
	if (offset < PTNET_MDEV_IO_END)
		value = memdev->registers[offset / sizeof(value)];
	memcpy(data, &value, sizeof(value));
}

/*
 * Guests map BAR 1; this is for clients that cannot. A CSB or a slot may be read
 * this way while others write it, so that an aligned word is moved as one.
 */
static void load_memory(uint8_t *data, const char *memory, uint32_t count, uint64_t offset)
{
	if (count == sizeof(uint32_t) && offset % sizeof(uint32_t) == 0) {
		uint32_t word = __atomic_load_n((const uint32_t *)memory, __ATOMIC_RELAXED);

		memcpy(data, &word, sizeof(word));
	} else {
		memcpy(data, memory, count);
	}
}

static void store_memory(char *memory, const uint8_t *data, uint32_t count, uint64_t offset)
{
	if (count == sizeof(uint32_t) && offset % sizeof(uint32_t) == 0) {
		uint32_t word;

		memcpy(&word, data, sizeof(word));
		__atomic_store_n((uint32_t *)memory, word, __ATOMIC_RELAXED);
	} else {
		memcpy(memory, data, count);
	}
}

/* How much of [@offset, @offset + @count) the region backs. */
static uint32_t backed(const struct memdev *memdev, uint64_t offset, uint32_t count)
{
	if (offset >= memdev->memsize)
		return 0;
	return count <= memdev->memsize - offset ? count : (uint32_t)(memdev->memsize - offset);
}

static void read_memory(const struct memdev *memdev, uint64_t offset, uint32_t count, uint8_t *data)
{
	uint32_t here = backed(memdev, offset, count);

	memset(data + here, 0, count - here);
	if (here > 0)
		load_memory(data, region_base(memdev->region) + offset, here, offset);
}

static void write_memory(const struct memdev *memdev, uint64_t offset, uint32_t count,
			 const uint8_t *data)
{
	uint32_t here = backed(memdev, offset, count);

	if (here > 0)
		store_memory(region_base(memdev->region) + offset, data, here, offset);
}

static int memdev_region_read(struct vfio_user_function *function, uint32_t region, uint64_t offset,
			      uint32_t count, uint8_t *data)
{
	struct memdev *memdev = memdev_of(function);

	switch (region) {
	case VFIO_PCI_CONFIG_REGION_INDEX:
		pci_config_read(&memdev->config, offset, count, data);
		break;
	case PTNET_BAR_IO:
		read_registers(memdev, offset, count, data);
		break;
	case PTNET_BAR_MEM:
		read_memory(memdev, offset, count, data);
		break;
	default:
		memset(data, 0, count);
	}
	return 0;
}

static int memdev_region_write(struct vfio_user_function *function, uint32_t region,
			       uint64_t offset, uint32_t count, const uint8_t *data)
{
	struct memdev *memdev = memdev_of(function);

	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		pci_config_write(&memdev->config, &memdev->layout, offset, count, data);
	else if (region == PTNET_BAR_MEM)
		write_memory(memdev, offset, count, data);
	return 0; /* the registers are read-only: writes are ignored */
}

static int memdev_set_irqs(struct vfio_user_function *function, const struct vfio_user_irq_set *set,
			   const uint8_t *bools, struct vfio_user_fds *fds)
{
	(void)function;
	(void)set;
	(void)bools;
	(void)fds;
	return 0; /* no interrupts: only "none of none" gets here */
}

/* We touch no guest memory, so that we need not know where it is. */
static int memdev_dma_map(struct vfio_user_function *function, const struct vfio_user_dma_map *map,
			  struct vfio_user_fds *fds)
{
	(void)function;
	(void)map;
	(void)fds;
	return 0;
}

static int memdev_dma_unmap(struct vfio_user_function *function,
			    const struct vfio_user_dma_unmap *unmap)
{
	(void)function;
	(void)unmap;
	return 0;
}

static void memdev_reset(struct vfio_user_function *function)
{
	struct memdev *memdev = memdev_of(function);

	pci_config_reset(&memdev->config, &memdev->layout);
}

static const struct vfio_user_function_ops memdev_ops = {
	.region_read = memdev_region_read,
	.region_write = memdev_region_write,
	.set_irqs = memdev_set_irqs,
	.dma_map = memdev_dma_map,
	.dma_unmap = memdev_dma_unmap,
	.reset = memdev_reset,
};

void memdev_init(struct memdev *memdev, struct region *region)
{
	static const struct pci_identity identity = {
		.vendor = PTNET_PCI_VENDOR,
		.device = PTNET_PCI_DEVICE_MEMDEV,
		.subvendor = PTNET_PCI_SUBVENDOR,
		.subdevice = PTNET_PCI_SUBDEVICE,
		.class = PTNET_PCI_CLASS_MEMDEV,
	};
	const struct region_geometry *geometry = region_geometry(region);
	uint64_t bar_size = power_of_two_above(geometry->memsize);

	memset(memdev, 0, sizeof(*memdev));
	memdev->region = region;
	memdev->memsize = geometry->memsize;
	fill_registers(memdev, geometry);
	memdev->function.ops = &memdev_ops;
	memdev->function.regions[VFIO_PCI_CONFIG_REGION_INDEX].size = PCI_CONFIG_SIZE;
	memdev->function.regions[PTNET_BAR_IO].size = PTNET_MDEV_IO_BAR_SIZE;
	memdev->function.regions[PTNET_BAR_MEM] = (struct vfio_user_region){
		.size = bar_size,
		.mmap_size = geometry->memsize,
		.mmap_fd = region_fd(region),
	};
	pci_layout_init(&memdev->layout, &identity);
	pci_layout_add_io_bar(&memdev->layout, PTNET_BAR_IO, PTNET_MDEV_IO_BAR_SIZE);
	pci_layout_add_memory_bar(&memdev->layout, PTNET_BAR_MEM, bar_size, true, true);
	pci_config_reset(&memdev->config, &memdev->layout);
}
