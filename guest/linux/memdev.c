// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * ptnetmap-memdev: one memory region per PCI function (spec/ptnet-device.md
 * section 3).
 *
 * Ports find their region by number when they become active, so that either
 * function may be probed first. Programs map the whole region page by page as
 * they touch it; all mappings share one inode, so that removal can take them away
 * at once. A page touched afterwards is SIGBUS; pages of other regions come back.
 *
 * Removal: (1) out of the list: no port finds the region any more; (2) every port
 * active in it lets go, synchronously; (3) no more page faults are served and the
 * mappings are torn down; (4) the BARs are unmapped. References that remain, of
 * descriptors, keep the shell only.
 */
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/slab.h>

#include "ptnet.h"

static DEFINE_MUTEX(memdevs_lock);
static LIST_HEAD(memdevs);
static u64 memdevs_serial; /* the last one given out, under memdevs_lock */

/* ---- the inode behind the mappings ---- */

#define PTNET_FS_MAGIC 0x70746e6d /* "ptnm" */

static struct vfsmount *ptnet_mnt;
static struct inode *ptnet_inode;

static int ptnet_fs_init_context(struct fs_context *fc)
{
	return init_pseudo(fc, PTNET_FS_MAGIC) ? 0 : -ENOMEM;
}

/* No owner: our own mount must not keep the module from being unloaded. */
static struct file_system_type ptnet_fs_type = {
	.name = "ptnetmap",
	.init_fs_context = ptnet_fs_init_context,
	.kill_sb = kill_anon_super,
};

int ptnet_memdev_fs_init(void)
{
	ptnet_mnt = kern_mount(&ptnet_fs_type);
	if (IS_ERR(ptnet_mnt))
		return PTR_ERR(ptnet_mnt);
	ptnet_inode = alloc_anon_inode(ptnet_mnt->mnt_sb);
	if (IS_ERR(ptnet_inode)) {
		kern_unmount(ptnet_mnt);
		return PTR_ERR(ptnet_inode);
	}
	return 0;
}

void ptnet_memdev_fs_exit(void)
{
	iput(ptnet_inode);
	kern_unmount(ptnet_mnt);
}

/*
 * What a descriptor's f_mapping must be from open on: the kernel counts a file's
 * mappings there, and a change while one is being made would upset the count.
 */
struct address_space *ptnet_memdev_mapping(void)
{
	return ptnet_inode->i_mapping;
}

/* ---- references ---- */

static void ptnet_memdev_free(struct kref *kref)
{
	struct ptnet_memdev *memdev = container_of(kref, struct ptnet_memdev, kref);

	kfree(memdev);
}

void ptnet_memdev_ref(struct ptnet_memdev *memdev)
{
	kref_get(&memdev->kref);
}

void ptnet_memdev_put(struct ptnet_memdev *memdev)
{
	kref_put(&memdev->kref, ptnet_memdev_free);
}

static struct ptnet_memdev *ptnet_memdev_find_locked(u16 id)
{
	struct ptnet_memdev *memdev;

	lockdep_assert_held(&memdevs_lock);
	list_for_each_entry (memdev, &memdevs, link)
		if (memdev->id == id)
			return memdev;
	return NULL;
}

/* The region of that id with a reference, NULL if there is none. May sleep. */
struct ptnet_memdev *ptnet_memdev_get(u16 id)
{
	struct ptnet_memdev *memdev;

	mutex_lock(&memdevs_lock);
	memdev = ptnet_memdev_find_locked(id);
	if (memdev)
		kref_get(&memdev->kref);
	mutex_unlock(&memdevs_lock);
	return memdev;
}

/*
 * As above, and the kernel's mapping stays valid until ptnet_memdev_detach():
 * removal of the region calls ptnet_port_lose_region() for the port and waits.
 * Called with port->lock held.
 */
struct ptnet_memdev *ptnet_memdev_attach(u16 id, struct ptnet_port *port)
{
	struct ptnet_memdev *memdev;

