/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Pins every size and offset of net/netmap.h (spec/netmap-api.md): a change that
 * would break an existing binary does not compile.
 */
#ifndef _NET_NETMAP_LAYOUT_H_
#define _NET_NETMAP_LAYOUT_H_

#if defined(__cplusplus) && __cplusplus < 201103L
/* C++98 cannot assert; everyone else has. The type keeps the semicolon after each line legal. */
#define NETMAP_PIN(cond) struct netmap_nothing_to_pin
#elif defined(__cplusplus)
#define NETMAP_PIN(cond) static_assert(cond, #cond)
#else
#define NETMAP_PIN(cond) _Static_assert(cond, #cond)
#endif
#define NETMAP_PIN_SIZE(type, size)	 NETMAP_PIN(sizeof(type) == (size))
#define NETMAP_PIN_OFFSET(type, f, offs) NETMAP_PIN(__builtin_offsetof(type, f) == (offs))

NETMAP_PIN_SIZE(struct netmap_slot, 16);
NETMAP_PIN_OFFSET(struct netmap_slot, buf_idx, 0);
NETMAP_PIN_OFFSET(struct netmap_slot, len, 4);
NETMAP_PIN_OFFSET(struct netmap_slot, flags, 6);
NETMAP_PIN_OFFSET(struct netmap_slot, ptr, 8);

NETMAP_PIN_SIZE(struct netmap_ring, 256);
NETMAP_PIN_OFFSET(struct netmap_ring, buf_ofs, 0);
NETMAP_PIN_OFFSET(struct netmap_ring, num_slots, 8);
NETMAP_PIN_OFFSET(struct netmap_ring, nr_buf_size, 12);
NETMAP_PIN_OFFSET(struct netmap_ring, ringid, 16);
NETMAP_PIN_OFFSET(struct netmap_ring, dir, 18);
NETMAP_PIN_OFFSET(struct netmap_ring, head, 20);
NETMAP_PIN_OFFSET(struct netmap_ring, cur, 24);
NETMAP_PIN_OFFSET(struct netmap_ring, tail, 28);
NETMAP_PIN_OFFSET(struct netmap_ring, flags, 32);
NETMAP_PIN_OFFSET(struct netmap_ring, ts, 40);
NETMAP_PIN_OFFSET(struct netmap_ring, offset_mask, 56);
NETMAP_PIN_OFFSET(struct netmap_ring, buf_align, 64);
NETMAP_PIN_OFFSET(struct netmap_ring, sem, 128);
NETMAP_PIN_OFFSET(struct netmap_ring, slot, 256);

NETMAP_PIN_SIZE(struct netmap_if, 56);
NETMAP_PIN_OFFSET(struct netmap_if, ni_name, 0);
NETMAP_PIN_OFFSET(struct netmap_if, ni_version, 16);
NETMAP_PIN_OFFSET(struct netmap_if, ni_flags, 20);
NETMAP_PIN_OFFSET(struct netmap_if, ni_tx_rings, 24);
NETMAP_PIN_OFFSET(struct netmap_if, ni_rx_rings, 28);
NETMAP_PIN_OFFSET(struct netmap_if, ni_bufs_head, 32);
NETMAP_PIN_OFFSET(struct netmap_if, ni_host_tx_rings, 36);
NETMAP_PIN_OFFSET(struct netmap_if, ni_host_rx_rings, 40);
NETMAP_PIN_OFFSET(struct netmap_if, ring_ofs, 56);

NETMAP_PIN_SIZE(struct nm_csb_atok, 64);
NETMAP_PIN_OFFSET(struct nm_csb_atok, head, 0);
NETMAP_PIN_OFFSET(struct nm_csb_atok, cur, 4);
NETMAP_PIN_OFFSET(struct nm_csb_atok, appl_need_kick, 8);
NETMAP_PIN_OFFSET(struct nm_csb_atok, sync_flags, 12);

NETMAP_PIN_SIZE(struct nm_csb_ktoa, 64);
NETMAP_PIN_OFFSET(struct nm_csb_ktoa, hwcur, 0);
NETMAP_PIN_OFFSET(struct nm_csb_ktoa, hwtail, 4);
NETMAP_PIN_OFFSET(struct nm_csb_ktoa, kern_need_kick, 8);

NETMAP_PIN_SIZE(struct nmreq_header, 88);
NETMAP_PIN_OFFSET(struct nmreq_header, nr_version, 0);
NETMAP_PIN_OFFSET(struct nmreq_header, nr_reqtype, 2);
NETMAP_PIN_OFFSET(struct nmreq_header, nr_reserved, 4);
NETMAP_PIN_OFFSET(struct nmreq_header, nr_name, 8);
NETMAP_PIN_OFFSET(struct nmreq_header, nr_options, 72);
NETMAP_PIN_OFFSET(struct nmreq_header, nr_body, 80);

