/* SPDX-License-Identifier: BSD-2-Clause */
#include "legacy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void set_name(struct request *request, const struct nmreq *old)
{
	memset(request->name, 0, sizeof(request->name));
	memcpy(request->name, old->nr_name, sizeof(old->nr_name));
	request->name[sizeof(old->nr_name) - 1] = '\0';
}

/* The two ends of a pipe had modes of their own; now they are names. */
static void add_pipe_name(struct request *request, char bracket, unsigned id)
{
	size_t length = strlen(request->name);

	snprintf(request->name + length, sizeof(request->name) - length, "%c%u", bracket, id);
}

static uint32_t legacy_mode(const struct nmreq *old)
{
	if ((old->nr_flags & NR_REG_MASK) != NR_REG_DEFAULT)
		return old->nr_flags & NR_REG_MASK;
	if ((old->nr_ringid & NETMAP_SW_RING) != 0)
		return NR_REG_SW;
	if ((old->nr_ringid & NETMAP_HW_RING) != 0)
		return NR_REG_ONE_NIC;
	return NR_REG_ALL_NIC;
}

static int to_register(const struct nmreq *old, struct request *request)
{
	struct nmreq_register *reg = &request->body.reg;

	request->type = NETMAP_REQ_REGISTER;
	reg->nr_tx_slots = old->nr_tx_slots;
	reg->nr_rx_slots = old->nr_rx_slots;
	reg->nr_tx_rings = old->nr_tx_rings;
	reg->nr_rx_rings = old->nr_rx_rings;
	reg->nr_mem_id = old->nr_arg2;
	reg->nr_extra_bufs = old->nr_arg3;
	reg->nr_ringid = old->nr_ringid & NETMAP_RING_MASK;
	reg->nr_mode = legacy_mode(old);
	reg->nr_flags = old->nr_flags & ~(uint32_t)NR_REG_MASK;
	if ((old->nr_ringid & NETMAP_NO_TX_POLL) != 0)
		reg->nr_flags |= NR_NO_TX_POLL;
	if ((old->nr_ringid & NETMAP_DO_RX_POLL) != 0)
		reg->nr_flags |= NR_DO_RX_POLL;
	if (reg->nr_mode == NR_REG_PIPE_MASTER || reg->nr_mode == NR_REG_PIPE_SLAVE) {
		add_pipe_name(request, reg->nr_mode == NR_REG_PIPE_MASTER ? '{' : '}',
			      reg->nr_ringid);
		reg->nr_mode = NR_REG_ALL_NIC;
		reg->nr_ringid = 0;
	}
	return 0;
}

static int to_polling(const struct nmreq *old, struct request *request)
{
	struct nmreq_vale_polling *polling = &request->body.vale_polling;

	request->type = old->nr_cmd == NETMAP_BDG_POLLING_ON ? NETMAP_REQ_VALE_POLLING_ENABLE
							     : NETMAP_REQ_VALE_POLLING_DISABLE;
	switch (old->nr_flags & NR_REG_MASK) {
	case NR_REG_ONE_NIC:
		polling->nr_mode = NETMAP_POLLING_MODE_MULTI_CPU;
		break;
	case NR_REG_ALL_NIC:
		polling->nr_mode = NETMAP_POLLING_MODE_SINGLE_CPU;
		break;
	default:
		return -EINVAL;
	}
	polling->nr_first_cpu_id = old->nr_ringid & NETMAP_RING_MASK;
	polling->nr_num_polling_cpus = old->nr_arg1;
	return 0;
}

