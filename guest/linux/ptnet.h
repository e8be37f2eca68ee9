/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The driver's own view of its objects, shared by its files and by nobody else.
 *
 *   memdev   one ptnetmap-memdev function: a memory region (memdev.c)
 *   port     one ptnet function: the PCI side (port_pci.c), registers and CSB
 *            (port_device.c), who uses it (port.c)
 *   ring     one ring of a port (ring.h, ring.c)
 *   netdev   the port as a network interface (netdev.c, ethtool.c)
 *   binding  the port, or some rings of it, held by an open /dev/netmap
 *            (netmap_dev.c, netmap_ctrl.c, netmap_sync.c)
 *
 * Lifetimes. PCI functions may vanish at any time, open descriptors and mappings
 * live as long as their program likes. So memdev and port are reference counted
 * shells: removal first makes the object unreachable and stops every user of the
 * hardware, then unmaps the BARs, and the last reference frees the shell. No
 * descriptor ever holds a reference to the net_device, whose removal would wait
 * for it.
 *
 * Lock order: rtnl_lock, file->lock, port->lock, then memdevs_lock (memdev.c) or a
 * queue's TX lock or ring->lock. mmap_lock comes before region->map_lock and is never
 * taken (no user access, that is) with port->lock or anything after it held.
 */
#ifndef PTNET_H
#define PTNET_H

#include <linux/etherdevice.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/poll.h>
#include <linux/rtnetlink.h>
#include <linux/rwsem.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "ring.h"
#include <ptnet/registers.h>

#define PTNET_DRIVER_NAME    "ptnet"
#define PTNET_DRIVER_VERSION "0.1.0"

#define PTNET_VNET_HDR_LEN 12 /* the only length besides 0 that is of use */

/* One pool of a region (spec/ports.md section 8.2). */
struct ptnet_pool {
	u64 offset;
	u32 objnum;
	u32 objsz;
};

struct ptnet_memdev {
	struct kref kref;
	struct list_head link;	/* in memdevs, under memdevs_lock */
	struct list_head ports; /* ports that are active in this region, likewise */

	/* Set at probe, constant. */
	struct pci_dev *pdev; /* valid until removal */
	u64 serial;	      /* no other region ever has the same */
	u16 id;
	u64 size; /* of the region; a multiple of 4096 */
	phys_addr_t start;
	struct ptnet_pool if_pool;
	struct ptnet_pool ring_pool;
	struct ptnet_pool buf_pool;

	/* Kernel's mapping. Valid for a port from attach to detach. */
	void *base;
	void __iomem *io;

	struct rw_semaphore map_lock; /* orders page faults and removal */
	bool gone;		      /* under map_lock */
};

struct ptnet_port {
	struct kref kref;

	/* Set at probe, constant until removal is under way. */
	struct pci_dev *pdev;
	void __iomem *io;
	void __iomem *doorbell; /* BAR 3: kicks that QEMU posts; NULL if there is none */
	struct net_device *netdev;
	unsigned int num_rings[PTNET_DIRS];
	unsigned int num_queues; /* ring pairs that the stack uses */
	struct ptnet_ring *rings[PTNET_DIRS];
	void *csb_pages; /* classic CSB: two pages; NULL with the extension */
	dma_addr_t csb_dma;

	/* Set by negotiation, at probe and resume; constant in between. */
	u32 features; /* PTNET_F_* that the host acked */
	bool use_doorbell;
	u32 max_frame; /* Ethernet header included */
	u16 mem_id;
	u32 num_slots[PTNET_DIRS];
	u32 nifp_ofs;

