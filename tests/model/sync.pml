/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TXSYNC of host processes (ptnet/local.h): two threads, perhaps of two processes, share a TX
 * ring. Each publishes under sync_lock, asks for a sync, kicks, and waits until it is answered, while
 * the other may go on. A client ends when all its syncs have ended, so a lost wake-up is a deadlock;
 * and when one ends, what the client had published has been taken.
 *
 * The switch's kind of ring: it completes what it takes at once. A pipe's run answers in the same
 * place. Whether to kick does not depend on kern_need_kick here: a sync always does.
 */
#ifndef N
#define N 4
#endif
#ifndef SYNCS
#define SYNCS 2 /* by the first client; the second does one less */
#endif
#ifndef BATCH
#define BATCH 1
#endif

#define PARTIES   3
#define CLIENT(i) (i)
#define WORKER    2

/* The local CSB. */
#define WORDS          6
#define HEAD           0
#define APPL_NEED_KICK 1
#define HWTAIL         2
#define SYNC_REQUEST   3
#define SYNC_DONE      4
#define SYNC_LOCK      5

#include "memory.pml"

bool kick;     /* the eventfd has been written and the daemon not noticed */
bool queued;   /* the ring's sched_state: a kick that finds it queued does nothing */
bool woken[2]; /* the interrupt's eventfd as each client's epoll shows it: kept until waited for */

/* Under sync_lock: ring->head, and how many slots have been published. */
byte ring_head, published;
byte delivered; /* slots that the worker has taken */

/* A processor's atomic addition has a full barrier before and after it. */
inline atomic_add(who, which, what)
{
	full_barrier(who);
	memory[which] = memory[which] + what
}

/* hidden_signal(): a system call. */
inline kick_ring(self)
{
	atomic { full_barrier(CLIENT(self)); kick = true }
}

proctype client(byte self)
{
	byte syncs, hwtail, count, number, done, goal;

	do
	:: syncs == SYNCS - self -> break
	:: else ->
		syncs++;
		atomic { full_barrier(CLIENT(self)); memory[SYNC_LOCK] == 0 -> memory[SYNC_LOCK] = 1 };
		/* Publishes some slots, or none: in a pipe there may be some to be taken back. */
		atomic {
			load(CLIENT(self), HWTAIL, hwtail);
			do
			:: count < DISTANCE(ring_head, hwtail) -> count++
			:: break
			od;
			hwtail = 0;
			ring_head = (ring_head + count) % N;
			published = published + count;
			goal = published;
			count = 0;
#ifdef ASKS_BEFORE_IT_PUBLISHES
			full_barrier(CLIENT(self))
		};
		atomic { atomic_add(CLIENT(self), SYNC_REQUEST, 1); number = memory[SYNC_REQUEST] };
		atomic { store_release(CLIENT(self), HEAD, ring_head) };
#else
			store_release(CLIENT(self), HEAD, ring_head)
		};
#ifdef KICKS_BEFORE_IT_ASKS
		kick_ring(self);
#endif
		atomic { atomic_add(CLIENT(self), SYNC_REQUEST, 1); number = memory[SYNC_REQUEST] };
#endif
		store_release(CLIENT(self), SYNC_LOCK, 0);
#ifndef KICKS_BEFORE_IT_ASKS
		kick_ring(self);
#endif

		/* Waits. */
look:		atomic {
			load(CLIENT(self), SYNC_DONE, done);
			if
			:: done >= number -> goto ended
			:: else -> done = 0
			fi
		};
		/* Says that one more sleeps, and looks again. */
#if defined(SLEEPS_WITHOUT_BARRIER)
		atomic { store(CLIENT(self), APPL_NEED_KICK, 1) };
#elif defined(SAYS_THAT_ONE_SLEEPS)
		atomic { full_barrier(CLIENT(self)); memory[APPL_NEED_KICK] = 1 };
#else
		atomic { atomic_add(CLIENT(self), APPL_NEED_KICK, 1) };
#endif
#ifndef SLEEPS_WITHOUT_LOOKING_AGAIN
		atomic {
			load(CLIENT(self), SYNC_DONE, done);
			if
			:: done >= number -> goto awake
			:: else -> done = 0
			fi
		};
#endif
		atomic { woken[self] -> woken[self] = false };
awake:
#if defined(SLEEPS_WITHOUT_BARRIER)
		atomic { done = 0; store(CLIENT(self), APPL_NEED_KICK, 0) };
#elif defined(SAYS_THAT_ONE_SLEEPS)
		atomic { done = 0; full_barrier(CLIENT(self)); memory[APPL_NEED_KICK] = 0 };
#else
		atomic { done = 0; atomic_add(CLIENT(self), APPL_NEED_KICK, -1) };
