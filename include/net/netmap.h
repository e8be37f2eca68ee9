/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * netmap's programming interface, API version 14: what a program that opens
 * /dev/netmap shares with the owner of the port. One copy of this header serves
 * programs, the host daemon, the guest driver and the tests.
 *
 * Every offset below is part of the ABI and pinned by a static assertion in
 * net/netmap_layout.h. Source of the facts: spec/netmap-api.md.
 */
#ifndef _NET_NETMAP_H_
#define _NET_NETMAP_H_

#ifdef __KERNEL__
#include <linux/ioctl.h>
#include <linux/types.h>
/* The kernel has no struct timeval any more; user space sees the same 16 bytes. */
struct netmap_timeval {
	int64_t tv_sec;
	int64_t tv_usec;
};
#define NETMAP_TIMEVAL struct netmap_timeval
#else
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/types.h>
#define NETMAP_TIMEVAL struct timeval
#endif

#define NETMAP_API     14 /* what programs put into version fields */
#define NETMAP_MIN_API 14 /* what NIOCCTRL accepts */
#define NETMAP_MAX_API 15

#define NETMAP_DEVICE_NAME  "/dev/netmap"
#define NM_BDG_NAME	    "vale"
#define NETMAP_REQ_IFNAMSIZ 64
#define NETMAP_REQ_MAXSIZE  4096
#define NETMAP_MAX_FRAGS    64 /* slots of one packet */

/* Indices of one ring inside its direction, and of slots, never exceed these. */
#define NETMAP_MAX_RINGS 256
#define NM_BDG_MAXRINGS	 16
#define NM_BDG_MAXSLOTS	 4096
#define NM_BDG_MAXPORTS	 254

/*
 * The owner of a port fills the fields that programs may only read; it defines
 * NETMAP_OWNER before including this header.
 */
#ifdef NETMAP_OWNER
#define NETMAP_RDONLY
#else
#define NETMAP_RDONLY const
#endif

/* ---- slots, rings, interfaces: shared memory (spec/netmap-api.md section 2) ---- */

/* One buffer's worth of packet. */
struct netmap_slot {
	uint32_t buf_idx; /* buffer number inside the memory region */
	uint16_t len;	  /* bytes of the packet in this buffer */
	uint16_t flags;	  /* NS_* */
	uint64_t ptr;	  /* user address (NS_INDIRECT) or packet offset */
};

#define NS_BUF_CHANGED	 0x0001 /* buf_idx or ptr changed since the last sync */
#define NS_REPORT	 0x0002 /* report this slot's completion */
#define NS_FORWARD	 0x0004 /* pass the packet to the other side when released */
#define NS_NO_LEARN	 0x0008 /* declared, never acted upon */
#define NS_INDIRECT	 0x0010 /* data is at ptr, in the sender's address space */
#define NS_MOREFRAG	 0x0020 /* the packet goes on in the next slot */
#define NS_TXMON	 0x0040 /* monitors: seen on the TX side */
#define NS_PORT_SHIFT	 8
#define NS_PORT_MASK	 (0xff << NS_PORT_SHIFT)
#define NS_RFRAGS(_slot) (((_slot)->flags >> 8) & 0xff)

/*
 * A ring. head and cur belong to the user, tail to the owner. Slots
 * [head, tail) are the user's, the rest are the owner's.
 */
struct netmap_ring {
	NETMAP_RDONLY int64_t buf_ofs; /* from this ring to buffer 0 */
	NETMAP_RDONLY uint32_t num_slots;
	NETMAP_RDONLY uint32_t nr_buf_size;
	NETMAP_RDONLY uint16_t ringid;
	NETMAP_RDONLY uint16_t dir; /* 0: TX, 1: RX */
	uint32_t head;		    /* first slot that is the user's */
	uint32_t cur;		    /* the user's wake-up point */
	uint32_t tail;		    /* first slot that is the owner's again */
	uint32_t flags;		    /* NR_TIMESTAMP, NR_FORWARD */
	NETMAP_TIMEVAL ts;	    /* time of the last RX sync */
	uint64_t offset_mask;	    /* valid bits of slot->ptr as packet offset */
	uint64_t buf_align;
	uint8_t __attribute__((__aligned__(128))) sem[128]; /* never touched by the owner */
	__extension__ struct netmap_slot slot[];
};

#define NR_TIMESTAMP 0x0002
#define NR_FORWARD   0x0004

#define NETMAP_SLOT_TX 0
#define NETMAP_SLOT_RX 1

/*
 * An interface as one file descriptor sees it. ring_ofs holds NIC TX, host TX,
 * NIC RX, host RX rings, relative to this structure; 0 where not bound.
 */