	struct mutex lock; /* everything from here to wait */
	bool gone;	   /* the function was removed */
	bool suspended;
	bool active;	    /* CREATE succeeded; the rings are alive */
	bool stack_up;	    /* the interface is up */
	unsigned int bound; /* netmap descriptors bound, in the present epoch */
	unsigned int epoch; /* counts losses of the region or the device: older bindings are
			     * dead. Written under port->lock, read anywhere */
	struct ptnet_memdev *memdev;  /* while active */
	u64 bound_serial;	      /* region that the bindings are of, 0: none yet */
	u32 bound_ofs;		      /* and nifp_ofs, likewise */
	struct list_head memdev_link; /* in memdev->ports, under memdevs_lock */
	unsigned int vnet_hdr_len;    /* 0 or 12; changes only while inactive */
	u64 layout_serial;	      /* region in which the rings' places were learnt, 0: none */
	u32 layout_ofs;		      /* nifp_ofs when they were */
	u32 nifp_flags;		      /* ni_flags as the host had set it */

	wait_queue_head_t wait[PTNET_DIRS]; /* descriptors bound to all rings */
	struct delayed_work link_work;	    /* while the link is down, or a queue is stopped */
};

/* What ndo_* and ethtool find behind a net_device. */
struct ptnet_netdev_priv {
	struct ptnet_port *port;
};

static inline struct ptnet_port *ptnet_netdev_port(const struct net_device *netdev)
{
	return ((struct ptnet_netdev_priv *)netdev_priv(netdev))->port;
}

static inline const char *ptnet_dir_name(enum ptnet_ring_dir dir)
{
	return dir == PTNET_TX ? "tx" : "rx";
}

#define for_each_ring(port, dir, i, ring)                                                          \
	for ((dir) = PTNET_TX; (dir) < PTNET_DIRS; (dir)++)                                        \
		for ((i) = 0; (i) < (port)->num_rings[dir] && ((ring) = &(port)->rings[dir][i]);   \
		     (i)++)

/* Registers of the ptnet function. A device that was pulled out reads all ones. */
static inline u32 ptnet_port_read(struct ptnet_port *port, unsigned int reg)
{
	return ioread32(port->io + reg);
}

static inline void ptnet_port_write(struct ptnet_port *port, unsigned int reg, u32 value)
{
	iowrite32(value, port->io + reg);
}

#define PTNET_ALL_ONES (~(u32)0)

/* Can the port's header say what is left to do about a frame (section 4.1)? */
static inline bool ptnet_port_has_offloads(const struct ptnet_port *port)
{
	return port->vnet_hdr_len && port->features & PTNET_F_VNET_HDR;
}

/*
 * Rings [first, first + count) in each direction, as bound by one descriptor.
 * Lives inside struct ptnet_file and is constant from bind to unbind.
 */
struct ptnet_binding {
	struct ptnet_port *port;     /* a reference */
	struct ptnet_memdev *memdev; /* a reference */
	unsigned int epoch;	     /* dead when port->epoch has moved on */
	u32 nifp_ofs;		     /* what the reply says, as it was in that epoch */
	u32 num_slots[PTNET_DIRS];
	unsigned int first[PTNET_DIRS];
	unsigned int count[PTNET_DIRS];
	u64 flags; /* NR_* of the request */
};

/* memdev.c */
int ptnet_memdev_probe(struct pci_dev *pdev);
void ptnet_memdev_remove(struct pci_dev *pdev);
struct ptnet_memdev *ptnet_memdev_get(u16 id);
void ptnet_memdev_ref(struct ptnet_memdev *memdev);
void ptnet_memdev_put(struct ptnet_memdev *memdev);
struct ptnet_memdev *ptnet_memdev_attach(u16 id, struct ptnet_port *port);
void ptnet_memdev_detach(struct ptnet_memdev *memdev, struct ptnet_port *port);
void *ptnet_memdev_at(const struct ptnet_memdev *memdev, u64 offset, u64 size, u32 align);
struct address_space *ptnet_memdev_mapping(void);
int ptnet_memdev_mmap(struct ptnet_memdev *memdev, struct vm_area_struct *vma);
int ptnet_memdev_fs_init(void);
void ptnet_memdev_fs_exit(void);

