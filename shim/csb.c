/* SPDX-License-Identifier: BSD-2-Clause */
#include "csb.h"

#include <errno.h>
#include <string.h>

#include "program_memory.h"

#define ALIGNMENT 64

static void fill(const struct shim_ring *r, struct nm_csb_atok *atok, struct nm_csb_ktoa *ktoa)
{
	memset(ktoa, 0, sizeof(*ktoa));
	atok->appl_need_kick = 1;
	atok->sync_flags = 1;
	ktoa->kern_need_kick = 1;
	if (r->atok != NULL) {
		atok->head = PTNET_LOAD_RELAXED(&r->atok->head);
		atok->cur = PTNET_LOAD_RELAXED(&r->atok->cur);
		ktoa->hwcur = PTNET_LOAD_RELAXED(&r->ktoa->hwcur);
		ktoa->hwtail = PTNET_LOAD_RELAXED(&r->ktoa->hwtail);
		/* What the program is shown from now on. */
		PTNET_STORE_RELAXED(&r->atok->shown_tail, ktoa->hwtail);
	} else {
		atok->head = atok->cur = 0;
		ktoa->hwtail = r->tx && r->num_slots != 0 ? r->num_slots - 1 : 0;
	}
}

int csb_enable(struct description *d, const struct nmreq_opt_csb *csb)
{
	struct nm_csb_atok atok[PTNET_MAX_RINGS];
	struct nm_csb_ktoa ktoa[PTNET_MAX_RINGS];
	unsigned rings = d->num_tx + d->num_rx, i;
	bool running;

	pthread_mutex_lock(&d->kloop.lock);
	running = d->kloop.running;
	pthread_mutex_unlock(&d->kloop.lock);
	if (running)
		return -EBUSY;
	if (rings == 0)
		return 0;
	if ((d->binding.nr_flags & NR_EXCLUSIVE) == 0 || csb->csb_atok % ALIGNMENT != 0 ||
	    csb->csb_ktoa % ALIGNMENT != 0)
		return -EINVAL;
	if (program_read(atok, csb->csb_atok, rings * sizeof(*atok)) < 0)
		return -EFAULT;
	for (i = 0; i < rings; i++)
		fill(&d->rings[i], &atok[i], &ktoa[i]);
	if (program_write(csb->csb_atok, atok, rings * sizeof(*atok)) < 0 ||
	    program_write(csb->csb_ktoa, ktoa, rings * sizeof(*ktoa)) < 0)
		return -EFAULT;
	d->program_atok = csb->csb_atok;
	d->program_ktoa = csb->csb_ktoa;
	__atomic_store_n(&d->csb_mode, true, __ATOMIC_RELEASE);
	return 0;
}
