/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One direction of a pipe: a sender on the TX ring, a receiver on the RX ring
 * coupled to it, and the one run of a worker that serves both. The sender ends
 * when it has sent every packet and the receiver when it has them, so a lost
 * wake-up is a deadlock, and looking for work in vain for ever is a cycle; there
 * are no other cycles.
 *
 * The sender waits for room as netmap programs do, with cur at hwtail, for any
 * room beyond what it knows of; or, with -DSTACK_SENDER, as drivers for a network
 * stack do, with cur at head, until ROOM slots are free: half of the ring, unless the
 * longest packet needs more.
 *
 * -DKEEPS=n: the receiver releases all but the last n packets, until it has all.
 *
 * -DRECEIVER_MAY_LEAVE: at any time, as one that is killed does; then a sender may wait
 * for ever, but not for slots that the receiver had released.
 *
 * -DLEGACY_SENDER, -DLEGACY_RECEIVER: a driver without the barrier in
 * ptnet_csb_must_kick(); the worker looks once more some time after going idle.
 */
#ifndef N
#define N 4
#endif
#ifndef PACKETS
#define PACKETS 4
#endif
#ifndef BATCH
#define BATCH 2
#endif
#ifndef KEEPS
#define KEEPS 0
#endif
#ifndef ROOM
#define ROOM (N / 2)
#endif

#define PARTIES  3
#define SENDER   0
#define RECEIVER 1
#define WORKER   2

/* The two rings' CSB entries, without what nobody here decides by. */
#define WORDS             9
#define TX_HEAD           0
#define TX_CUR            1
#define TX_APPL_NEED_KICK 2
#define TX_HWTAIL         3
#define TX_KERN_NEED_KICK 4
#define RX_HEAD           5
#define RX_APPL_NEED_KICK 6
#define RX_HWTAIL         7
#define RX_KERN_NEED_KICK 8

#include "memory.pml"

#if defined(LEGACY_SENDER) || defined(LEGACY_RECEIVER)
#define LEGACY
#endif

bool kick;   /* somebody has kicked and the daemon not noticed */
bool queued; /* the TX ring's sched_state: a kick that finds it queued does nothing */
bool sender_interrupt, receiver_interrupt; /* since it last began to wait */
byte received;
bool left;      /* the receiver's ring is not running any more */
bool left_told; /* and the kick for that has come */

#ifdef STACK_SENDER
#define MAY_WAIT_AT_CUR false
#ifdef SENDER_WAITS_FOR_MORE
#define ENOUGH          (ROOM + 1)
#else
#define ENOUGH          ROOM
#endif
#else
/* What the receiver keeps does not come back. */
#define MAY_WAIT_AT_CUR (N - 1 - DISTANCE(head, hwtail) > KEEPS)
#define ENOUGH          1
#endif

proctype sender()
{
	byte head, cur, sent, wanted;
	byte hwtail = N - 1;
	bool new, interrupts_on, need_kick;

send:	/* There is room: it has waited for it. */
	atomic {
		do
		:: head != hwtail && sent < PACKETS -> head = NEXT(head); sent++; new = true
		:: new || MAY_WAIT_AT_CUR -> break
		od;
		/* wanted: as many free slots end its waiting; 0: it goes on */
		if
#ifndef STACK_SENDER
		:: MAY_WAIT_AT_CUR -> cur = hwtail; wanted = DISTANCE(head, hwtail) + 1
#endif
		:: new -> cur = head; wanted = (DISTANCE(head, hwtail) < ENOUGH -> ENOUGH : 0)
		fi;
		new = false;
		if
		:: interrupts_on -> store(SENDER, TX_APPL_NEED_KICK, 0); interrupts_on = false
		:: else
		fi;
		/* ptnet_csb_publish() */
		store_release(SENDER, TX_CUR, cur);
		store_release(SENDER, TX_HEAD, head)
	};
	atomic {
		/* ptnet_csb_must_kick() */
#if !defined(LEGACY_SENDER) && !defined(SENDER_MUST_KICK_WITHOUT_BARRIER)
		full_barrier(SENDER);
#endif
		load(SENDER, TX_KERN_NEED_KICK, need_kick);
		if
		:: need_kick && (cur != hwtail || sent == PACKETS) -> kick = true; need_kick = false
		:: else /* netmap's driver kicks later, when it knows whether it waits */
		fi;
		cur = 0;
		if
		:: sent == PACKETS -> goto done
		:: sent < PACKETS && wanted == 0 -> goto read
		:: else ->
			/* ptnet_csb_enable_interrupt(); earlier interrupts woke nobody. */
			sender_interrupt = false;
			store(SENDER, TX_APPL_NEED_KICK, 1);
			interrupts_on = true
		fi
	};
	atomic {
#ifndef SENDER_ENABLE_INTERRUPT_WITHOUT_BARRIER
		full_barrier(SENDER);
#endif
#ifndef SENDER_SLEEPS_WITHOUT_READING_AGAIN
		load(SENDER, TX_HWTAIL, hwtail);
#endif
		if
		:: need_kick -> kick = true; need_kick = false
		:: else
		fi;
		if
		:: DISTANCE(head, hwtail) >= wanted -> wanted = 0; goto send
		:: else
		fi
	};
#ifdef RECEIVER_MAY_LEAVE
end_sleep:
#endif
sleep:	atomic { sender_interrupt ->
		sender_interrupt = false;
		load(SENDER, TX_HWTAIL, hwtail);
		if
		:: DISTANCE(head, hwtail) < wanted -> goto sleep
		:: else -> wanted = 0; goto send
		fi
	};
read:	atomic {
		load(SENDER, TX_HWTAIL, hwtail);
		goto send
	};
done:	skip
}

