/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of NIOCCTRL: taken from the program, carried out, answered
 * (spec/netmap-api.md sections 5 and 7).
 */
#ifndef PTNET_SHIM_REQUEST_H
#define PTNET_SHIM_REQUEST_H

#include <stdint.h>

#include <ptnet/local.h>

#include "description.h"

/* One request, out of the program's reach. */
struct request {
	uint16_t type;
	char name[NETMAP_REQ_IFNAMSIZ];
	union request_body {
		union ptnet_local_body common;
		struct nmreq_register reg;
		struct nmreq_port_info_get port_info;
		struct nmreq_vale_attach vale_attach;
		struct nmreq_vale_detach vale_detach;
		struct nmreq_vale_list vale_list;
		struct nmreq_port_hdr port_hdr;
		struct nmreq_vale_newif vale_newif;
		struct nmreq_vale_polling vale_polling;
		struct nmreq_sync_kloop_start kloop_start;
	} body;
};

/* The ioctls; @argument is the program's. 0 or negative errno. @fd: a descriptor of @d's. */
int request_control(struct description *d, int fd, uint64_t argument);
int request_legacy(struct description *d, int fd, uint64_t argument, int register_ioctl);

#endif
