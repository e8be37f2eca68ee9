/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Linux guest driver's rings in netmap mode: two threads that share an RX ring, or each
 * have a descriptor of it, sleep and are woken by one interrupt (guest/linux/netmap_sync.c).
 * Either may leave with what it has found, as long as the other stays; so a wake-up that the
 * other one loses is a deadlock before all packets are taken.
 */
#ifndef PACKETS
#define PACKETS 3
#endif

#define PARTIES   4
#define THREAD(i) (i)
#define IRQ       2 /* the CPU that takes the interrupt */
#define DAEMON    3

#define WORDS          4
#define LOCK           0 /* ring->lock, and the lock of a program that uses it in two threads */
#define ARMED          1 /* ring->armed */
#define APPL_NEED_KICK 2
#define HWTAIL         3 /* the ring is long enough: nobody waits for slots here */

#include "memory.pml"

bool interrupt;
bool woken[2]; /* since the thread was put on the wait queue */
byte taken;    /* packets, by either thread; the program's head, under ring->lock */
byte threads = 2;

proctype thread(byte self)
{
	byte hwtail;
	bool armed, found;

look:	/* poll_wait() */
#ifndef LOOKS_BEFORE_IT_IS_ON_THE_WAIT_QUEUE
	atomic { full_barrier(THREAD(self)); woken[self] = false };
#endif
	/* ptnet_netmap_sync(): a lock is an atomic exchange, which is a full barrier */
	atomic { full_barrier(THREAD(self)); memory[LOCK] == 0 -> memory[LOCK] = 1 };
	/* ptnet_netmap_exchange() */
	atomic {
		load(THREAD(self), HWTAIL, hwtail);
		if
		:: hwtail != taken -> goto take
		:: else
		fi
	};
	/* ptnet_netmap_arm() */
	atomic {
		load(THREAD(self), ARMED, armed);
		store(THREAD(self), ARMED, 1);
		store(THREAD(self), APPL_NEED_KICK, 1)
	};
	atomic {
#ifndef ENABLE_INTERRUPT_WITHOUT_BARRIER
		full_barrier(THREAD(self));
#endif
#ifndef ARM_WITHOUT_LOOKING_AGAIN
		load(THREAD(self), HWTAIL, hwtail);
#endif
		if
		:: hwtail == taken -> armed = false; goto sleep
		:: else
		fi;
#ifdef ARM_TAKES_BACK_WHAT_IT_DID_NOT_ASK_FOR
		armed = false;
#endif
		if
		:: !armed ->
			store(THREAD(self), ARMED, 0);
			store(THREAD(self), APPL_NEED_KICK, 0)
		:: else -> armed = false
		fi
	};
take:	atomic {
		do
		:: taken != hwtail -> taken++; found = true
		:: found -> break
		od;
		found = false;
		store_release(THREAD(self), LOCK, 0);
		hwtail = 0;
		if
		:: taken == PACKETS -> goto done
		:: taken < PACKETS -> goto look
		:: taken < PACKETS && threads == 2 -> threads--; goto done
		fi
	};
sleep:	atomic { store_release(THREAD(self), LOCK, 0); hwtail = 0 };
#ifdef LOOKS_BEFORE_IT_IS_ON_THE_WAIT_QUEUE
	atomic { full_barrier(THREAD(self)); woken[self] = false };
#endif
end_asleep: /* to whom nothing is left need not be woken */
	woken[self];
	goto look;
done:	skip
}

/* Hard interrupts of one vector do not overlap. */
proctype interrupt_handler()
{
end:	do
	:: interrupt ->
		interrupt = false;
#ifdef HANDLER_WAKES_FIRST
		atomic { full_barrier(IRQ); woken[0] = true; woken[1] = true };
#endif
		/* ptnet_netmap_interrupt() */
		store(IRQ, ARMED, 0);
		store(IRQ, APPL_NEED_KICK, 0);
#ifndef HANDLER_WAKES_FIRST
		/* ptnet_netmap_wake(): takes the wait queues' locks */
		atomic {
			full_barrier(IRQ);
			woken[0] = true
#ifndef HANDLER_WAKES_ONE
			; woken[1] = true
#endif
		}
#endif
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
	:: d_step { buffered[THREAD(0)].count > 0 -> drain(THREAD(0), 0) }
	:: d_step { buffered[THREAD(1)].count > 0 -> drain(THREAD(1), 0) }
	:: d_step { buffered[IRQ].count > 0 -> drain(IRQ, 0) }
	:: d_step { buffered[DAEMON].count > 0 -> drain(DAEMON, 0) }
	od
}

init {
	atomic {
		run memory_system();
		run interrupt_handler();
		run daemon();
		run thread(0);
		run thread(1)
	}
}