NETMAP_PIN_SIZE(struct nmreq_option, 24);
NETMAP_PIN_OFFSET(struct nmreq_option, nro_next, 0);
NETMAP_PIN_OFFSET(struct nmreq_option, nro_reqtype, 8);
NETMAP_PIN_OFFSET(struct nmreq_option, nro_status, 12);
NETMAP_PIN_OFFSET(struct nmreq_option, nro_size, 16);

NETMAP_PIN_SIZE(struct nmreq_register, 56);
NETMAP_PIN_OFFSET(struct nmreq_register, nr_offset, 0);
NETMAP_PIN_OFFSET(struct nmreq_register, nr_memsize, 8);
NETMAP_PIN_OFFSET(struct nmreq_register, nr_tx_slots, 16);
NETMAP_PIN_OFFSET(struct nmreq_register, nr_rx_slots, 20);
NETMAP_PIN_OFFSET(struct nmreq_register, nr_tx_rings, 24);
NETMAP_PIN_OFFSET(struct nmreq_register, nr_rx_rings, 26);
NETMAP_PIN_OFFSET(struct nmreq_register, nr_host_tx_rings, 28);
NETMAP_PIN_OFFSET(struct nmreq_register, nr_host_rx_rings, 30);
NETMAP_PIN_OFFSET(struct nmreq_register, nr_mem_id, 32);
NETMAP_PIN_OFFSET(struct nmreq_register, nr_ringid, 34);
NETMAP_PIN_OFFSET(struct nmreq_register, nr_mode, 36);
NETMAP_PIN_OFFSET(struct nmreq_register, nr_extra_bufs, 40);
NETMAP_PIN_OFFSET(struct nmreq_register, nr_flags, 48);

NETMAP_PIN_SIZE(struct nmreq_port_info_get, 32);
NETMAP_PIN_OFFSET(struct nmreq_port_info_get, nr_memsize, 0);
NETMAP_PIN_OFFSET(struct nmreq_port_info_get, nr_tx_slots, 8);
NETMAP_PIN_OFFSET(struct nmreq_port_info_get, nr_rx_slots, 12);
NETMAP_PIN_OFFSET(struct nmreq_port_info_get, nr_tx_rings, 16);
NETMAP_PIN_OFFSET(struct nmreq_port_info_get, nr_rx_rings, 18);
NETMAP_PIN_OFFSET(struct nmreq_port_info_get, nr_host_tx_rings, 20);
NETMAP_PIN_OFFSET(struct nmreq_port_info_get, nr_host_rx_rings, 22);
NETMAP_PIN_OFFSET(struct nmreq_port_info_get, nr_mem_id, 24);

NETMAP_PIN_SIZE(struct nmreq_vale_attach, 64);
NETMAP_PIN_OFFSET(struct nmreq_vale_attach, reg, 0);
NETMAP_PIN_OFFSET(struct nmreq_vale_attach, port_index, 56);

NETMAP_PIN_SIZE(struct nmreq_vale_detach, 8);

NETMAP_PIN_SIZE(struct nmreq_vale_list, 8);
NETMAP_PIN_OFFSET(struct nmreq_vale_list, nr_port_idx, 4);

NETMAP_PIN_SIZE(struct nmreq_port_hdr, 8);

NETMAP_PIN_SIZE(struct nmreq_vale_newif, 16);
NETMAP_PIN_OFFSET(struct nmreq_vale_newif, nr_tx_slots, 0);
NETMAP_PIN_OFFSET(struct nmreq_vale_newif, nr_rx_slots, 4);
NETMAP_PIN_OFFSET(struct nmreq_vale_newif, nr_tx_rings, 8);
NETMAP_PIN_OFFSET(struct nmreq_vale_newif, nr_rx_rings, 10);
NETMAP_PIN_OFFSET(struct nmreq_vale_newif, nr_mem_id, 12);

NETMAP_PIN_SIZE(struct nmreq_vale_polling, 16);
NETMAP_PIN_OFFSET(struct nmreq_vale_polling, nr_first_cpu_id, 4);
NETMAP_PIN_OFFSET(struct nmreq_vale_polling, nr_num_polling_cpus, 8);

