/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An RX ring of a VALE port: a guest that receives, and two workers that deliver
 * into the ring, each a batch at a time under the kring's lock. A full ring drops,
 * so the ring's kick stays off and the guest releases slots silently; in return
 * nothing may be dropped for want of slots that were released before the batch.
 * The guest ends when each packet has arrived or been dropped, so a lost wake-up
 * is a deadlock.
 */
#ifndef N
#define N 3
#endif
#ifndef PACKETS
#define PACKETS 6 /* half of them from each worker */
#endif
#ifndef BATCH
#define BATCH 2
#endif

#define PARTIES   3
#define GUEST     0
#define WORKER(i) (1 + (i))

/* The CSB, without hwcur, cur and kern_need_kick: nobody here decides by them. */
#define WORDS          4
#define HEAD           0
#define APPL_NEED_KICK 1
#define HWTAIL         2
#define LOCK           3 /* the kring's */

#include "memory.pml"

bool interrupt; /* the guest has been interrupted since it last began to wait */
byte received, dropped;

/* The kring, under its lock. */
byte kring_hwcur, kring_head;
byte kring_hwtail;

proctype guest()
{
	byte head, hwtail, count;
	bool interrupts_on;

	do
	:: received + dropped == PACKETS -> break
	:: received + dropped < PACKETS && head != hwtail ->
		atomic {
			do
			:: count < DISTANCE(head, hwtail) -> count++
			:: count > 0 -> break
			od;
			received = received + count;
			head = (head + count) % N;
			count = 0;
			if
			:: interrupts_on -> store(GUEST, APPL_NEED_KICK, 0); interrupts_on = false
			:: else
			fi;
			store_release(GUEST, HEAD, head) /* ptnet_csb_publish() */
		};
		atomic { load(GUEST, HWTAIL, hwtail) }
	:: received + dropped < PACKETS && head == hwtail ->
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
#endif
		if
		:: head != hwtail
		:: else ->
			if
			:: atomic { interrupt -> interrupt = false }
			:: received + dropped == PACKETS
			fi;
			atomic { load(GUEST, HWTAIL, hwtail) }
		fi
	od
}

proctype worker(byte self)
{
	byte left = PACKETS / 2;
	byte count, space;
	byte head_before; /* what memory held when the batch began */
	bool moved, appl_need_kick;

	do
	:: left == 0 -> break
	:: else ->
		/* deliver(): pthread_mutex_lock() is a locked instruction, hence a full barrier. */
		atomic {
			buffered[WORKER(self)].count == 0 && memory[LOCK] == 0 ->
			memory[LOCK] = 1;
			head_before = memory[HEAD]
		};
#ifndef DELIVER_WITHOUT_READING_HEAD
		/* kring_pull() */
		atomic {
			load(WORKER(self), HEAD, kring_head);
			assert(IN_ORDER(kring_hwcur, kring_head, kring_hwtail));
			kring_hwcur = kring_head
		};
#endif
		atomic {
			do
			:: count < left && count < BATCH -> count++
			:: count > 0 -> break
			od;
			left = left - count;
			space = N - 1 - DISTANCE(kring_head, kring_hwtail);
			if
			:: count > space ->
				/* Not one may be lost for want of slots released before. */
				assert(space >= N - 1 - DISTANCE(head_before, kring_hwtail));
				dropped = dropped + count - space;
				count = space
			:: else
			fi;
			kring_hwtail = (kring_hwtail + count) % N;
			moved = count > 0;
			count = 0;
			space = 0;
			head_before = 0
		};
		/* kring_push() */
		if
		:: moved ->
			moved = false;
			store_release(WORKER(self), HWTAIL, kring_hwtail);
			atomic {
#ifndef PUSH_WITHOUT_BARRIER
				full_barrier(WORKER(self));
#endif
				load(WORKER(self), APPL_NEED_KICK, appl_need_kick);
				if
				:: appl_need_kick -> interrupt = true
				:: else
				fi;
				appl_need_kick = false
			}
		:: else
		fi;
		store_release(WORKER(self), LOCK, 0) /* pthread_mutex_unlock() */
	od
}

proctype memory_system()
{
end:	do
	:: d_step { buffered[GUEST].count > 0 -> drain(GUEST, 0) }
	:: d_step { buffered[WORKER(0)].count > 0 -> drain(WORKER(0), 0) }
	:: d_step { buffered[WORKER(1)].count > 0 -> drain(WORKER(1), 0) }
	od
}

init {
	atomic {
		run memory_system();
		run worker(0);
		run worker(1);
		run guest()
	}
}