#endif
		goto look;

ended:		atomic {
			assert(delivered >= goal);
			done = 0;
			number = 0;
			goal = 0
		}
	od
}

proctype worker()
{
	byte hwcur, head, count, seen, asked;
	byte sync_seen, sync_head, sync_done;
	byte sleepers;
	bool owed; /* interrupt_owed */

	goto idle;

serve:	/* kring_pull(): the request before head */
#ifndef PULLS_REQUEST_AFTER_HEAD
	atomic {
		asked = sync_seen;
		if
		:: sync_seen == sync_done -> load(WORKER, SYNC_REQUEST, asked)
#ifdef SEES_REQUESTS_FOR_AN_OLDER_HEAD
		:: sync_seen != sync_done ->
			load(WORKER, SYNC_REQUEST, asked);
			sync_seen = asked
#else
		:: else
#endif
		fi
	};
#endif
	atomic {
		load(WORKER, HEAD, head);
		assert(IN_ORDER(hwcur, head, PREV(hwcur)))
#ifdef PULLS_REQUEST_AFTER_HEAD
	};
	atomic {
		asked = sync_seen;
		if
		:: sync_seen == sync_done -> load(WORKER, SYNC_REQUEST, asked)
		:: else
		fi
#endif
		;
		if
		:: asked != sync_seen -> sync_seen = asked; sync_head = head
		:: else
		fi;
		asked = 0;
		/* vale_run() */
		count = DISTANCE(hwcur, head);
		if
		:: count > BATCH -> count = BATCH
		:: else
		fi;
		delivered = delivered + count;
		hwcur = (hwcur + count) % N;
		/* kring_push(): kring_push_quietly(), and what kring_sync_answerable() allows */
		if
		:: count > 0 -> store_release(WORKER, HWTAIL, PREV(hwcur)); owed = true
		:: else
		fi;
		count = 0
#ifndef ANSWERS_AFTER_LOOKING
		;
		if
#ifdef ANSWERS_WHATEVER_IS_LEFT
		:: sync_seen != sync_done ->
#else
		:: sync_seen != sync_done && DISTANCE(hwcur, head) <= DISTANCE(sync_head, head) ->
#endif
			store_release(WORKER, SYNC_DONE, sync_seen);
			sync_done = sync_seen;
			sync_head = 0;
			owed = true
		:: else
		fi
#endif
	};
	if
	:: owed ->
		atomic {
			owed = false;
#ifndef PUSH_WITHOUT_BARRIER
			full_barrier(WORKER);
#endif
			load(WORKER, APPL_NEED_KICK, sleepers);
			if
			:: sleepers > 0 -> woken[0] = true; woken[1] = true
			:: else
			fi;
			sleepers = 0
		}
	:: else
	fi;
#ifdef ANSWERS_AFTER_LOOKING
	atomic {
		if
		:: sync_seen != sync_done && DISTANCE(hwcur, head) <= DISTANCE(sync_head, head) ->
			store_release(WORKER, SYNC_DONE, sync_seen);
			sync_done = sync_seen;
			sync_head = 0
		:: else
		fi
	};
#endif
	if
	:: head != hwcur -> goto serve
	:: else
	fi;

	/* ring_go_idle() */
#ifdef LOOKS_BEFORE_IT_IS_IDLE
	atomic { full_barrier(WORKER) };
#else
	atomic { queued = false; full_barrier(WORKER) };
#endif
	atomic {
		load(WORKER, HEAD, seen);
		if
		:: seen != hwcur -> seen = 0; queued = true; goto serve
		:: else -> seen = 0
		fi
	};
#ifndef IDLE_WITHOUT_LOOKING_FOR_REQUESTS
	atomic { /* kring_sync_pending() */
		load(WORKER, SYNC_REQUEST, seen);
		if
		:: seen != sync_seen && sync_seen == sync_done -> seen = 0; queued = true; goto serve
		:: else -> seen = 0
		fi
	};
#endif
#ifdef LOOKS_BEFORE_IT_IS_IDLE
	queued = false;
#endif

idle:
end_idle:
	queued;
	goto serve
}

proctype memory_system()
{
end:	do
	:: d_step { buffered[CLIENT(0)].count > 0 -> drain(CLIENT(0), 0) }
	:: d_step { buffered[CLIENT(1)].count > 0 -> drain(CLIENT(1), 0) }
	:: d_step { buffered[WORKER].count > 0 -> drain(WORKER, 0) }
	:: d_step { kick -> kick = false; queued = true } /* endpoint_kick(), worker_wake_ring() */
	od
}

init {
	d_step { memory[HWTAIL] = N - 1 };
	atomic {
		run memory_system();
		run worker();
		run client(0);
		run client(1)
	}
}