proctype receiver()
{
	byte cur, head, hwtail; /* cur: the next packet to look at */
	bool new, interrupts_on, need_kick;

wait:	/* ptnet_csb_enable_interrupt(); earlier interrupts woke nobody. */
	atomic {
		receiver_interrupt = false;
		store(RECEIVER, RX_APPL_NEED_KICK, 1);
		interrupts_on = true
	};
	atomic {
#ifndef RECEIVER_ENABLE_INTERRUPT_WITHOUT_BARRIER
		full_barrier(RECEIVER);
#endif
#ifndef RECEIVER_SLEEPS_WITHOUT_READING_AGAIN
		load(RECEIVER, RX_HWTAIL, hwtail);
#endif
		if
		:: cur != hwtail -> goto take
		:: else
		fi
	};
	atomic { receiver_interrupt ->
		receiver_interrupt = false;
		load(RECEIVER, RX_HWTAIL, hwtail);
		if
		:: cur == hwtail -> goto wait
		:: else
		fi
	};
take:	atomic {
		do
		:: cur != hwtail -> cur = NEXT(cur); received++; new = true
		:: new -> break
		od;
		new = false;
		if
		:: interrupts_on -> store(RECEIVER, RX_APPL_NEED_KICK, 0); interrupts_on = false
		:: else
		fi;
#if KEEPS == 0
		head = cur;
#else
		if
		:: received == PACKETS -> head = cur
		:: received < PACKETS && DISTANCE(head, cur) > KEEPS -> head = (cur + N - KEEPS) % N
		:: else
		fi;
#endif
		store_release(RECEIVER, RX_HEAD, head) /* ptnet_csb_publish() */
	};
#ifdef RECEIVER_MAY_LEAVE
	if
	:: skip
	:: goto leave
	fi;
#endif
	/* ptnet_csb_must_kick() */
	atomic {
#if !defined(LEGACY_RECEIVER) && !defined(RECEIVER_MUST_KICK_WITHOUT_BARRIER)
		full_barrier(RECEIVER);
#endif
		load(RECEIVER, RX_KERN_NEED_KICK, need_kick);
		if
		:: need_kick -> kick = true; need_kick = false
		:: else
		fi;
		if
		:: cur != hwtail -> goto take
		:: received == PACKETS -> goto done
		:: else
		fi
	};
	atomic {
		load(RECEIVER, RX_HWTAIL, hwtail);
		if
		:: cur != hwtail -> goto take
		:: else -> goto wait
		fi
	};
#ifdef RECEIVER_MAY_LEAVE
leave:	/* endpoint_stop_ring() */
	atomic { full_barrier(RECEIVER); left = true };
	atomic { kick = true; left_told = true };
#endif
done:	skip
}

/* sender_wants_room(): who waits with cur at head waits for at most ROOM slots */
#if defined(ROOM_WANTED_ONLY_AT_CUR)
#define SENDER_WANTS_ROOM (tx_cur == tx_hwtail)
#elif defined(ROOM_WANTED_ONLY_BELOW_HALF)
#define SENDER_WANTS_ROOM (DISTANCE(tx_head, tx_hwtail) < ROOM)
#elif defined(ROOM_NEVER_WANTED)
#define SENDER_WANTS_ROOM false
#else
#define SENDER_WANTS_ROOM (DISTANCE(tx_head, tx_hwtail) < ROOM || tx_cur == tx_hwtail)
#endif

