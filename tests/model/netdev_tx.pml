/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Linux guest driver's TX queue in the network stack: it is stopped while there is not room
 * for the longest frame, and an interrupt lets it go on (guest/linux/netdev.c). The stack
 * ends when it has sent all, so a queue that stays stopped is a deadlock.
 *
 * The daemon looks at head by itself: how it is kicked is in vale_tx.pml and pipe.pml.
 */
#ifndef N
#define N 4
#endif
#ifndef PACKETS
#define PACKETS 5
#endif
#define FRAME_SLOTS 2 /* the longest frame; those that are sent here have one slot */

#define PARTIES 3
#define STACK   0 /* whoever has the queue's lock */
#define IRQ     1 /* the CPU that takes the interrupt */
#define DAEMON  2

#define WORDS          5
#define HEAD           0
#define APPL_NEED_KICK 1
#define HWTAIL         2
#define NEXT_SLOT      3 /* ring->next, which the interrupt handler reads without the lock */
#define STOPPED        4 /* the queue's state */

#include "memory.pml"

bool interrupt;

proctype stack()
{
	byte next, sent, stopped;
	byte hwtail = N - 1; /* as last read */

xmit:	/* The stack sends while the queue is not stopped; a wake-up has it look again. */
	atomic {
		load(STACK, STOPPED, stopped);
		if
		:: !stopped
		:: stopped -> stopped = 0; goto wait
		fi
	};
	/* ptnet_netdev_xmit(): ptnet_tx_has_room(1), which fails only after a wake-up too many */
	atomic {
		if
		:: next != hwtail
		:: next == hwtail ->
			load(STACK, HWTAIL, hwtail);
			if
			:: next == hwtail -> goto stop
			:: else
			fi
		fi;
		next = NEXT(next);
		sent++;
		store(STACK, NEXT_SLOT, next);
		store_release(STACK, HEAD, next) /* ptnet_tx_submit() */
	};
	if
	:: sent == PACKETS -> goto done
	:: else
	fi;
	/* ptnet_tx_has_room(frame_slots) */
	if
	:: DISTANCE(next, hwtail) >= FRAME_SLOTS -> goto xmit
	:: else ->
		atomic {
			load(STACK, HWTAIL, hwtail);
			if
			:: DISTANCE(next, hwtail) >= FRAME_SLOTS -> goto xmit
			:: else
			fi
		}
	fi;

stop:	/* ptnet_tx_stop() */
#ifdef ASKS_BEFORE_IT_STOPS
	store(STACK, APPL_NEED_KICK, 1);
	store(STACK, STOPPED, 1);
#else
	store(STACK, STOPPED, 1);
	store(STACK, APPL_NEED_KICK, 1);
#endif
	atomic {
#ifndef ENABLE_INTERRUPT_WITHOUT_BARRIER
		full_barrier(STACK);
#endif
#ifndef STOPS_WITHOUT_LOOKING_AGAIN
		load(STACK, HWTAIL, hwtail);
		if
		:: DISTANCE(next, hwtail) >= FRAME_SLOTS ->
			store(STACK, APPL_NEED_KICK, 0);
			store(STACK, STOPPED, 0)
		:: else
		fi
#endif
	};
	goto xmit;

wait:	/* The flag is waited for where it will be, not in the own store buffer. */
	atomic { buffered[STACK].count == 0 && memory[STOPPED] == 0 };
	goto xmit;
done:	skip
}

proctype interrupt_handler()
{
	byte next, hwtail;

end:	do
	:: interrupt ->
		interrupt = false;
		/* ptnet_tx_interrupt() */
		atomic { load(IRQ, NEXT_SLOT, next) };
		atomic {
			load(IRQ, HWTAIL, hwtail);
#ifdef HANDLER_TAKES_BACK_WITHOUT_WAKING
			store(IRQ, APPL_NEED_KICK, 0);
#endif
			if
			:: DISTANCE(next, hwtail) < FRAME_SLOTS -> next = 0; hwtail = 0; goto end
			:: else -> next = 0; hwtail = 0
			fi
		};
		/* netif_tx_wake_queue(): an atomic exchange, which is a full barrier */
#ifdef HANDLER_WAKES_FIRST
		atomic { full_barrier(IRQ); memory[STOPPED] = 0 };
		store(IRQ, APPL_NEED_KICK, 0)
#else
		store(IRQ, APPL_NEED_KICK, 0);
		atomic { full_barrier(IRQ); memory[STOPPED] = 0 }
#endif
	od
}

/* Takes all that there is, as a switch, or some, as a pipe gives slots back. */
proctype daemon()
{
	byte hwcur, head;
	bool appl_need_kick;

end:	do
	:: atomic {
			memory[HEAD] != hwcur -> head = memory[HEAD];
			do
			:: hwcur != head -> hwcur = NEXT(hwcur); appl_need_kick = true
			:: appl_need_kick -> break
			od;
			appl_need_kick = false;
			head = 0;
			/* kring_push() */
			store_release(DAEMON, HWTAIL, PREV(hwcur))
		};
		atomic {
			full_barrier(DAEMON);
			load(DAEMON, APPL_NEED_KICK, appl_need_kick);
			if
			:: appl_need_kick -> interrupt = true; appl_need_kick = false
			:: else
			fi
		}
	od
}

proctype memory_system()
{
end:	do
	:: d_step { buffered[STACK].count > 0 -> drain(STACK, 0) }
	:: d_step { buffered[IRQ].count > 0 -> drain(IRQ, 0) }
	:: d_step { buffered[DAEMON].count > 0 -> drain(DAEMON, 0) }
	od
}

init {
	d_step { memory[HWTAIL] = N - 1 };
	atomic {
		run memory_system();
		run interrupt_handler();
		run daemon();
		run stack()
	}
}