static int regif_to_request(const struct nmreq *old, struct request *request)
{
	switch (old->nr_cmd) {
	case 0:
		return to_register(old, request);
	case NETMAP_BDG_ATTACH:
		request->type = NETMAP_REQ_VALE_ATTACH;
		request->body.vale_attach.reg.nr_mem_id = old->nr_arg2;
		request->body.vale_attach.reg.nr_mode =
			(old->nr_arg1 & NETMAP_BDG_HOST) != 0 ? NR_REG_NIC_SW : NR_REG_ALL_NIC;
		return 0;
	case NETMAP_BDG_DETACH:
		request->type = NETMAP_REQ_VALE_DETACH;
		return 0;
	case NETMAP_BDG_VNET_HDR:
		request->type = NETMAP_REQ_PORT_HDR_SET;
		request->body.port_hdr.nr_hdr_len = old->nr_arg1;
		return 0;
	case NETMAP_VNET_HDR_GET:
		request->type = NETMAP_REQ_PORT_HDR_GET;
		return 0;
	case NETMAP_BDG_NEWIF:
		request->type = NETMAP_REQ_VALE_NEWIF;
		request->body.vale_newif = (struct nmreq_vale_newif){
			.nr_tx_slots = old->nr_tx_slots,
			.nr_rx_slots = old->nr_rx_slots,
			.nr_tx_rings = old->nr_tx_rings,
			.nr_rx_rings = old->nr_rx_rings,
			.nr_mem_id = old->nr_arg2,
		};
		return 0;
	case NETMAP_BDG_DELIF:
		request->type = NETMAP_REQ_VALE_DELIF;
		return 0;
	case NETMAP_BDG_POLLING_ON:
	case NETMAP_BDG_POLLING_OFF:
		return to_polling(old, request);
	case NETMAP_PT_HOST_CREATE:
	case NETMAP_PT_HOST_DELETE:
		return -ENOMEM;
	default:
		return -EINVAL;
	}
}

static int ginfo_to_request(const struct nmreq *old, struct request *request)
{
	if (old->nr_cmd == NETMAP_BDG_LIST) {
		request->type = NETMAP_REQ_VALE_LIST;
		request->body.vale_list.nr_bridge_idx = old->nr_arg1;
		request->body.vale_list.nr_port_idx = old->nr_arg2;
		return 0;
	}
	request->type = NETMAP_REQ_PORT_INFO_GET;
	request->body.port_info = (struct nmreq_port_info_get){
		.nr_tx_slots = old->nr_tx_slots,
		.nr_rx_slots = old->nr_rx_slots,
		.nr_tx_rings = old->nr_tx_rings,
		.nr_rx_rings = old->nr_rx_rings,
		.nr_mem_id = old->nr_arg2,
	};
	return 0;
}

int legacy_to_request(const struct nmreq *old, bool register_ioctl, struct request *request)
{
	memset(request, 0, sizeof(*request));
	if (old->nr_version < NETMAP_MIN_API)
		return -EINVAL;
	set_name(request, old);
	return register_ioctl ? regif_to_request(old, request) : ginfo_to_request(old, request);
}

static void from_register(const struct nmreq_register *reg, struct nmreq *old)
{
	old->nr_offset = (uint32_t)reg->nr_offset;
	old->nr_memsize = (uint32_t)reg->nr_memsize;
	old->nr_tx_slots = reg->nr_tx_slots;
	old->nr_rx_slots = reg->nr_rx_slots;
	old->nr_tx_rings = reg->nr_tx_rings;
	old->nr_rx_rings = reg->nr_rx_rings;
	old->nr_arg2 = reg->nr_mem_id;
	old->nr_arg3 = reg->nr_extra_bufs;
}

void legacy_from_request(const struct request *request, struct nmreq *old)
{
	const union request_body *body = &request->body;

	switch (request->type) {
	case NETMAP_REQ_REGISTER:
		from_register(&body->reg, old);
		break;
	case NETMAP_REQ_PORT_INFO_GET:
		old->nr_memsize = (uint32_t)body->port_info.nr_memsize;
		old->nr_tx_slots = body->port_info.nr_tx_slots;
		old->nr_rx_slots = body->port_info.nr_rx_slots;
		old->nr_tx_rings = body->port_info.nr_tx_rings;
		old->nr_rx_rings = body->port_info.nr_rx_rings;
		old->nr_arg2 = body->port_info.nr_mem_id;
		break;
	case NETMAP_REQ_VALE_LIST:
		memset(old->nr_name, 0, sizeof(old->nr_name));
		memcpy(old->nr_name, request->name, sizeof(old->nr_name) - 1);
		old->nr_arg1 = body->vale_list.nr_bridge_idx;
		old->nr_arg2 = (uint16_t)body->vale_list.nr_port_idx;
		break;
	case NETMAP_REQ_PORT_HDR_GET:
		old->nr_arg1 = (uint16_t)body->port_hdr.nr_hdr_len;
		break;
	case NETMAP_REQ_VALE_NEWIF:
		old->nr_tx_slots = body->vale_newif.nr_tx_slots;
		old->nr_rx_slots = body->vale_newif.nr_rx_slots;
		old->nr_tx_rings = body->vale_newif.nr_tx_rings;
		old->nr_rx_rings = body->vale_newif.nr_rx_rings;
		old->nr_arg2 = body->vale_newif.nr_mem_id;
		break;
	default:
		break;
	}
}
