/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * How many bytes of a NIOCCTRL request's body and options there are to copy from the program
 * (spec/netmap-api.md sections 5.2 and 5.4). For whoever is behind /dev/netmap: the guest driver
 * and the shim. Freestanding.
 */
#ifndef _PTNET_REQUESTS_H_
#define _PTNET_REQUESTS_H_

#include <net/netmap.h>

/* Size of the body by request type; 0: it has none, or there is no such type. */
static inline uint32_t ptnet_body_size(uint16_t type)
{
	switch (type) {
	case NETMAP_REQ_REGISTER:
		return sizeof(struct nmreq_register);
	case NETMAP_REQ_PORT_INFO_GET:
		return sizeof(struct nmreq_port_info_get);
	case NETMAP_REQ_VALE_ATTACH:
		return sizeof(struct nmreq_vale_attach);
	case NETMAP_REQ_VALE_DETACH:
		return sizeof(struct nmreq_vale_detach);
	case NETMAP_REQ_VALE_LIST:
		return sizeof(struct nmreq_vale_list);
	case NETMAP_REQ_PORT_HDR_SET:
	case NETMAP_REQ_PORT_HDR_GET:
		return sizeof(struct nmreq_port_hdr);
	case NETMAP_REQ_VALE_NEWIF:
		return sizeof(struct nmreq_vale_newif);
	case NETMAP_REQ_VALE_POLLING_ENABLE:
	case NETMAP_REQ_VALE_POLLING_DISABLE:
		return sizeof(struct nmreq_vale_polling);
	case NETMAP_REQ_POOLS_INFO_GET:
		return sizeof(struct nmreq_pools_info);
	case NETMAP_REQ_SYNC_KLOOP_START:
		return sizeof(struct nmreq_sync_kloop_start);
	default:
		return 0;
	}
}

/*
 * Whole size of an option. That of the eventfds is the program's to say, and so may be anything
 * from a header's on; of an unknown type only the header is read.
 */
static inline uint64_t ptnet_option_size(const struct nmreq_option *option)
{
	switch (option->nro_reqtype) {
	case NETMAP_REQ_OPT_EXTMEM:
		return sizeof(struct nmreq_opt_extmem);
	case NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS:
		return option->nro_size < sizeof(*option) ? sizeof(*option) : option->nro_size;
	case NETMAP_REQ_OPT_CSB:
		return sizeof(struct nmreq_opt_csb);
	case NETMAP_REQ_OPT_SYNC_KLOOP_MODE:
		return sizeof(struct nmreq_opt_sync_kloop_mode);
	case NETMAP_REQ_OPT_OFFSETS:
		return sizeof(struct nmreq_opt_offsets);
	default:
		return sizeof(*option);
	}
}

#endif /* _PTNET_REQUESTS_H_ */
