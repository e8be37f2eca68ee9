/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ptnetd and host processes say to each other: requests over a socket, and two
 * arrays of words per port in shared memory. Private to this version of ptnetmap: the
 * shim (shim/), the daemon (src/attach/local_*) and the tests include it; programs speak
 * netmap's interface to the shim.
 *
 * One connection to the daemon's netmap socket (UNIX, SEQPACKET) is one open
 * file description of /dev/netmap: the program's descriptor *is* the socket. So dup,
 * fork, exec and SCM_RIGHTS are the kernel's business, and the daemon sees the last
 * close, however the program ends.
 *
 * Several processes may hold that descriptor and make requests at the same time.
 * Therefore a request brings the socket for its reply: one message with one
 * descriptor, the end of a fresh SEQPACKET socketpair, on which the reply comes as one
 * message. A requester that dies in between disturbs nobody.
 *
 * Data goes through memory: the ring's own head, cur and tail are the program's view
 * (netmap's interface); the shim passes them on through the port's *local CSB*, one page
 * with an entry per ring in each direction, which all descriptors bound to the port share. The
 * protocol is ptnet/csb.h's, with these additions, since several processes may share one ring:
 *
 *  - appl_need_kick counts those who sleep: it is only ever added to and subtracted from,
 *    atomically. Who dies in his sleep, or has the ring closed under him, leaves it too high, which
 *    costs interrupts and nothing else; it starts at 0 when the ring gets its first user.
 *  - `sync_lock` is held by who syncs the ring. Others skip the ring, as netmap does
 *    (spec/netmap-api.md section 3.4).
 *  - `sync_request` and `sync_done`: a TXSYNC must not return before the port has taken the
 *    slots. It adds 1 to sync_request after publishing, kicks whatever kern_need_kick says, and
 *    waits until sync_done has reached its number. The daemon loads sync_request before it looks
 *    at head, and stores that number in sync_done once it has taken everything that it then saw;
 *    it interrupts if somebody sleeps.
 *  - `ring_fault`: sleepers are woken for it. PTNET_FAULT_GONE: the port is being deleted, or the
 *    ring's last user closed it while somebody still slept on it.
 *
 * Interrupts are eventfds, one per ring, shared by all who wait and read by nobody:
 * wait for them edge-triggered, with an epoll of one's own. Kicks likewise.
 */
#ifndef _PTNET_LOCAL_H_
#define _PTNET_LOCAL_H_

#include <net/netmap.h>
#include <ptnet/csb.h>
#include <ptnet/registers.h>

#define PTNET_LOCAL_VERSION 1
#define PTNET_LOCAL_SOCKET  "/run/ptnetd/netmap.sock"

/* ---- the local CSB: PTNET_MAX_RINGS atok entries, then as many ktoa entries ---- */

struct ptnet_local_atok {
	uint32_t head; /* as in struct nm_csb_atok */
	uint32_t cur;
	uint32_t appl_need_kick; /* number of sleepers */
	uint32_t sync_flags;
	uint32_t sync_request;
	uint32_t sync_lock;  /* 0, or the thread that syncs the ring: shim/ring_lock.h */
	uint32_t shown_tail; /* what the ring's tail was last set to: the owner's rtail */
	uint32_t pad[9];
};
NETMAP_PIN_SIZE(struct ptnet_local_atok, sizeof(struct nm_csb_atok));
NETMAP_PIN_OFFSET(struct ptnet_local_atok, sync_flags, 12);

struct ptnet_local_ktoa {
	uint32_t hwcur; /* as in struct ptnet_csb_ktoa */
	uint32_t hwtail;
	uint32_t kern_need_kick;
	uint32_t ring_fault;
	uint32_t sync_done;
	uint32_t pad[11];
};
NETMAP_PIN_SIZE(struct ptnet_local_ktoa, sizeof(struct nm_csb_ktoa));
NETMAP_PIN_OFFSET(struct ptnet_local_ktoa, ring_fault, 12);

struct ptnet_local_csb {
	struct ptnet_local_atok atok[PTNET_MAX_RINGS]; /* TX rings, then RX rings of the port */
	struct ptnet_local_ktoa ktoa[PTNET_MAX_RINGS];
};
NETMAP_PIN_SIZE(struct ptnet_local_csb, 4096);

/* ---- requests ---- */

enum ptnet_local_op {
	/* Carry out one NIOCCTRL request; body and options as below. */
	PTNET_LOCAL_CTRL = 1,
	/* Again what REGISTER answered, for a process that got the descriptor. ENXIO: not bound. */
	PTNET_LOCAL_JOIN = 2,
	/* Undo REGISTER: an option that only the shim looks at has failed. */
	PTNET_LOCAL_UNREGISTER = 3,
};

union ptnet_local_body {
	struct nmreq_register reg;
	struct nmreq_port_info_get port_info;
	struct nmreq_vale_attach vale_attach;
	struct nmreq_vale_detach vale_detach;
	struct nmreq_vale_list vale_list;
	struct nmreq_port_hdr port_hdr;
	struct nmreq_vale_newif vale_newif;
	struct nmreq_vale_polling vale_polling;
	struct nmreq_pools_info pools_info;
	uint8_t bytes[64];
};

/*
 * Options as the shim read them, each at most once. The shim checks the generic rules
 * (section 5.3 and 5.4), copies to and from the program, and serves CSB and KLOOP itself. EXTMEM:
 * the daemon makes a region of the wished geometry; the shim then maps it over the
 * program's pages.
 */
#define PTNET_LOCAL_OPT_EXTMEM	1u
#define PTNET_LOCAL_OPT_OFFSETS 2u

struct ptnet_local_options {
	uint32_t present; /* PTNET_LOCAL_OPT_* */
	uint32_t pad;
	struct nmreq_pools_info extmem; /* in: wished; out: as made */
	struct nmreq_opt_offsets offsets;
	/* out, errno values; of no meaning for options that are not present */
	uint32_t extmem_status;
	uint32_t offsets_status;
};

struct ptnet_local_request {
	uint32_t version; /* PTNET_LOCAL_VERSION */
	uint32_t op;
	uint16_t reqtype; /* CTRL */
	uint16_t pad[3];
	char name[NETMAP_REQ_IFNAMSIZ];
	union ptnet_local_body body;
	struct ptnet_local_options options;
};

/* ---- replies ---- */

#define PTNET_LOCAL_VALE 1u /* slots may be NS_INDIRECT: the shim fetches the data */
#define PTNET_LOCAL_NULL 2u /* syncs do nothing */

/* What a bound descriptor needs. */
struct ptnet_local_binding {
	uint64_t map_size; /* bytes of the region's file */
	uint64_t memsize;  /* bytes that programs know of: the pools */
	uint64_t nifp_offset;
	uint64_t nr_flags; /* of REGISTER */
	uint32_t nr_mode;
	uint16_t nr_ringid;
	uint16_t mem_id;
	uint32_t flags;	   /* PTNET_LOCAL_VALE, ... */
	uint16_t tx_rings; /* of the port: RX ring j has entry tx_rings + j of the CSB */
	uint16_t rx_rings;
	uint16_t first_tx, num_tx; /* bound */
	uint16_t first_rx, num_rx;
	uint32_t look_max_us; /* how long to look before one sleeps, at most; 0: not at all */
	uint32_t pad;
	uint64_t ring_ofs[PTNET_MAX_RINGS]; /* bytes from the region's start: bound TX rings, then
					       RX */
};

/*
 * The descriptors that come with a binding, in this order: the region's file (map it shared, from
 * 0), the local CSB's file, then for each bound TX ring and after them each bound RX ring its kick
 * and its interrupt. A null port has no CSB and no ring descriptors.
 */
#define PTNET_LOCAL_FD_REGION 0
#define PTNET_LOCAL_FD_CSB    1
#define PTNET_LOCAL_FD_RINGS  2
#define PTNET_LOCAL_MAX_FDS   (PTNET_LOCAL_FD_RINGS + 2 * PTNET_MAX_RINGS)

struct ptnet_local_reply {
	uint32_t version;
	int32_t error; /* 0, or an errno value: nothing was done and the body is unchanged */
	char name[NETMAP_REQ_IFNAMSIZ];
	union ptnet_local_body body;
	struct ptnet_local_options options; /* also after an error: the statuses */
	uint32_t bound;			    /* 1: `binding` and descriptors are there */
	uint32_t pad;
	struct ptnet_local_binding binding;
	char message[256]; /* of an error: for people; the shim shows it if asked to */
};

#endif /* _PTNET_LOCAL_H_ */
