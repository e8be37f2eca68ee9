/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Linux guest driver's RX ring in the network stack: NAPI's poller, the interrupt that
 * schedules it, and the daemon (guest/linux/netdev.c). A lost wake-up is a deadlock before all
 * packets are taken.
 *
 * NAPI: who finds it scheduled marks it as missed, and the poller that completes is then
 * scheduled again. Both are atomic exchanges, which are full barriers.
 */
#ifndef PACKETS
#define PACKETS 4
#endif
#define BUDGET 2

#define PARTIES 3
#define POLLER  0
#define IRQ     1 /* the CPU that takes the interrupt */
#define DAEMON  2

#define WORDS          3
#define ARMED          0 /* ring->armed */
#define APPL_NEED_KICK 1
#define HWTAIL         2 /* the ring is long enough: nobody waits for slots here */

#include "memory.pml"

bool interrupt;
bool scheduled, missed, runnable; /* NAPI's state; the softirq is raised */
byte taken;

proctype poller()
{
	byte hwtail, done;
	bool armed;

end_idle:
	atomic { runnable -> runnable = false };

poll:	/* ptnet_netdev_poll() */
	atomic {
		load(POLLER, ARMED, armed);
		if
		:: armed ->
			store(POLLER, ARMED, 0);
			store(POLLER, APPL_NEED_KICK, 0);
			armed = false
		:: else
		fi
	};
	atomic {
		load(POLLER, HWTAIL, hwtail);
		/* ptnet_rx_consume() */
		done = (hwtail - taken > BUDGET -> BUDGET : hwtail - taken);
		taken = taken + done;
		if
		:: done == BUDGET -> done = 0; goto poll
		:: else -> done = 0
		fi;
		store(POLLER, ARMED, 1);
		store(POLLER, APPL_NEED_KICK, 1)
	};
	atomic {
#ifndef ENABLE_INTERRUPT_WITHOUT_BARRIER
		full_barrier(POLLER);
#endif
#ifndef COMPLETES_WITHOUT_LOOKING_AGAIN
		load(POLLER, HWTAIL, hwtail);
		if
		:: hwtail != taken -> goto poll
		:: else
		fi;
#endif
		hwtail = 0
	};
	/* napi_complete_done() */
	atomic {
		full_barrier(POLLER);
#ifndef COMPLETES_ALTHOUGH_MISSED
		if
		:: missed -> missed = false; goto poll
		:: else
		fi;
#endif
		missed = false;
		scheduled = false
	};
	goto end_idle
}

proctype interrupt_handler()
{
	bool prepared;

end:	do
	:: interrupt ->
		interrupt = false;
		/* ptnet_rx_interrupt(): napi_schedule_prep() */
		atomic {
			full_barrier(IRQ);
			prepared = !scheduled;
			missed = scheduled;
			scheduled = true;
#ifdef HANDLER_SCHEDULES_FIRST
			runnable = runnable || prepared
#endif
		};
#ifndef HANDLER_TAKES_BACK_WHILE_POLLED
		if
		:: !prepared -> goto end
		:: else
		fi;
#endif
		store(IRQ, ARMED, 0);
		store(IRQ, APPL_NEED_KICK, 0);
		/* __napi_schedule(): the softirq runs on this CPU, or by way of a lock on another */
		atomic {
			full_barrier(IRQ);
#ifndef HANDLER_SCHEDULES_FIRST
			runnable = runnable || prepared;
#endif
			prepared = false
		}
	od
}

proctype daemon()
{
	byte hwtail;
	bool appl_need_kick;

	do
	:: hwtail == PACKETS -> break
	:: else ->
		/* kring_push() */
		atomic { hwtail++; store_release(DAEMON, HWTAIL, hwtail) };
		atomic {
			full_barrier(DAEMON);
			load(DAEMON, APPL_NEED_KICK, appl_need_kick);
			if
			:: appl_need_kick -> interrupt = true; appl_need_kick = false
			:: else
			fi
		}
	od;
	taken == PACKETS
}

proctype memory_system()
{
end:	do
	:: d_step { buffered[POLLER].count > 0 -> drain(POLLER, 0) }
	:: d_step { buffered[IRQ].count > 0 -> drain(IRQ, 0) }
	:: d_step { buffered[DAEMON].count > 0 -> drain(DAEMON, 0) }
	od
}

/* ptnet_netdev_enter() schedules the poller: packets may have come before. */
init {
	d_step { scheduled = true; runnable = true };
	atomic {
		run memory_system();
		run interrupt_handler();
		run daemon();
		run poller()
	}
}
