/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which rings a descriptor is bound to.
 *
 * netmap's library takes the first run of non-zero ring_ofs. Not every owner clears the entries
 * of rings that are not bound (guest drivers show all rings of the port to a ONE_NIC
 * descriptor), and two threads of a program would then fight for one ring. So the run is
 * looked for only among the rings that the mode asks for; where the owner does clear entries
 * the result is the same.
 */
#include "port_private.h"

/* Rings of one direction: NIC rings first, then host rings. */
struct direction {
	const int64_t *ofs;
	uint32_t nic;
	uint32_t host;
};

/* The rings [*from, *to) that a bind in this mode can have given. */
static void asked_for(const struct nmreq_register *reg, const struct direction *dir, uint32_t *from,
		      uint32_t *to)
{
	*from = 0;
	*to = dir->nic + dir->host;
	switch (reg->nr_mode) {
	case NR_REG_ALL_NIC:
		*to = dir->nic;
		break;
	case NR_REG_SW:
		*from = dir->nic;
		break;
	case NR_REG_ONE_NIC:
		/* Valid in the other direction only: here it means ring 0 (section 5.5). */
		*from = reg->nr_ringid < dir->nic ? reg->nr_ringid : 0;
		*to = *from + 1;
		break;
	case NR_REG_ONE_SW:
		*from = dir->nic + (reg->nr_ringid < dir->host ? reg->nr_ringid : 0);
		*to = *from + 1;
		break;
	default: /* NIC_SW, and null ports, whose rings may be any */
		break;
	}
}

static void find_run(const struct nmreq_register *reg, const struct direction *dir, uint16_t *first,
		     uint16_t *last)
{
	uint32_t total = dir->nic + dir->host;
	uint32_t i, to;

	asked_for(reg, dir, &i, &to);
	if (to > total)
		to = total;
	while (i < to && !dir->ofs[i])
		i++;
	if (i >= to) {
		*first = (uint16_t)total;
		*last = (uint16_t)(total - 1);
		return;
	}
	*first = (uint16_t)i;
	while (i < to && dir->ofs[i])
		i++;
	*last = (uint16_t)(i - 1);
}

void libnetmap_set_ring_ranges(struct nmport_d *d)
{
	const struct netmap_if *nifp = d->nifp;
	struct direction tx = {
		.ofs = nifp->ring_ofs,
		.nic = d->reg.nr_tx_rings,
		.host = nifp->ni_host_tx_rings,
	};
	struct direction rx = {
		.ofs = nifp->ring_ofs + nifp->ni_tx_rings + nifp->ni_host_tx_rings,
		.nic = d->reg.nr_rx_rings,
		.host = nifp->ni_host_rx_rings,
	};

	find_run(&d->reg, &tx, &d->first_tx_ring, &d->last_tx_ring);
	find_run(&d->reg, &rx, &d->first_rx_ring, &d->last_rx_ring);
	d->cur_tx_ring = d->first_tx_ring;
	d->cur_rx_ring = d->first_rx_ring;
}
