/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packet offsets (spec/netmap-api.md section 7.5): packets of a ring that has them begin at
 * slot.ptr & offset_mask in their buffer. A ring has none when it is started; it keeps them until
 * it is stopped, that is, until its last user has gone. All port types take them; rings of VMs
 * never have any.
 */
#ifndef PTNET_PORT_OFFSETS_H
#define PTNET_PORT_OFFSETS_H

#include <net/netmap.h>

#include "port/port.h"

/*
 * Carries out a descriptor's OFFSETS option for the rings that it has bound: bit i of @rings and
 * @first_user stands for ring i of the port, TX rings before RX rings. Those in @first_user, which
 * have just been started, get the initial offset in every slot but those with packets of before,
 * which a pipe keeps. On success the option's nro_max_offset holds the greatest offset that is
 * allowed on all of the rings; nro_tx_align and nro_min_gap are of no consequence here. -EINVAL:
 * more than 64 bits, the maximum greater than a buffer or than the bits can say, the initial offset
 * greater than the maximum. -EBUSY: a ring has offsets already, and narrower ones. After an error
 * nothing has changed. Control thread; the port is its processes'.
 */
int port_set_offsets(struct port *port, uint32_t rings, uint32_t first_user,
		     struct nmreq_opt_offsets *option);

#endif
