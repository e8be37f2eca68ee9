/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker going to sleep while two other threads wake rings of its: the same rule
 * as between guest and daemon, between `sleeping` and the inbox. The wakers end
 * when their rings have been run, so a lost wake-up is a deadlock.
 *
 * The exchanges on sched_state and inbox are stronger here than any processor's on
 * the first, weaker on the second: they promise atomicity and nothing about order,
 * so that only the barriers count.
 */
#ifndef WAKES
#define WAKES 3 /* by each waker */
#endif

#define PARTIES   3
#define WORKER    0
#define WAKER(i)  (1 + (i))

#define WORDS     3
#define SLEEPING  0
#define INBOX(i)  (1 + (i)) /* the ring of waker i is in the inbox */

#include "memory.pml"

bool queued[2]; /* sched_state of the two rings */
byte work[2], served[2];
bool event; /* the worker's wake_fd */

proctype waker(byte self)
{
	byte wakes;
	bool sleeping;

	do
	:: wakes == WAKES -> break
	:: else ->
		/* worker_wake_ring() */
		atomic {
			wakes++;
			work[self]++;
			if
			:: queued[self] -> goto next
			:: else
			fi;
			queued[self] = true;
			store(WAKER(self), INBOX(self), 1)
		};
		atomic {
#ifndef WAKE_WITHOUT_BARRIER
			full_barrier(WAKER(self));
#endif
			load(WAKER(self), SLEEPING, sleeping);
			if
			:: sleeping -> event = true; sleeping = false
			:: else
			fi
		};
next:		skip
	od;
	served[self] == WAKES
}

/* Takes the ring out of the inbox, makes it idle and runs it. */
inline take(i)
{
	atomic {
		if
		:: memory[INBOX(i)] == 1 ->
			memory[INBOX(i)] = 0;
			queued[i] = false;
			served[i] = work[i]
		:: else
		fi
	}
}

proctype worker()
{
	bool found;

	do
	:: take(0);
		take(1);
		/* worker_sleep() */
		store(WORKER, SLEEPING, 1);
		atomic {
#ifndef SLEEP_WITHOUT_BARRIER
			full_barrier(WORKER);
#endif
#ifndef SLEEP_WITHOUT_LOOKING_INTO_THE_INBOX
			load(WORKER, INBOX(0), found)
#endif
		};
		if
		:: found
		:: else ->
#ifndef SLEEP_WITHOUT_LOOKING_INTO_THE_INBOX
			atomic { load(WORKER, INBOX(1), found) };
#endif
			if
			:: found
			:: else ->
end_asleep:			event -> event = false
			fi
		fi;
		found = false;
		store(WORKER, SLEEPING, 0)
	od
}

proctype memory_system()
{
end:	do
	:: d_step { buffered[WORKER].count > 0 -> drain(WORKER, 0) }
	:: d_step { buffered[WAKER(0)].count > 0 -> drain(WAKER(0), 0) }
	:: d_step { buffered[WAKER(1)].count > 0 -> drain(WAKER(1), 0) }
	od
}

init {
	atomic {
		run memory_system();
		run worker();
		run waker(0);
		run waker(1)
	}
}