proctype worker()
{
	byte tx_hwcur, tx_head, tx_cur, rx_hwcur, seen;
	byte tx_hwtail = N - 1;
	byte tx_reported = N - 1; /* reported_hwtail of the two rings */
	byte rx_reported;         /* rx_hwtail is tx_hwcur: no packet has two slots here */
	bool appl_need_kick, interrupt_owed;
	bool found;    /* this run has slots to pass on */
	bool expected; /* a look at a head found some, so there must be, or to take back */
	bool sender_kicks = true, reader_kicks = true; /* as kring_start() left them */
	bool reader_matters; /* kicks are enabled: is released room news? */
	byte rechecks_left;

	goto idle;

serve:	/* pipe_run(): kring_pull(tx) */
	atomic { load(WORKER, TX_HEAD, tx_head) };
	atomic {
		load(WORKER, TX_CUR, seen);
		assert(IN_ORDER(tx_hwcur, tx_head, tx_hwtail));
		assert(IN_ORDER(tx_head, seen, tx_hwtail));
		found = tx_head != tx_hwcur;
		tx_cur = seen;
		seen = 0;
		/* Storing again what is there already can be left out: nobody could tell. */
		if
		:: sender_kicks -> store(WORKER, TX_KERN_NEED_KICK, 0); sender_kicks = false
		:: else
		fi;
		if
		:: reader_kicks -> store(WORKER, RX_KERN_NEED_KICK, 0); reader_kicks = false
		:: else
		fi
	};
	/* take_back(): kring_pull(rx); then pass_on() */
	atomic {
		load(WORKER, RX_HEAD, seen);
		assert(IN_ORDER(rx_hwcur, seen, tx_hwcur));
		assert(!expected || found || seen != rx_hwcur); /* else it spins */
		expected = false;
		found = false;
		rx_hwcur = seen;
		seen = 0;
		tx_hwtail = PREV(rx_hwcur);
		tx_hwcur = (DISTANCE(tx_hwcur, tx_head) > BATCH ->
			    (tx_hwcur + BATCH) % N : tx_head);
		/* kring_push(rx) */
		if
		:: rx_reported == tx_hwcur -> goto push_tx
		:: else -> rx_reported = tx_hwcur; store_release(WORKER, RX_HWTAIL, tx_hwcur)
		fi
	};
	atomic {
#ifndef PUSH_RX_WITHOUT_BARRIER
		full_barrier(WORKER);
#endif
		load(WORKER, RX_APPL_NEED_KICK, appl_need_kick);
		if
		:: appl_need_kick -> receiver_interrupt = true; appl_need_kick = false
		:: else
		fi
	};
push_tx: /* kring_push(tx), or kring_push_quietly(tx) while less than half is free */
	atomic {
		if
		:: tx_reported != tx_hwtail ->
			tx_reported = tx_hwtail;
			store_release(WORKER, TX_HWTAIL, tx_hwtail);
			interrupt_owed = true
		:: else
		fi;
		if
		:: !interrupt_owed || DISTANCE(tx_head, tx_hwtail) < N / 2 -> goto pushed
		:: else
		fi
	};
	atomic {
#ifndef PUSH_TX_WITHOUT_BARRIER
		full_barrier(WORKER);
#endif
		load(WORKER, TX_APPL_NEED_KICK, appl_need_kick);
		if
		:: appl_need_kick -> sender_interrupt = true; appl_need_kick = false
		:: else
		fi;
		interrupt_owed = false
	};
pushed:
	if
	:: atomic { tx_hwcur != tx_head -> expected = true; goto serve }
	:: atomic { tx_hwcur == tx_head && interrupt_owed -> queued = false }
	:: atomic { tx_hwcur == tx_head && !interrupt_owed -> queued = false; goto enable }
	fi;
	/* worker_look() is as in vale_tx.pml; here the worker goes idle at once. */
	/* ring_go_idle() with pipe_enable_kicks(), which begins with kring_push(tx) */
#ifndef IDLE_WITH_AN_INTERRUPT_OWED
	atomic {
#ifndef PUSH_TX_WITHOUT_BARRIER
		full_barrier(WORKER);
#endif
		load(WORKER, TX_APPL_NEED_KICK, appl_need_kick);
		if
		:: appl_need_kick -> sender_interrupt = true; appl_need_kick = false
		:: else
		fi;
		interrupt_owed = false
	};
#endif
enable:	atomic {
		store(WORKER, TX_KERN_NEED_KICK, 1);
		sender_kicks = true;
		if
		:: SENDER_WANTS_ROOM && !left ->
			store(WORKER, RX_KERN_NEED_KICK, 1);
			reader_kicks = true
		:: else
		fi;
#ifdef IDLE_PASSES_OVER_A_READER_THAT_LEFT
		reader_matters = reader_kicks
#else
		reader_matters = SENDER_WANTS_ROOM
#endif
	};
	atomic {
#ifndef IDLE_WITHOUT_BARRIER
		full_barrier(WORKER);
#endif
#ifndef IDLE_WITHOUT_LOOKING_AT_TX_HEAD
		load(WORKER, TX_HEAD, seen);
		if
		:: seen != tx_hwcur -> seen = 0; expected = true; goto work
		:: else -> seen = 0
		fi
#endif
	};
#ifndef IDLE_WITHOUT_LOOKING_AT_TX_CUR
	atomic {
		load(WORKER, TX_CUR, seen);
		if
		:: seen != tx_cur -> seen = 0; goto work
		:: else -> seen = 0
		fi
	};
#endif
#ifndef IDLE_WITHOUT_LOOKING_AT_RX_HEAD
	if
	:: reader_matters ->
		atomic {
			load(WORKER, RX_HEAD, seen);
			if
			:: seen != rx_hwcur -> seen = 0; expected = true; goto work
			:: else -> seen = 0
			fi
		}
	:: else
	fi;
#endif
#ifdef LEGACY
	atomic {
		old_stores[SENDER] = buffered[SENDER].count;
		old_stores[RECEIVER] = buffered[RECEIVER].count;
		rechecks_left = 1
	};
#endif

idle:
end_idle:
	if
	:: queued
#ifdef RECEIVER_MAY_LEAVE
	:: left_told && !queued && !kick && SENDER_WANTS_ROOM && memory[RX_HEAD] != rx_hwcur ->
		assert(false) /* the sender sleeps over room that it waits for */
#endif
#if defined(LEGACY) && !defined(NO_RECHECK)
	:: rechecks_left > 0 && old_stores[SENDER] == 0 && old_stores[RECEIVER] == 0 ->
		/* worker_recheck(): pipe_pending() */
		rechecks_left--;
		atomic {
			load(WORKER, TX_HEAD, seen);
			if
			:: seen != tx_hwcur -> seen = 0; queued = true; expected = true; goto serve
			:: else -> seen = 0
			fi
		};
#ifndef RECHECK_WITHOUT_TX_CUR
		atomic {
			load(WORKER, TX_CUR, seen);
			if
			:: seen != tx_cur -> seen = 0; queued = true; goto serve
			:: else -> seen = 0
			fi
		};
#endif
#ifndef RECHECK_WITHOUT_RX_HEAD
		if
		:: reader_matters ->
			atomic {
				load(WORKER, RX_HEAD, seen);
				if
				:: seen != rx_hwcur -> seen = 0; queued = true; expected = true; goto serve
				:: else -> seen = 0
				fi
			}
		:: else
		fi;
#endif
		goto idle
#endif
	fi;
	rechecks_left = 0;
	old_stores[SENDER] = 0;
	old_stores[RECEIVER] = 0;
	goto serve;

work:
	atomic {
		store(WORKER, TX_KERN_NEED_KICK, 0);
		sender_kicks = false;
		if
		:: reader_kicks -> store(WORKER, RX_KERN_NEED_KICK, 0); reader_kicks = false
		:: else
		fi;
		queued = true;
		goto serve
	}
}

proctype memory_system()
{
end:	do
	:: d_step { buffered[SENDER].count > 0 -> drain(SENDER, 0) }
	:: d_step { buffered[RECEIVER].count > 0 -> drain(RECEIVER, 0) }
	:: d_step { buffered[WORKER].count > 0 -> drain(WORKER, 0) }
	:: d_step { kick -> kick = false; queued = true } /* worker_wake_ring() */
	od
}

init {
	d_step {
		memory[TX_HWTAIL] = N - 1;
		memory[TX_KERN_NEED_KICK] = 1;
		memory[RX_KERN_NEED_KICK] = 1
	};
	atomic {
		run memory_system();
		run worker();
		run receiver();
		run sender()
	}
}
