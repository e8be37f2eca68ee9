/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared memory as x86 shows it (total store order). Each party's stores wait in
 * a first-in-first-out buffer of its own until memory takes them, at any later
 * time; its loads see its own waiting stores first; a full barrier waits until
 * the buffer is empty. What can go wrong on a processor when a barrier is missing
 * between a store and a load can go wrong here.
 *
 * With -DWEAK memory may take a party's stores in any order, as on Arm or RISC-V,
 * except that stores to one word keep theirs and that a release store goes after
 * all earlier ones.
 *
 * The includer defines WORDS and PARTIES. An atomic step has at most one load, at
 * its beginning, perhaps after a barrier; it may go on with private work and stores,
 * because until a store drains nobody can tell when it was made.
 */

#define DEPTH 8 /* who has that many stores waiting waits itself */

typedef store_buffer {
	byte count;
	byte word[DEPTH];
	byte value[DEPTH];
#ifdef WEAK
	bool release[DEPTH];
#endif
}

byte memory[WORDS];
store_buffer buffered[PARTIES];

/*
 * How many of a party's waiting stores were there when the daemon last went idle.
 * Zero means that the time after which the daemon looks again may be over: that
 * time is chosen longer than any store can wait.
 */
byte old_stores[PARTIES];

inline store(who, which, what)
{
	d_step {
		buffered[who].count < DEPTH;
		buffered[who].word[buffered[who].count] = which;
		buffered[who].value[buffered[who].count] = what;
		buffered[who].count++
	}
}

inline store_release(who, which, what)
{
	d_step {
		buffered[who].count < DEPTH;
#ifdef WEAK
		buffered[who].release[buffered[who].count] = true;
#endif
		buffered[who].word[buffered[who].count] = which;
		buffered[who].value[buffered[who].count] = what;
		buffered[who].count++
	}
}

/* No loop here: spin 6.5 can emit the labels of loops in atomic steps twice. */
#define WAITS(who, which, i) (buffered[who].count > i && buffered[who].word[i] == which)

inline load(who, which, into)
{
	into = (WAITS(who, which, 7) -> buffered[who].value[7] :
	       (WAITS(who, which, 6) -> buffered[who].value[6] :
	       (WAITS(who, which, 5) -> buffered[who].value[5] :
	       (WAITS(who, which, 4) -> buffered[who].value[4] :
	       (WAITS(who, which, 3) -> buffered[who].value[3] :
	       (WAITS(who, which, 2) -> buffered[who].value[2] :
	       (WAITS(who, which, 1) -> buffered[who].value[1] :
	       (WAITS(who, which, 0) -> buffered[who].value[0] : memory[which]))))))))
}

inline full_barrier(who)
{
	buffered[who].count == 0
}

hidden byte at; /* scratch inside drain() */

/* Memory takes the store at @position of @who's buffer. */
inline drain(who, position)
{
	memory[buffered[who].word[position]] = buffered[who].value[position];
	at = position;
	do
	:: at + 1 < buffered[who].count ->
		buffered[who].word[at] = buffered[who].word[at + 1];
		buffered[who].value[at] = buffered[who].value[at + 1];
#ifdef WEAK
		buffered[who].release[at] = buffered[who].release[at + 1];
#endif
		at++
	:: else -> break
	od;
	buffered[who].word[at] = 0;
	buffered[who].value[at] = 0;
#ifdef WEAK
	buffered[who].release[at] = false;
#endif
	buffered[who].count--;
	if
	:: old_stores[who] > 0 -> old_stores[who]--
	:: else
	fi
}

/* Ring arithmetic; N is the number of slots. */
#define NEXT(index)         (((index) + 1) % N)
#define PREV(index)         (((index) + N - 1) % N)
#define DISTANCE(from, to)  (((to) + N - (from)) % N)

/* first <= second <= third, circularly. */
#define IN_ORDER(first, second, third) (DISTANCE(first, second) <= DISTANCE(first, third))