	mutex_lock(&memdevs_lock);
	memdev = ptnet_memdev_find_locked(id);
	if (memdev) {
		kref_get(&memdev->kref);
		list_add(&port->memdev_link, &memdev->ports);
	}
	mutex_unlock(&memdevs_lock);
	return memdev;
}

void ptnet_memdev_detach(struct ptnet_memdev *memdev, struct ptnet_port *port)
{
	mutex_lock(&memdevs_lock);
	list_del_init(&port->memdev_link);
	mutex_unlock(&memdevs_lock);
	ptnet_memdev_put(memdev);
}

/* Address of size bytes at offset, NULL if they are not inside the region or not aligned. */
void *ptnet_memdev_at(const struct ptnet_memdev *memdev, u64 offset, u64 size, u32 align)
{
	if (offset > memdev->size || size > memdev->size - offset || offset % align)
		return NULL;
	return memdev->base + offset;
}

/* ---- user mappings ---- */

/* How much one page fault maps at most: what one page table covers. */
#define PTNET_FAULT_SIZE PMD_SIZE

static vm_fault_t ptnet_memdev_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct ptnet_memdev *memdev = vma->vm_private_data;
	unsigned long first = max(vma->vm_start, ALIGN_DOWN(vmf->address, PTNET_FAULT_SIZE));
	unsigned long last =
		min(vma->vm_end, ALIGN_DOWN(vmf->address, PTNET_FAULT_SIZE) + PTNET_FAULT_SIZE);
	unsigned long pfn = PHYS_PFN(memdev->start) + vma->vm_pgoff;
	unsigned long address = vmf->address & PAGE_MASK;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	down_read(&memdev->map_lock);
	if (memdev->gone)
		goto out;
	ret = vmf_insert_pfn(vma, address, pfn + PHYS_PFN(address - vma->vm_start));
	/* The neighbours are a courtesy; if one fails it will fault on its own. */
	for (address = first; ret == VM_FAULT_NOPAGE && address < last; address += PAGE_SIZE)
		if (vmf_insert_pfn(vma, address, pfn + PHYS_PFN(address - vma->vm_start)) !=
		    VM_FAULT_NOPAGE)
			break;
out:
	up_read(&memdev->map_lock);
	return ret;
}

#ifdef PTNET_HUGE_MAPPINGS
/* The whole page table at once, where region and mapping are aligned for it. */
static vm_fault_t ptnet_memdev_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct ptnet_memdev *memdev = vma->vm_private_data;
	unsigned long address = ALIGN_DOWN(vmf->address, PMD_SIZE);
	unsigned long pfn =
		PHYS_PFN(memdev->start) + vma->vm_pgoff + PHYS_PFN(address - vma->vm_start);
	vm_fault_t ret = VM_FAULT_SIGBUS;

	if (order != PMD_ORDER || address < vma->vm_start || vma->vm_end - address < PMD_SIZE ||
	    !IS_ALIGNED(pfn, 1UL << PMD_ORDER))
		return VM_FAULT_FALLBACK;
	down_read(&memdev->map_lock);
	if (!memdev->gone)
		ret = ptnet_compat_insert_pfn_pmd(vmf, pfn, vmf->flags & FAULT_FLAG_WRITE);
	up_read(&memdev->map_lock);
	return ret;
}
#endif

/* vm_private_data needs no reference: the mapping holds the file, the file the region. */
static const struct vm_operations_struct ptnet_memdev_vm_ops = {
	.fault = ptnet_memdev_fault,
#ifdef PTNET_HUGE_MAPPINGS
	.huge_fault = ptnet_memdev_huge_fault,
#endif
};

/*
 * Maps [vm_pgoff, + length) of the region. The caller holds a reference to the
 * region for as long as vma->vm_file lives.
 */
