/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A TX ring of a VALE port: a guest that sends, and the worker that runs the ring
 * and completes what it takes at once. The guest ends when every packet has come
 * through, so a lost wake-up is a deadlock, and looking for work in vain for ever
 * is a cycle; there are no other cycles.
 *
 * -DLEGACY: a driver without the barrier in ptnet_csb_must_kick(), and a worker
 * that looks once more some time after going idle.
 */
#ifndef N
#define N 4
#endif
#ifndef PACKETS
#define PACKETS 6
#endif
#ifndef BATCH
#define BATCH 1
#endif

#define PARTIES 2
#define GUEST   0
#define WORKER  1

/* The CSB. */
#define WORDS          6
#define HEAD           0
#define CUR            1
#define APPL_NEED_KICK 2
#define HWCUR          3
#define HWTAIL         4
#define KERN_NEED_KICK 5

#include "memory.pml"

bool kick;      /* the guest has kicked and the daemon not noticed */
bool queued;    /* the ring's sched_state: a kick that finds it queued does nothing */
bool interrupt; /* the guest has been interrupted since it last began to wait */
byte delivered; /* packets that the worker has forwarded */

proctype guest()
{
	byte head, cur, hwcur, count;
	byte hwtail = N - 1;
	byte sent;
	bool interrupts_on, need_kick;

	do
	:: sent == PACKETS -> break
	:: else ->
		/* Fills some slots; cur at hwtail says "wake me when there is more room". */
		atomic {
			count = 0;
			do
			:: count < DISTANCE(head, hwtail) && sent + count < PACKETS -> count++
			:: count > 0 || head == hwtail -> break
			od;
			head = (head + count) % N;
			sent = sent + count;
			if
			:: cur = head
			:: head != NEXT(hwtail) -> cur = hwtail
			fi;
			if
			:: interrupts_on -> store(GUEST, APPL_NEED_KICK, 0); interrupts_on = false
			:: else
			fi;
			/* ptnet_csb_publish() */
			store_release(GUEST, CUR, cur);
			store_release(GUEST, HEAD, head)
		};

		/* ptnet_csb_must_kick() */
		atomic {
#if !defined(LEGACY) && !defined(MUST_KICK_WITHOUT_BARRIER)
			full_barrier(GUEST);
#endif
			load(GUEST, KERN_NEED_KICK, need_kick);
			if
			:: true
			:: need_kick = true /* NIOCTXSYNC kicks in any case */
			fi;
			if
			:: need_kick -> kick = true; need_kick = false
			:: true /* netmap's driver kicks later, at the end of its sync */
			fi
		};

		if
		:: cur == hwtail && sent < PACKETS ->
			/* ptnet_csb_enable_interrupt(); who begins to wait may miss earlier interrupts. */
			atomic {
				if
				:: interrupt = false
				:: interrupt
				fi;
				store(GUEST, APPL_NEED_KICK, 1);
				interrupts_on = true
			};
#ifndef ENABLE_INTERRUPT_WITHOUT_BARRIER
			full_barrier(GUEST);
#endif
#ifndef GUEST_SLEEPS_WITHOUT_READING_AGAIN
			atomic { load(GUEST, HWTAIL, hwtail) };
			atomic { load(GUEST, HWCUR, hwcur) };
#endif
			if
			:: need_kick -> kick = true; need_kick = false
			:: else
			fi;
			if
			:: cur == hwtail -> atomic { interrupt -> interrupt = false }
			:: else
			fi
		:: else ->
			if
			:: need_kick -> kick = true; need_kick = false
			:: else
			fi
		fi;

		/* ptnet_csb_read() */
		atomic { load(GUEST, HWTAIL, hwtail) };
		atomic {
			load(GUEST, HWCUR, hwcur);
			assert(IN_ORDER(hwcur, head, hwtail));
			hwcur = 0
		}
	od;
	delivered == PACKETS
}

