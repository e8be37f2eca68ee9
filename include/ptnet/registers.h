/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Registers of the two PCI devices, ptnetmap-memdev and ptnet, as netmap's
 * guest drivers know them (spec/ptnet-device.md sections 2 to 4), and our
 * extension in the ABI's unused space. Shared by the daemon, the Linux guest
 * driver and the tests; freestanding.
 */
#ifndef _PTNET_REGISTERS_H_
#define _PTNET_REGISTERS_H_

/* ---- PCI identity (section 2) ---- */

#define PTNET_PCI_VENDOR	0x1b36
#define PTNET_PCI_DEVICE_MEMDEV 0x000c /* also QEMU's pcie-root-port */
#define PTNET_PCI_DEVICE_NETIF	0x000d /* also QEMU's qemu-xhci */
#define PTNET_PCI_SUBVENDOR	0x1af4
#define PTNET_PCI_SUBDEVICE	0x1100
#define PTNET_PCI_CLASS_MEMDEV	0x00ff00 /* class, subclass, prog-if */
#define PTNET_PCI_CLASS_NETIF	0x020000

#define PTNET_BAR_IO		0 /* both devices */
#define PTNET_BAR_MEM		1 /* memdev: the region (64-bit: BARs 1 and 2) */
#define PTNET_BAR_MSIX		2 /* ptnet: table and PBA */
#define PTNET_BAR_MSIX_SIZE	4096
#define PTNET_MSIX_PBA_OFS	0x800
#define PTNET_BAR_DOORBELL	3 /* ptnet, extension: memory, kicks only */
#define PTNET_BAR_DOORBELL_SIZE 4096

/* ---- memdev registers, all read-only (section 3) ---- */

#define PTNET_MDEV_IO_MEMSIZE_LO       0
#define PTNET_MDEV_IO_MEMSIZE_HI       4
#define PTNET_MDEV_IO_MEMID	       8
#define PTNET_MDEV_IO_IF_POOL_OFS      64
#define PTNET_MDEV_IO_IF_POOL_OBJNUM   68
#define PTNET_MDEV_IO_IF_POOL_OBJSZ    72
#define PTNET_MDEV_IO_RING_POOL_OFS    76
#define PTNET_MDEV_IO_RING_POOL_OBJNUM 80
#define PTNET_MDEV_IO_RING_POOL_OBJSZ  84
#define PTNET_MDEV_IO_BUF_POOL_OFS     88
#define PTNET_MDEV_IO_BUF_POOL_OBJNUM  92
#define PTNET_MDEV_IO_BUF_POOL_OBJSZ   96
#define PTNET_MDEV_IO_END	       100
#define PTNET_MDEV_IO_BAR_SIZE	       128

/* ---- ptnet registers (section 4) ---- */

#define PTNET_IO_PTFEAT	      0
#define PTNET_IO_PTCTL	      4
#define PTNET_IO_MAC_LO	      8
#define PTNET_IO_MAC_HI	      12
#define PTNET_IO_CSBBAH	      16 /* deprecated: writes ignored */
#define PTNET_IO_CSBBAL	      20 /* deprecated: writes ignored */
#define PTNET_IO_NIFP_OFS     24
#define PTNET_IO_NUM_TX_RINGS 28
#define PTNET_IO_NUM_RX_RINGS 32
#define PTNET_IO_NUM_TX_SLOTS 36
#define PTNET_IO_NUM_RX_SLOTS 40
#define PTNET_IO_VNET_HDR_LEN 44
#define PTNET_IO_HOSTMEMID    48
#define PTNET_IO_CSB_GH_BAH   52
#define PTNET_IO_CSB_GH_BAL   56
#define PTNET_IO_CSB_HG_BAH   60
#define PTNET_IO_CSB_HG_BAL   64
#define PTNET_IO_KICK_BASE    128 /* + 4 * ring: TX rings, then RX rings */
#define PTNET_IO_BAR_SIZE     256
#define PTNET_MAX_RINGS	      32 /* TX and RX together: room for kicks in BAR 0 */

#define PTNET_PTCTL_CREATE 1
#define PTNET_PTCTL_DELETE 2

#define PTNET_F_VNET_HDR 1 /* packets carry a 12-byte virtio-net header */

/*
 * ---- extension ----
 *
 * A driver that writes PTNET_F_REGION_CSB to PTFEAT and reads it back uses the
 * CSB inside the memory region (memdev BAR 1), at the offsets below, instead of
 * pages of guest RAM. It then
 *  - never writes the CSB_*_BA* registers: the daemon maps no guest memory;
 *  - executes a full barrier between storing head and loading kern_need_kick
 *    (ptnet/csb.h does), so that the daemon need not look again after a while;
 *  - finds in each host-to-guest entry the reason why the daemon stopped the
 *    ring (struct ptnet_csb_ktoa, ptnet/csb.h).
 * A host without the extension reads 0 in all of these registers.
 */
#define PTNET_F_REGION_CSB 2

#define PTNET_IO_EXT_CSB_GH_OFS_LO 72 /* R: offset of the guest-to-host array in BAR 1 */
#define PTNET_IO_EXT_CSB_GH_OFS_HI 76
#define PTNET_IO_EXT_CSB_HG_OFS_LO 80 /* R: offset of the host-to-guest array */
#define PTNET_IO_EXT_CSB_HG_OFS_HI 84
#define PTNET_IO_EXT_MAX_FRAME	   88 /* R: longest frame the port takes, bytes */
#define PTNET_IO_EXT_LINK	   92 /* R: bit 0: the port's link is up */
#define PTNET_IO_EXT_FLAGS	   96 /* R: PTNET_EXT_FLAG_* */
#define PTNET_IO_EXT_END	   100

/* The port is one end of a zero-copy pipe: what it sends is not copied. */
#define PTNET_EXT_FLAG_PIPE 1
/*
 * A 4-byte write of any value to BAR 3 at 4 * ring is a kick, as at
 * PTNET_IO_KICK_BASE in BAR 0. QEMU awaits a reply to every write to an I/O BAR but
 * posts those to a memory BAR, so such a kick does not wait for the daemon.
 */
#define PTNET_EXT_FLAG_DOORBELL 2

#endif /* _PTNET_REGISTERS_H_ */
