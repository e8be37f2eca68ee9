/* SPDX-License-Identifier: BSD-2-Clause */
#include "pace.h"

#define NS_PER_1000S (UINT64_C(1000) * 1000000000)
#define LUMP_NS	     100000

void pace_start(struct pace *p, uint64_t milli_pps, uint32_t burst, int64_t now)
{
	p->milli_pps = milli_pps;
	p->burst = burst;
	p->sent = 0;
	p->start = now;
}

/* How long after the start packet k is due, rounded up. */
static int64_t due_after(const struct pace *p, uint64_t k)
{
	unsigned __int128 ns = (unsigned __int128)k * NS_PER_1000S;

	return (int64_t)((ns + p->milli_pps - 1) / p->milli_pps);
}

/* Packets due in the ns since the start, the first at once. */
static uint64_t due_until(const struct pace *p, int64_t now)
{
	unsigned __int128 ns;

	if (now < p->start)
		return 0;
	ns = (unsigned __int128)(uint64_t)(now - p->start);
	return (uint64_t)(ns * p->milli_pps / NS_PER_1000S) + 1;
}

uint32_t pace_due(struct pace *p, int64_t now)
{
	uint64_t due;

	if (!p->milli_pps)
		return p->burst;
	due = due_until(p, now);
	if (due <= p->sent)
		return 0;
	due -= p->sent;
	if (due > p->burst) {
		/* As if the first of this burst had become due just so that the last is due now. */
		p->start = now - due_after(p, p->burst - 1);
		p->sent = 0;
		return p->burst;
	}
	return (uint32_t)due;
}

void pace_sent(struct pace *p, uint32_t n)
{
	p->sent += n;
}

int64_t pace_when(const struct pace *p, uint32_t n)
{
	return p->milli_pps ? p->start + due_after(p, p->sent + n - 1) : p->start;
}

uint32_t pace_lump(const struct pace *p)
{
	uint64_t lump = (uint64_t)((unsigned __int128)p->milli_pps * LUMP_NS / NS_PER_1000S);

	if (lump < 1)
		return 1;
	return lump < p->burst ? (uint32_t)lump : p->burst;
}