proctype worker()
{
	byte hwcur, head, cur, count, seen;
	byte hwtail = N - 1;
	bool appl_need_kick;
	bool expected; /* a look at head found some, so there must be */
	byte rechecks_left;

	goto idle;

serve:	/* vale_run(): kring_pull() */
	atomic { load(WORKER, HEAD, head) };
	atomic {
		load(WORKER, CUR, seen);
		assert(IN_ORDER(hwcur, head, hwtail));
		assert(IN_ORDER(head, seen, hwtail));
		assert(!expected || head != hwcur); /* else it spins */
		expected = false;
		cur = seen;
		seen = 0;
		if
		:: head == hwcur -> goto dry
		:: else
		fi;
		store(WORKER, KERN_NEED_KICK, 0);
		count = DISTANCE(hwcur, head);
		if
		:: count > BATCH -> count = BATCH
		:: else
		fi;
		delivered = delivered + count;
		hwcur = (hwcur + count) % N;
		hwtail = PREV(hwcur);
		count = 0;
		/* kring_push(), or kring_push_quietly() while there is more and little room */
		store_release(WORKER, HWCUR, hwcur);
		store_release(WORKER, HWTAIL, hwtail);
		if
		:: head != hwcur && DISTANCE(head, hwtail) < N / 2 -> goto serve
		:: else
		fi
	};
	atomic {
#ifndef PUSH_WITHOUT_BARRIER
		full_barrier(WORKER);
#endif
		load(WORKER, APPL_NEED_KICK, appl_need_kick);
		if
		:: appl_need_kick -> interrupt = true
		:: else
		fi;
		appl_need_kick = false;
		if
		:: head != hwcur -> goto serve
		:: else
		fi
	};

dry:	/* worker_look(), if at all: once stands for any number of times. vale_pending() */
	if
	:: atomic { load(WORKER, HEAD, seen);
			if
			:: seen != hwcur -> seen = 0; expected = true; goto serve
			:: else -> seen = 0
			fi
		};
		atomic { load(WORKER, CUR, seen);
			if
			:: seen != cur -> seen = 0; goto serve
			:: else -> seen = 0
			fi
		};
#ifdef LOOKS_WITHOUT_BOUND
		goto dry
#endif
	:: true
	fi;

	/* ring_go_idle() */
	atomic {
#ifndef IDLE_AFTER_ENABLING_KICKS
		queued = false;
#endif
		store(WORKER, KERN_NEED_KICK, 1) /* vale_enable_kicks() */
	};
	atomic {
#ifndef IDLE_WITHOUT_BARRIER
		full_barrier(WORKER);
#endif
#ifndef IDLE_WITHOUT_LOOKING_AT_HEAD
		load(WORKER, HEAD, seen);
		if
		:: seen != hwcur -> seen = 0; expected = true; goto work
		:: else -> seen = 0
		fi
#endif
	};
#ifndef IDLE_WITHOUT_LOOKING_AT_CUR
	atomic {
		load(WORKER, CUR, seen);
#ifdef IDLE_TAKES_CUR_FOR_NEWS_UNLESS_AT_HEAD
		if
		:: seen != head -> seen = 0; goto work
		:: else -> seen = 0
		fi
#else
		if
		:: seen != cur -> seen = 0; goto work
		:: else -> seen = 0
		fi
#endif
	};
#endif
#ifdef LEGACY
	atomic {
		old_stores[GUEST] = buffered[GUEST].count;
		rechecks_left = 1
	};
#endif
#ifdef IDLE_AFTER_ENABLING_KICKS
	queued = false;
#endif

idle:
end_idle:
	if
	:: queued
#if defined(LEGACY) && !defined(NO_RECHECK)
	:: atomic { rechecks_left > 0 && old_stores[GUEST] == 0 -> /* worker_recheck() */
#ifndef RECHECKS_WITHOUT_BOUND
			rechecks_left--;
#endif
			load(WORKER, HEAD, seen);
			if
			:: seen != hwcur -> seen = 0; queued = true; expected = true
			:: else -> seen = 0
			fi
		};
		if
		:: queued
		:: else ->
			atomic {
				load(WORKER, CUR, seen);
				if
				:: seen == cur -> seen = 0; goto idle
				:: else -> seen = 0; queued = true
				fi
			}
		fi
#endif
	fi;
	rechecks_left = 0;
	old_stores[GUEST] = 0;
	goto serve;

work:
	atomic {
		store(WORKER, KERN_NEED_KICK, 0);
		queued = true;
		goto serve
	}
}

proctype memory_system()
{
end:	do
	:: d_step { buffered[GUEST].count > 0 -> drain(GUEST, 0) }
	:: d_step { buffered[WORKER].count > 0 -> drain(WORKER, 0) }
	:: d_step { kick -> kick = false; queued = true } /* worker_wake_ring() */
	od
}

init {
	d_step {
		memory[HWTAIL] = N - 1;
		memory[KERN_NEED_KICK] = 1
	};
	atomic {
		run memory_system();
		run worker();
		run guest()
	}
}