struct netmap_if {
	char ni_name[16];
	NETMAP_RDONLY uint32_t ni_version;
	NETMAP_RDONLY uint32_t ni_flags;
	NETMAP_RDONLY uint32_t ni_tx_rings;
	NETMAP_RDONLY uint32_t ni_rx_rings;
	uint32_t ni_bufs_head; /* list of extra buffers, 0: none */
	NETMAP_RDONLY uint32_t ni_host_tx_rings;
	NETMAP_RDONLY uint32_t ni_host_rx_rings;
	uint32_t ni_spare1[3];
	__extension__ NETMAP_RDONLY int64_t ring_ofs[];
};

#define NI_PRIV_MEM 0x1

/* ---- CSB: communication status block (spec/ptnet-device.md section 7) ---- */

/* Written by the application (or guest), read by the owner. One per ring. */
struct nm_csb_atok {
	uint32_t head;
	uint32_t cur;
	uint32_t appl_need_kick; /* non-zero: interrupt me when you make progress */
	uint32_t sync_flags;
	uint32_t pad[12];
};

/* Written by the owner, read by the application (or guest). One per ring. */
struct nm_csb_ktoa {
	uint32_t hwcur;
	uint32_t hwtail;
	uint32_t kern_need_kick; /* non-zero: kick me when you make progress */
	uint32_t pad[13];
};

/* ---- requests (spec/netmap-api.md sections 4 to 7) ---- */

struct nmreq_option {
	uint64_t nro_next;
	uint32_t nro_reqtype;
	uint32_t nro_status;
	uint64_t nro_size;
};

struct nmreq_header {
	uint16_t nr_version;
	uint16_t nr_reqtype;
	uint32_t nr_reserved;
	char nr_name[NETMAP_REQ_IFNAMSIZ];
	uint64_t nr_options;
	uint64_t nr_body;
};

enum {
	NETMAP_REQ_REGISTER = 1,
	NETMAP_REQ_PORT_INFO_GET,
	NETMAP_REQ_VALE_ATTACH,
	NETMAP_REQ_VALE_DETACH,
	NETMAP_REQ_VALE_LIST,
	NETMAP_REQ_PORT_HDR_SET,
	NETMAP_REQ_PORT_HDR_GET,
	NETMAP_REQ_VALE_NEWIF,
	NETMAP_REQ_VALE_DELIF,
	NETMAP_REQ_VALE_POLLING_ENABLE,
	NETMAP_REQ_VALE_POLLING_DISABLE,
	NETMAP_REQ_POOLS_INFO_GET,
	NETMAP_REQ_SYNC_KLOOP_START,
	NETMAP_REQ_SYNC_KLOOP_STOP,
	NETMAP_REQ_CSB_ENABLE,
};

enum {
	NETMAP_REQ_OPT_EXTMEM = 1,
	NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS,
	NETMAP_REQ_OPT_CSB,
	NETMAP_REQ_OPT_SYNC_KLOOP_MODE,
	NETMAP_REQ_OPT_OFFSETS,
	NETMAP_REQ_OPT_MAX, /* first unknown value */
};

struct nmreq_register {
	uint64_t nr_offset;
	uint64_t nr_memsize;
	uint32_t nr_tx_slots;
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings;
	uint16_t nr_rx_rings;
	uint16_t nr_host_tx_rings;
	uint16_t nr_host_rx_rings;
	uint16_t nr_mem_id;
	uint16_t nr_ringid;
	uint32_t nr_mode; /* NR_REG_* */
	uint32_t nr_extra_bufs;
	uint32_t pad1;
	uint64_t nr_flags;
};

enum {
	NR_REG_DEFAULT = 0, /* legacy ioctl only */
	NR_REG_ALL_NIC = 1,
	NR_REG_SW = 2,
	NR_REG_NIC_SW = 3,
	NR_REG_ONE_NIC = 4,
	NR_REG_PIPE_MASTER = 5, /* legacy ioctl only */
	NR_REG_PIPE_SLAVE = 6,	/* legacy ioctl only */
	NR_REG_NULL = 7,
	NR_REG_ONE_SW = 8,
};
#define NR_REG_MASK 0xf

#define NR_MONITOR_TX	   0x100
#define NR_MONITOR_RX	   0x200
#define NR_ZCOPY_MON	   0x400
#define NR_EXCLUSIVE	   0x800
#define NR_PTNETMAP_HOST   0x1000 /* historic; accepted and ignored */
#define NR_RX_RINGS_ONLY   0x2000
#define NR_TX_RINGS_ONLY   0x4000
#define NR_ACCEPT_VNET_HDR 0x8000
#define NR_DO_RX_POLL	   0x10000
#define NR_NO_TX_POLL	   0x20000

struct nmreq_port_info_get {
	uint64_t nr_memsize;
	uint32_t nr_tx_slots;
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings;
	uint16_t nr_rx_rings;
	uint16_t nr_host_tx_rings;
	uint16_t nr_host_rx_rings;
	uint16_t nr_mem_id;
	uint16_t pad[3];
};

struct nmreq_vale_attach {
	struct nmreq_register reg;
	uint32_t port_index;
	uint32_t pad1;
};

struct nmreq_vale_detach {
	uint32_t port_index;
	uint32_t pad1;
};

