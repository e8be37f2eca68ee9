/* SPDX-License-Identifier: BSD-2-Clause */
#include "readiness.h"

#include "real.h"
#include "sync.h"

/* What a ring's sync adds to revents, if @events are still wanted of it. */
static short judge(unsigned result, short events, bool *busy)
{
	short revents = 0;

	if (SHIM_UNLIKELY((result & (SYNC_RESET | SYNC_STOPPED | SYNC_BUSY)) != 0)) {
		if ((result & SYNC_BUSY) != 0)
			*busy = true;
		else
			revents |= POLLERR;
	}
	if ((result & SYNC_READY) != 0)
		revents |= events;
	return revents;
}

static short transmit(struct description *d, short events, bool *busy)
{
	short revents = 0;
	unsigned i;

	for (i = 0; i < d->num_tx; i++) {
		struct shim_ring *r = &d->rings[i];

		/* Once one ring has room the others are only flushed. */
		if ((events & ~revents) != 0 || !sync_tx_idle(r))
			revents |= judge(sync_ring(d, r), events, busy);
		else if (r->atok != NULL && sync_stopped(d, r))
			revents |= POLLERR;
	}
	return revents;
}

static short receive(struct description *d, short events, bool *busy)
{
	short revents = 0;
	unsigned i;

	for (i = d->num_tx; i < d->num_tx + d->num_rx; i++)
		revents |= judge(sync_ring(d, &d->rings[i]), events, busy);
	return revents;
}

short readiness(struct description *d, int fd, short events, bool *busy)
{
	short out = events & EVENTS_OUT, in = events & EVENTS_IN, revents = 0;

	if (SHIM_UNLIKELY(__atomic_load_n(&d->closed, __ATOMIC_RELAXED)))
		return POLLNVAL;
	if (SHIM_UNLIKELY(__atomic_load_n(&d->dead, __ATOMIC_RELAXED) ||
			  description_join(d, fd) < 0 ||
			  __atomic_load_n(&d->csb_mode, __ATOMIC_RELAXED)))
		return POLLERR;
	if (out != 0 || (d->binding.nr_flags & NR_NO_TX_POLL) == 0)
		revents |= transmit(d, out, busy);
	if (in != 0)
		revents |= receive(d, in, busy);
	return revents;
}