/* port_pci.c */
int ptnet_port_probe(struct pci_dev *pdev);
void ptnet_port_remove(struct pci_dev *pdev);
void ptnet_port_shutdown(struct pci_dev *pdev);
void ptnet_port_suspend(struct pci_dev *pdev);
int ptnet_port_resume(struct pci_dev *pdev);

/* port_device.c */
int ptnet_port_negotiate(struct ptnet_port *port);
int ptnet_port_negotiate_header(struct ptnet_port *port);
int ptnet_port_read_geometry(struct ptnet_port *port);
void ptnet_port_withdraw_csb_pages(struct ptnet_port *port);
void ptnet_port_free_csb_pages(struct ptnet_port *port);
int ptnet_port_activate(struct ptnet_port *port);
void ptnet_port_deactivate(struct ptnet_port *port);
void ptnet_port_restore(struct ptnet_port *port);

/* port.c */
int ptnet_port_update(struct ptnet_port *port);
void ptnet_port_lose(struct ptnet_port *port);
void ptnet_port_get(struct ptnet_port *port);
void ptnet_port_put(struct ptnet_port *port);
int ptnet_port_stack_up(struct ptnet_port *port);
void ptnet_port_stack_down(struct ptnet_port *port);
int ptnet_port_bind(struct ptnet_port *port, struct ptnet_binding *binding);
void ptnet_port_unbind(struct ptnet_binding *binding);
void ptnet_port_lose_region(struct ptnet_port *port, struct ptnet_memdev *memdev);

/* netdev.c */
struct net_device *ptnet_netdev_create(struct ptnet_port *port, const u8 *mac);
struct ptnet_port *ptnet_netdev_find(struct net *net, const char *name);
void ptnet_netdev_limit_mtu(struct ptnet_port *port);
void ptnet_netdev_enter(struct ptnet_ring *ring);
void ptnet_netdev_leave(struct ptnet_ring *ring);
void ptnet_netdev_interrupt(struct ptnet_ring *ring);
void ptnet_netdev_link_work(struct work_struct *work);
void ptnet_netdev_check_link(struct ptnet_port *port);

/* ethtool.c */
extern const struct ethtool_ops ptnet_ethtool_ops;

/* netmap_sync.c */
#define PTNET_SYNC_READY 1 /* cur != tail */
#define PTNET_SYNC_RESET 2 /* head or cur was invalid */

#define PTNET_SYNC_FORCE    0x1 /* report everything that is done */
#define PTNET_SYNC_ARM	    0x2 /* if there is nothing, ask for an interrupt */
#define PTNET_SYNC_IF_MOVED 0x4 /* skip the ring unless the program moved head */

int ptnet_netmap_sync(struct ptnet_ring *ring, unsigned int epoch, unsigned int flags);
void ptnet_netmap_show(struct ptnet_ring *ring);
void ptnet_netmap_enter(struct ptnet_ring *ring);
void ptnet_netmap_leave(struct ptnet_ring *ring);
void ptnet_netmap_release(struct ptnet_ring *ring);
void ptnet_netmap_interrupt(struct ptnet_ring *ring);

/* netmap_ctrl.c */
struct ptnet_file {
	struct mutex lock;	       /* one REGISTER at a time */
	struct ptnet_binding *binding; /* set once, released with the file: read it with
					* smp_load_acquire() */

	/* For who waited for the descriptor before it was bound, see ptnet_file_relay(). */
	wait_queue_head_t wait;
	bool relayed; /* under lock */
	wait_queue_entry_t relay[PTNET_DIRS];
};

long ptnet_ctrl(struct file *file, void __user *arg);
long ptnet_ctrl_legacy(struct file *file, unsigned int cmd, void __user *arg);

/* netmap_dev.c */
void ptnet_file_relay(struct ptnet_file *f);
int ptnet_netmap_dev_init(void);
void ptnet_netmap_dev_exit(void);

/* pci.c: module parameters */
extern bool ptnet_region_csb;
extern bool ptnet_vnet_hdr;

#endif /* PTNET_H */
