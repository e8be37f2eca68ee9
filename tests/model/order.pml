/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the two sides of a ring see of each other's positions and slots, without
 * notifications: both look whenever memory has changed. A guest publishes slots, the
 * daemon takes them, leaves an answer in each and gives them back.
 *
 * Must hold with -DWEAK too, where only release stores keep an order. Loads are made
 * in program order throughout; where an acquire load is taken out, the later load
 * that it held back is made first.
 */
#ifndef N
#define N 4
#endif
#ifndef PACKETS
#define PACKETS 7
#endif

#define PARTIES 2
#define GUEST   0
#define DAEMON  1

#define WORDS   (4 + N)
#define CUR     0
#define HEAD    1
#define HWCUR   2
#define HWTAIL  3
#define SLOT(i) (4 + (i))

#define ANSWER(packet) (128 + (packet))

#include "memory.pml"

#ifdef PUBLISH_HEAD_RELAXED
#define store_head store
#else
#define store_head store_release
#endif
#ifdef PUSH_HWTAIL_RELAXED
#define store_hwtail store
#else
#define store_hwtail store_release
#endif

proctype guest()
{
	byte head, hwcur, sent, answered, old, answer;
	byte hwtail = N - 1;
	bool new;
#ifdef READ_SLOT_BEFORE_HWTAIL
	byte early;
	bool is_early;
#endif

	do
	:: atomic { sent < PACKETS && head != hwtail ->
			do
			:: head != hwtail && sent < PACKETS ->
				sent++;
				store(GUEST, SLOT(head), sent);
				head = NEXT(head);
				new = true
			:: new -> break
			od;
			new = false;
			/* ptnet_csb_publish() */
#ifdef PUBLISH_HEAD_BEFORE_CUR
			store_release(GUEST, HEAD, head);
			store_release(GUEST, CUR, head)
#else
			store_release(GUEST, CUR, head);
			store_head(GUEST, HEAD, head)
#endif
		}
#ifdef READ_SLOT_BEFORE_HWTAIL
	:: answered < sent ->
		atomic { load(GUEST, SLOT(NEXT(hwtail)), early); is_early = true };
		memory[HWTAIL] != hwtail;
#else
	:: memory[HWTAIL] != hwtail ->
#endif
		old = hwtail;
		/* ptnet_csb_read() */
#ifdef READ_HWCUR_BEFORE_HWTAIL
		atomic { load(GUEST, HWCUR, hwcur) };
#endif
		atomic { load(GUEST, HWTAIL, hwtail) };
#ifndef READ_HWCUR_BEFORE_HWTAIL
		atomic { load(GUEST, HWCUR, hwcur) };
#endif
		assert(IN_ORDER(hwcur, head, hwtail));
		hwcur = 0;
		do
		:: old == hwtail -> break
		:: else ->
			atomic {
				old = NEXT(old);
				load(GUEST, SLOT(old), answer);
#ifdef READ_SLOT_BEFORE_HWTAIL
				if
				:: is_early -> answer = early; is_early = false
				:: else
				fi;
#endif
				answered++;
				assert(answer == ANSWER(answered));
				answer = 0
			}
		od;
		old = 0
	:: answered == PACKETS -> break
	od
}

proctype daemon()
{
	byte hwcur, head, cur, packet, taken;
	byte hwtail = N - 1;
#ifdef PULL_SLOT_BEFORE_HEAD
	byte early;
	bool is_early;
#endif

	do
	:: taken == PACKETS -> break
#ifdef PULL_SLOT_BEFORE_HEAD
	:: taken < PACKETS ->
		atomic { load(DAEMON, SLOT(hwcur), early); is_early = true };
		memory[HEAD] != hwcur;
#else
	:: memory[HEAD] != hwcur ->
#endif
		/* kring_pull() */
#ifdef PULL_CUR_BEFORE_HEAD
		atomic { load(DAEMON, CUR, cur) };
#endif
		atomic { load(DAEMON, HEAD, head) };
#ifndef PULL_CUR_BEFORE_HEAD
		atomic { load(DAEMON, CUR, cur) };
#endif
		assert(IN_ORDER(hwcur, head, hwtail));
		assert(IN_ORDER(head, cur, hwtail));
		cur = 0;
		do
		:: hwcur == head -> break
		:: else ->
			atomic {
				load(DAEMON, SLOT(hwcur), packet);
#ifdef PULL_SLOT_BEFORE_HEAD
				if
				:: is_early -> packet = early; is_early = false
				:: else
				fi;
#endif
				taken++;
				assert(packet == taken);
				store(DAEMON, SLOT(hwcur), ANSWER(taken));
				packet = 0;
				hwcur = NEXT(hwcur);
				hwtail = PREV(hwcur)
			}
		od;
		/* kring_push() */
		atomic {
#ifdef PUSH_HWTAIL_BEFORE_HWCUR
			store_release(DAEMON, HWTAIL, hwtail);
			store_release(DAEMON, HWCUR, hwcur)
#else
			store_release(DAEMON, HWCUR, hwcur);
			store_hwtail(DAEMON, HWTAIL, hwtail)
#endif
		}
	od
}

/* Whether memory may take the store at this position now. */
#ifdef WEAK
#define SAME(who, i, j) (i < j && buffered[who].word[i] == buffered[who].word[j])
#define MAY_DRAIN(who, i) (buffered[who].count > i && (i == 0 || !buffered[who].release[i]) && \
	!SAME(who, 0, i) && !SAME(who, 1, i) && !SAME(who, 2, i) && !SAME(who, 3, i) && \
	!SAME(who, 4, i) && !SAME(who, 5, i) && !SAME(who, 6, i))
#define DRAIN(who, i) :: d_step { MAY_DRAIN(who, i) -> drain(who, i) }
#else
#define DRAIN(who, i)
#endif

proctype memory_system()
{
end:	do
	:: d_step { buffered[GUEST].count > 0 -> drain(GUEST, 0) }
	:: d_step { buffered[DAEMON].count > 0 -> drain(DAEMON, 0) }
	DRAIN(GUEST, 1)
	DRAIN(GUEST, 2)
	DRAIN(GUEST, 3)
	DRAIN(GUEST, 4)
	DRAIN(GUEST, 5)
	DRAIN(GUEST, 6)
	DRAIN(GUEST, 7)
	DRAIN(DAEMON, 1)
	DRAIN(DAEMON, 2)
	DRAIN(DAEMON, 3)
	DRAIN(DAEMON, 4)
	DRAIN(DAEMON, 5)
	DRAIN(DAEMON, 6)
	DRAIN(DAEMON, 7)
	od
}

init {
	d_step { memory[HWTAIL] = N - 1 };
	atomic {
		run memory_system();
		run daemon();
		run guest()
	}
}