NETMAP_PIN_SIZE(struct nmreq_pools_info, 64);
NETMAP_PIN_OFFSET(struct nmreq_pools_info, nr_memsize, 0);
NETMAP_PIN_OFFSET(struct nmreq_pools_info, nr_mem_id, 8);
NETMAP_PIN_OFFSET(struct nmreq_pools_info, nr_if_pool_offset, 16);
NETMAP_PIN_OFFSET(struct nmreq_pools_info, nr_if_pool_objtotal, 24);
NETMAP_PIN_OFFSET(struct nmreq_pools_info, nr_if_pool_objsize, 28);
NETMAP_PIN_OFFSET(struct nmreq_pools_info, nr_ring_pool_offset, 32);
NETMAP_PIN_OFFSET(struct nmreq_pools_info, nr_ring_pool_objtotal, 40);
NETMAP_PIN_OFFSET(struct nmreq_pools_info, nr_ring_pool_objsize, 44);
NETMAP_PIN_OFFSET(struct nmreq_pools_info, nr_buf_pool_offset, 48);
NETMAP_PIN_OFFSET(struct nmreq_pools_info, nr_buf_pool_objtotal, 56);
NETMAP_PIN_OFFSET(struct nmreq_pools_info, nr_buf_pool_objsize, 60);

NETMAP_PIN_SIZE(struct nmreq_sync_kloop_start, 8);

NETMAP_PIN_SIZE(struct nmreq_opt_extmem, 96);
NETMAP_PIN_OFFSET(struct nmreq_opt_extmem, nro_usrptr, 24);
NETMAP_PIN_OFFSET(struct nmreq_opt_extmem, nro_info, 32);

NETMAP_PIN_SIZE(struct nmreq_opt_sync_kloop_eventfds, 24);
NETMAP_PIN_OFFSET(struct nmreq_opt_sync_kloop_eventfds, eventfds, 24);

NETMAP_PIN_SIZE(struct nmreq_opt_csb, 40);
NETMAP_PIN_OFFSET(struct nmreq_opt_csb, csb_atok, 24);
NETMAP_PIN_OFFSET(struct nmreq_opt_csb, csb_ktoa, 32);

NETMAP_PIN_SIZE(struct nmreq_opt_sync_kloop_mode, 32);
NETMAP_PIN_OFFSET(struct nmreq_opt_sync_kloop_mode, mode, 24);

NETMAP_PIN_SIZE(struct nmreq_opt_offsets, 56);
NETMAP_PIN_OFFSET(struct nmreq_opt_offsets, nro_max_offset, 24);
NETMAP_PIN_OFFSET(struct nmreq_opt_offsets, nro_initial_offset, 32);
NETMAP_PIN_OFFSET(struct nmreq_opt_offsets, nro_offset_bits, 40);
NETMAP_PIN_OFFSET(struct nmreq_opt_offsets, nro_tx_align, 44);
NETMAP_PIN_OFFSET(struct nmreq_opt_offsets, nro_min_gap, 48);

NETMAP_PIN_SIZE(struct nmreq, 60);
NETMAP_PIN_OFFSET(struct nmreq, nr_name, 0);
NETMAP_PIN_OFFSET(struct nmreq, nr_version, 16);
NETMAP_PIN_OFFSET(struct nmreq, nr_offset, 20);
NETMAP_PIN_OFFSET(struct nmreq, nr_memsize, 24);
NETMAP_PIN_OFFSET(struct nmreq, nr_tx_slots, 28);
NETMAP_PIN_OFFSET(struct nmreq, nr_rx_slots, 32);
NETMAP_PIN_OFFSET(struct nmreq, nr_tx_rings, 36);
NETMAP_PIN_OFFSET(struct nmreq, nr_rx_rings, 38);
NETMAP_PIN_OFFSET(struct nmreq, nr_ringid, 40);
NETMAP_PIN_OFFSET(struct nmreq, nr_cmd, 42);
NETMAP_PIN_OFFSET(struct nmreq, nr_arg1, 44);
NETMAP_PIN_OFFSET(struct nmreq, nr_arg2, 46);
NETMAP_PIN_OFFSET(struct nmreq, nr_arg3, 48);
NETMAP_PIN_OFFSET(struct nmreq, nr_flags, 52);

NETMAP_PIN_SIZE(struct nm_ifreq, 272);

NETMAP_PIN((NIOCCTRL & 0xffffffffU) == 0xc0586997U);
NETMAP_PIN((NIOCTXSYNC & 0xffffffffU) == 0x00006994U);
NETMAP_PIN((NIOCRXSYNC & 0xffffffffU) == 0x00006995U);
NETMAP_PIN((NIOCGINFO & 0xffffffffU) == 0xc03c6991U);
NETMAP_PIN((NIOCREGIF & 0xffffffffU) == 0xc03c6992U);
NETMAP_PIN((NIOCCONFIG & 0xffffffffU) == 0xc1106996U);

#endif /* _NET_NETMAP_LAYOUT_H_ */