int ptnet_memdev_mmap(struct ptnet_memdev *memdev, struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 length = vma->vm_end - vma->vm_start;

	if (vma->vm_pgoff > PHYS_PFN(memdev->size) || offset > memdev->size ||
	    length > memdev->size - offset)
		return -EINVAL;
	/* A private mapping would be a copy that nobody else sees. */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = memdev;
	vma->vm_ops = &ptnet_memdev_vm_ops;
	return 0;
}

/* ---- the PCI function ---- */

static int ptnet_memdev_read_pool(struct ptnet_memdev *memdev, const char *what, unsigned int ofs,
				  unsigned int objnum, unsigned int objsz, struct ptnet_pool *pool)
{
	pool->offset = ioread32(memdev->io + ofs);
	pool->objnum = ioread32(memdev->io + objnum);
	pool->objsz = ioread32(memdev->io + objsz);
	/* 2^32 * 2^32 fits: offset and product are compared one after the other. */
	if (pool->offset > memdev->size ||
	    (u64)pool->objnum * pool->objsz > memdev->size - pool->offset) {
		dev_err(&memdev->pdev->dev,
			"%s pool of %u objects of %u bytes at %llu is not inside the region of "
			"%llu bytes\n",
			what, pool->objnum, pool->objsz, pool->offset, memdev->size);
		return -EINVAL;
	}
	return 0;
}

static int ptnet_memdev_read_geometry(struct ptnet_memdev *memdev)
{
	struct device *dev = &memdev->pdev->dev;
	u64 bar_size = pci_resource_len(memdev->pdev, PTNET_BAR_MEM);
	u32 id = ioread32(memdev->io + PTNET_MDEV_IO_MEMID);
	int err;

	if (!(pci_resource_flags(memdev->pdev, PTNET_BAR_MEM) & IORESOURCE_MEM)) {
		dev_err(dev, "BAR 1 is no memory\n");
		return -ENODEV;
	}
	memdev->size = (u64)ioread32(memdev->io + PTNET_MDEV_IO_MEMSIZE_HI) << 32 |
		       ioread32(memdev->io + PTNET_MDEV_IO_MEMSIZE_LO);
	memdev->id = id;
	if (id == PTNET_ALL_ONES || !memdev->id) {
		dev_err(dev, "memory id %#x is none\n", id);
		return -ENODEV;
	}
	if (!memdev->size || memdev->size > bar_size || memdev->size % 4096) {
		dev_err(dev, "region of %llu bytes in a BAR of %llu bytes\n", memdev->size,
			bar_size);
		return -EINVAL;
	}
	err = ptnet_memdev_read_pool(memdev, "netmap_if", PTNET_MDEV_IO_IF_POOL_OFS,
				     PTNET_MDEV_IO_IF_POOL_OBJNUM, PTNET_MDEV_IO_IF_POOL_OBJSZ,
				     &memdev->if_pool);
	if (!err)
		err = ptnet_memdev_read_pool(memdev, "ring", PTNET_MDEV_IO_RING_POOL_OFS,
					     PTNET_MDEV_IO_RING_POOL_OBJNUM,
					     PTNET_MDEV_IO_RING_POOL_OBJSZ, &memdev->ring_pool);
	if (!err)
		err = ptnet_memdev_read_pool(memdev, "buffer", PTNET_MDEV_IO_BUF_POOL_OFS,
					     PTNET_MDEV_IO_BUF_POOL_OBJNUM,
					     PTNET_MDEV_IO_BUF_POOL_OBJSZ, &memdev->buf_pool);
	if (err)
		return err;
	/* 64 KB buffers are the largest that a slot's 16-bit len can fill. */
	if (memdev->buf_pool.objsz < 64 || memdev->buf_pool.objsz > 65536 ||
	    memdev->buf_pool.objnum <= 2) {
		dev_err(dev, "%u buffers of %u bytes are of no use\n", memdev->buf_pool.objnum,
			memdev->buf_pool.objsz);
		return -EINVAL;
	}
	return 0;
}

