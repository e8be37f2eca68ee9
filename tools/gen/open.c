/* SPDX-License-Identifier: BSD-2-Clause */
#include "open.h"

#include "message.h"

static int choose_ring(struct nmport_d *d, int index)
{
	switch (d->reg.nr_mode) {
	case NR_REG_ALL_NIC:
		d->reg.nr_mode = NR_REG_ONE_NIC;
		break;
	case NR_REG_SW:
		d->reg.nr_mode = NR_REG_ONE_SW;
		break;
	default:
		return complain(
			"--threads chooses the rings: give the port without a ring (-N, *)");
	}
	d->reg.nr_ringid = (uint16_t)index;
	return 0;
}

/* Port is as first found it: does it have a ring for thread index? */
static int check_count(const struct open_port *first, const struct gen_options *o, int index)
{
	bool rx = o->function == GEN_RX;
	unsigned int there = rx ? first->d->reg.nr_rx_rings : first->d->reg.nr_tx_rings;

	if (index < (int)there)
		return 0;
	return complain("%s has %u %s ring%s, too few for %u threads", o->port, there,
			rx ? "RX" : "TX", there == 1 ? "" : "s", o->threads);
}

static int check_bound(const struct open_port *p, const struct gen_options *o)
{
	if (o->function != GEN_RX && !port_tx_rings(p))
		return complain(
			"%s: no TX ring is bound; %s needs one (is there an /R in the name?)",
			o->port, function_name(o->function));
	if (o->function != GEN_TX && !port_rx_rings(p))
		return complain(
			"%s: no RX ring is bound; %s needs one (is there a /T in the name?)",
			o->port, function_name(o->function));
	return 0;
}

int gen_open_port(struct open_port *p, const struct gen_options *o, const struct open_port *first,
		  int index)
{
	if (!first) {
		p->d = nmport_prepare(o->port);
		if (!p->d)
			return -1;
		p->d->reg.nr_flags |= NR_ACCEPT_VNET_HDR;
		if (o->function == GEN_RX)
			p->d->reg.nr_flags |= NR_NO_TX_POLL;
		if (index >= 0 && choose_ring(p->d, index))
			return -1;
	} else {
		if (check_count(first, o, index))
			return -1;
		p->d = nmport_clone(first->d);
		if (!p->d)
			return -1;
		p->d->reg.nr_ringid = (uint16_t)index;
		p->d->reg.nr_extra_bufs = 0;
	}
	p->busy = o->busy;
	if (port_register(p, first ? -1 : o->vnet_hdr))
		return -1;
	return check_bound(p, o);
}