struct nmreq_vale_list {
	uint16_t nr_bridge_idx;
	uint16_t pad1;
	uint32_t nr_port_idx;
};

struct nmreq_port_hdr {
	uint32_t nr_hdr_len;
	uint32_t pad1;
};

struct nmreq_vale_newif {
	uint32_t nr_tx_slots;
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings;
	uint16_t nr_rx_rings;
	uint16_t nr_mem_id;
	uint16_t pad1;
};

struct nmreq_vale_polling {
	uint32_t nr_mode;
#define NETMAP_POLLING_MODE_SINGLE_CPU 1
#define NETMAP_POLLING_MODE_MULTI_CPU  2
	uint32_t nr_first_cpu_id;
	uint32_t nr_num_polling_cpus;
	uint32_t pad1;
};

struct nmreq_pools_info {
	uint64_t nr_memsize;
	uint16_t nr_mem_id;
	uint16_t pad1[3];
	uint64_t nr_if_pool_offset;
	uint32_t nr_if_pool_objtotal;
	uint32_t nr_if_pool_objsize;
	uint64_t nr_ring_pool_offset;
	uint32_t nr_ring_pool_objtotal;
	uint32_t nr_ring_pool_objsize;
	uint64_t nr_buf_pool_offset;
	uint32_t nr_buf_pool_objtotal;
	uint32_t nr_buf_pool_objsize;
};

struct nmreq_sync_kloop_start {
	uint32_t sleep_us;
	uint32_t pad1;
};

struct nmreq_opt_sync_kloop_eventfds {
	struct nmreq_option nro_opt;
	__extension__ struct {
		int32_t ioeventfd;
		int32_t irqfd;
	} eventfds[];
};

struct nmreq_opt_sync_kloop_mode {
	struct nmreq_option nro_opt;
#define NM_OPT_SYNC_KLOOP_DIRECT_TX 0x1
#define NM_OPT_SYNC_KLOOP_DIRECT_RX 0x2
	uint32_t mode;
	uint32_t pad1;
};

struct nmreq_opt_extmem {
	struct nmreq_option nro_opt;
	uint64_t nro_usrptr;
	struct nmreq_pools_info nro_info;
};

struct nmreq_opt_csb {
	struct nmreq_option nro_opt;
	uint64_t csb_atok;
	uint64_t csb_ktoa;
};

struct nmreq_opt_offsets {
	struct nmreq_option nro_opt;
	uint64_t nro_max_offset;
	uint64_t nro_initial_offset;
	uint32_t nro_offset_bits;
	uint32_t nro_tx_align;
	uint64_t nro_min_gap;
};

/* ---- legacy request (spec/netmap-api.md section 6) ---- */

struct nmreq {
	char nr_name[16];
	uint32_t nr_version;
	uint32_t nr_offset;
	uint32_t nr_memsize;
	uint32_t nr_tx_slots;
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings;
	uint16_t nr_rx_rings;
	uint16_t nr_ringid;
#define NETMAP_HW_RING	  0x4000
#define NETMAP_SW_RING	  0x2000
#define NETMAP_RING_MASK  0x0fff
#define NETMAP_NO_TX_POLL 0x1000
#define NETMAP_DO_RX_POLL 0x8000
	uint16_t nr_cmd;
#define NETMAP_BDG_ATTACH      1
#define NETMAP_BDG_DETACH      2
#define NETMAP_BDG_REGOPS      3
#define NETMAP_BDG_LIST	       4
#define NETMAP_BDG_VNET_HDR    5
#define NETMAP_BDG_OFFSET      NETMAP_BDG_VNET_HDR
#define NETMAP_BDG_NEWIF       6
#define NETMAP_BDG_DELIF       7
#define NETMAP_PT_HOST_CREATE  8
#define NETMAP_PT_HOST_DELETE  9
#define NETMAP_BDG_POLLING_ON  10
#define NETMAP_BDG_POLLING_OFF 11
#define NETMAP_VNET_HDR_GET    12
	uint16_t nr_arg1;
#define NETMAP_BDG_HOST 1
	uint16_t nr_arg2;
	uint32_t nr_arg3;
	uint32_t nr_flags;
	uint32_t spare2[1];
};

/* Private configuration of add-on switch modules; always refused here. */
struct nm_ifreq {
	char nifr_name[16];
	char data[256];
};

#define NIOCTXSYNC _IO('i', 148)
#define NIOCRXSYNC _IO('i', 149)
#define NIOCGINFO  _IOWR('i', 145, struct nmreq)
#define NIOCREGIF  _IOWR('i', 146, struct nmreq)
#define NIOCCONFIG _IOWR('i', 150, struct nm_ifreq)
#define NIOCCTRL   _IOWR('i', 151, struct nmreq_header)

/* True when the user owns no slot of the ring. */
static inline int nm_ring_empty(const struct netmap_ring *ring)
{
	return ring->head == ring->tail;
}

#include <net/netmap_layout.h>

#endif /* _NET_NETMAP_H_ */