/* Makes the region known under its id. */
static int ptnet_memdev_publish(struct ptnet_memdev *memdev)
{
	int err = 0;

	mutex_lock(&memdevs_lock);
	if (ptnet_memdev_find_locked(memdev->id))
		err = -EEXIST;
	else
		list_add_tail(&memdev->link, &memdevs);
	memdev->serial = ++memdevs_serial;
	mutex_unlock(&memdevs_lock);
	return err;
}

int ptnet_memdev_probe(struct pci_dev *pdev)
{
	struct ptnet_memdev *memdev;
	int err;

	memdev = kzalloc(sizeof(*memdev), GFP_KERNEL);
	if (!memdev)
		return -ENOMEM;
	kref_init(&memdev->kref);
	INIT_LIST_HEAD(&memdev->link);
	INIT_LIST_HEAD(&memdev->ports);
	init_rwsem(&memdev->map_lock);
	memdev->pdev = pdev;

	err = pci_enable_device(pdev);
	if (err)
		goto put;
	err = pci_request_regions(pdev, PTNET_DRIVER_NAME);
	if (err)
		goto disable;
	memdev->io = pci_iomap(pdev, PTNET_BAR_IO, 0);
	if (!memdev->io) {
		err = -ENOMEM;
		goto release;
	}
	err = ptnet_memdev_read_geometry(memdev);
	if (err)
		goto unmap_io;
	memdev->start = pci_resource_start(pdev, PTNET_BAR_MEM);
	/* The BAR is the host's RAM: cached like our own. */
	memdev->base = memremap(memdev->start, memdev->size, MEMREMAP_WB);
	if (!memdev->base) {
		err = -ENOMEM;
		goto unmap_io;
	}
	pci_set_master(pdev);
	err = ptnet_memdev_publish(memdev);
	if (err) {
		dev_err(&pdev->dev, "there is another region with memory id %u\n", memdev->id);
		goto unmap;
	}
	pci_set_drvdata(pdev, memdev);
	dev_info(&pdev->dev, "memory id %u: %llu bytes, %u buffers of %u\n", memdev->id,
		 memdev->size, memdev->buf_pool.objnum, memdev->buf_pool.objsz);
	return 0;

unmap:
	memunmap(memdev->base);
unmap_io:
	pci_iounmap(pdev, memdev->io);
release:
	pci_release_regions(pdev);
disable:
	pci_disable_device(pdev);
put:
	ptnet_memdev_put(memdev);
	return err;
}

/* Steps 1 and 2: afterwards no kernel code uses the region, nor finds it. */
static void ptnet_memdev_unpublish(struct ptnet_memdev *memdev)
{
	struct ptnet_port *port;

	mutex_lock(&memdevs_lock);
	list_del_init(&memdev->link);
	for (;;) {
		port = list_first_entry_or_null(&memdev->ports, struct ptnet_port, memdev_link);
		if (!port)
			break;
		/* In the list it is alive; port->lock comes before memdevs_lock. */
		ptnet_port_get(port);
		mutex_unlock(&memdevs_lock);
		ptnet_port_lose_region(port, memdev);
		ptnet_port_put(port);
		mutex_lock(&memdevs_lock);
	}
	mutex_unlock(&memdevs_lock);
}

void ptnet_memdev_remove(struct pci_dev *pdev)
{
	struct ptnet_memdev *memdev = pci_get_drvdata(pdev);

	ptnet_memdev_unpublish(memdev);

	down_write(&memdev->map_lock);
	memdev->gone = true;
	up_write(&memdev->map_lock);
	unmap_mapping_range(ptnet_memdev_mapping(), 0, 0, 1);

	memunmap(memdev->base);
	memdev->base = NULL;
	pci_iounmap(pdev, memdev->io);
	pci_release_regions(pdev);
	pci_disable_device(pdev);
	ptnet_memdev_put(memdev);
}
