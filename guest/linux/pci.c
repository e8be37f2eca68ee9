// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The module and its PCI driver, for both functions: ptnetmap-memdev and ptnet.
 *
 * QEMU's root port and xHCI controller have the same two ids (spec/ptnet-device.md
 * section 2). The table therefore asks for class and subsystem as well, so that the
 * kernel never even offers us those.
 */
#include <linux/module.h>

#include "ptnet.h"

bool ptnet_region_csb = true;
module_param_named(region_csb, ptnet_region_csb, bool, 0444);
MODULE_PARM_DESC(region_csb,
		 "Use the CSB in the memory region if the host offers it (default: true)");

bool ptnet_vnet_hdr;
module_param_named(vnet_hdr, ptnet_vnet_hdr, bool, 0444);
MODULE_PARM_DESC(vnet_hdr, "Ask for virtio-net headers and offloads (default: false)");

/* What the two kinds of function do when the PCI core calls. */
struct ptnet_function {
	unsigned int io_size; /* BAR 0 must have room for that */
	int (*probe)(struct pci_dev *pdev);
	void (*remove)(struct pci_dev *pdev);
	void (*shutdown)(struct pci_dev *pdev);
	void (*suspend)(struct pci_dev *pdev);
	int (*resume)(struct pci_dev *pdev);
};

/* A region has no state of its own: nothing to do at shutdown, suspend and resume. */
static const struct ptnet_function ptnet_function_memdev = {
	.io_size = PTNET_MDEV_IO_END,
	.probe = ptnet_memdev_probe,
	.remove = ptnet_memdev_remove,
};

static const struct ptnet_function ptnet_function_netif = {
	.io_size = PTNET_IO_BAR_SIZE,
	.probe = ptnet_port_probe,
	.remove = ptnet_port_remove,
	.shutdown = ptnet_port_shutdown,
	.suspend = ptnet_port_suspend,
	.resume = ptnet_port_resume,
};

#define PTNET_PCI_ID(_device, _class, _function)                                                   \
	{                                                                                          \
		.vendor = PTNET_PCI_VENDOR, .device = (_device), .subvendor = PTNET_PCI_SUBVENDOR, \
		.subdevice = PTNET_PCI_SUBDEVICE, .class = (_class), .class_mask = 0xffffff,       \
		.driver_data = (kernel_ulong_t) & (_function),                                     \
	}

static const struct pci_device_id ptnet_pci_ids[] = {
	PTNET_PCI_ID(PTNET_PCI_DEVICE_MEMDEV, PTNET_PCI_CLASS_MEMDEV, ptnet_function_memdev),
	PTNET_PCI_ID(PTNET_PCI_DEVICE_NETIF, PTNET_PCI_CLASS_NETIF, ptnet_function_netif),
	{}};
MODULE_DEVICE_TABLE(pci, ptnet_pci_ids);

static const struct ptnet_function *ptnet_pci_function(struct pci_dev *pdev)
{
	return (const struct ptnet_function *)pci_match_id(ptnet_pci_ids, pdev)->driver_data;
}

static int ptnet_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	/* An id written to new_id brings no function with it. */
	if (!pci_match_id(ptnet_pci_ids, pdev))
		return -ENODEV;
	if (!(pci_resource_flags(pdev, PTNET_BAR_IO) & (IORESOURCE_IO | IORESOURCE_MEM)) ||
	    pci_resource_len(pdev, PTNET_BAR_IO) < ptnet_pci_function(pdev)->io_size) {
		dev_err(&pdev->dev, "BAR 0 of %llu bytes is too small for the registers\n",
			(u64)pci_resource_len(pdev, PTNET_BAR_IO));
		return -ENODEV;
	}
	return ptnet_pci_function(pdev)->probe(pdev);
}

static void ptnet_pci_remove(struct pci_dev *pdev)
{
	ptnet_pci_function(pdev)->remove(pdev);
}

static void ptnet_pci_shutdown(struct pci_dev *pdev)
{
	if (ptnet_pci_function(pdev)->shutdown)
		ptnet_pci_function(pdev)->shutdown(pdev);
}

static int ptnet_pci_suspend(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);

	if (ptnet_pci_function(pdev)->suspend)
		ptnet_pci_function(pdev)->suspend(pdev);
	return 0;
}

static int ptnet_pci_resume(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);

	if (ptnet_pci_function(pdev)->resume)
		return ptnet_pci_function(pdev)->resume(pdev);
	return 0;
}

static DEFINE_SIMPLE_DEV_PM_OPS(ptnet_pm_ops, ptnet_pci_suspend, ptnet_pci_resume);

/* A reset of the function is to the driver what a suspension is. */
static void ptnet_pci_reset_prepare(struct pci_dev *pdev)
{
	ptnet_pci_suspend(&pdev->dev);
}

static void ptnet_pci_reset_done(struct pci_dev *pdev)
{
	ptnet_pci_resume(&pdev->dev); /* which says so when it fails */
}

static const struct pci_error_handlers ptnet_pci_error_handlers = {
	.reset_prepare = ptnet_pci_reset_prepare,
	.reset_done = ptnet_pci_reset_done,
};

static struct pci_driver ptnet_pci_driver = {
	.name = PTNET_DRIVER_NAME,
	.id_table = ptnet_pci_ids,
	.probe = ptnet_pci_probe,
	.remove = ptnet_pci_remove,
	.shutdown = ptnet_pci_shutdown,
	.err_handler = &ptnet_pci_error_handlers,
	.driver.pm = pm_sleep_ptr(&ptnet_pm_ops),
};

static int __init ptnet_init(void)
{
	int err;

	err = ptnet_memdev_fs_init();
	if (err)
		return err;
	err = ptnet_netmap_dev_init();
	if (err)
		goto fs_exit;
	err = pci_register_driver(&ptnet_pci_driver);
	if (err)
		goto dev_exit;
	return 0;

dev_exit:
	ptnet_netmap_dev_exit();
fs_exit:
	ptnet_memdev_fs_exit();
	return err;
}

/* No descriptor of /dev/netmap is open: each holds the module. */
static void __exit ptnet_exit(void)
{
	pci_unregister_driver(&ptnet_pci_driver);
	ptnet_netmap_dev_exit();
	ptnet_memdev_fs_exit();
}

module_init(ptnet_init);
module_exit(ptnet_exit);

MODULE_DESCRIPTION("ptnetmap guest driver: network interface and netmap port");
MODULE_VERSION(PTNET_DRIVER_VERSION);
MODULE_LICENSE("Dual BSD/GPL");
