/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A run: threads that each work on a port, and the one that watches over them, prints
 * progress and tells them to stop.
 *
 * A worker's thread owns everything in struct worker except what is marked; the main thread
 * reads the rest after it has ended. Counters are written by the worker alone and may be read
 * at any time.
 */
#ifndef GEN_RUN_H
#define GEN_RUN_H

#include "bufindex.h"
#include "capture.h"
#include "histogram.h"
#include "options.h"
#include "port.h"
#include "sequence.h"

#include <pthread.h>
#include <stdatomic.h>

enum stop_reason {
	STOP_NONE,
	STOP_COUNT, /* --count reached */
	STOP_END,   /* end of the capture file */
	STOP_TIME,  /* --time over */
	STOP_IDLE,  /* --idle-timeout or --wait-first */
	STOP_SIGNAL,
	STOP_ERROR,
};

const char *stop_reason_name(enum stop_reason r);

struct counters {
	_Atomic uint64_t packets;
	_Atomic uint64_t bytes;	  /* of frames, without virtio-net headers */
	_Atomic uint64_t batches; /* rings found with packets, or filled */
	_Atomic uint64_t waits;	  /* times that there was nothing to do */
	_Atomic uint64_t empty;	  /* received slots of length 0 */
	_Atomic uint64_t bad;	  /* received packets with an impossible slot or a cut chain */
	_Atomic uint64_t missed;  /* ping: no answer in time */
	_Atomic uint64_t late;	  /* ping: an answer, but too late */
	_Atomic uint64_t ignored; /* ping, pong: packets that were not for us */
};

/* For a counter with one writer: no locked instruction. */
static inline void count(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

struct worker {
	struct run *run;
	unsigned int index;
	pthread_t thread;
	struct open_port port;
	struct counters counters __attribute__((aligned(64)));
	int64_t first_ns, last_ns; /* first and last batch; 0: none */
	bool failed;
	uint32_t pending; /* tx: slots that the other side did not take */
	uint8_t *scratch; /* one frame, scratch_size bytes */
	uint32_t scratch_size;
	struct histogram *latency; /* ping */
};

struct run {
	const struct gen_options *options;
	struct worker *workers;
	unsigned int n_workers;
	unsigned int n_started;	     /* threads */
	int stop_fd;		     /* eventfd; readable from the moment of stopping */
	int done_fd;		     /* eventfd; counts workers that have ended */
	_Atomic int reason;	     /* enum stop_reason: why all were told to stop, first come */
	_Atomic int finished;	     /* ... or what a worker finished by itself */
	_Atomic bool hurry;	     /* asked a second time: don't wait for anything */
	_Atomic uint64_t to_claim;   /* rx: packets of --count not claimed by a worker */
	_Atomic uint64_t to_receive; /* rx: packets of --count not received */
	uint32_t run_id;	     /* in the stamps of our frames */
	struct frame_addresses addresses;
	struct capture replay;
	struct sequence_tracker *tracker; /* rx --check, else NULL */
	struct capture_writer *writer;	  /* rx --capture, else NULL */
	struct bufindex *buf_idx;	  /* --print-buf-idx, else NULL */
	int64_t seconds_ns;		  /* how long it took, set at the end */
};

static inline bool run_stopping(const struct run *r)
{
	return atomic_load_explicit(&r->reason, memory_order_relaxed) != STOP_NONE;
}

/* Notes why, if nobody has yet, and tells all workers to stop. Any thread. */
void run_stop(struct run *r, enum stop_reason reason);

/* Notes that this worker has done its part, without stopping the others. */
static inline void run_finished(struct run *r, enum stop_reason reason)
{
	atomic_store(&r->finished, (int)reason);
}

/* Why the run ended; once all workers have. */
static inline enum stop_reason run_reason(const struct run *r)
{
	return (enum stop_reason)(r->reason ? r->reason : r->finished);
}

/* The work of one thread; returns when done or told to stop. Each sets worker->failed after a
 * message if something did not work. */
void tx_run(struct worker *w);
void replay_run(struct worker *w);
void rx_run(struct worker *w);
void ping_run(struct worker *w);
void pong_run(struct worker *w);

/* Notes the time of a batch of n packets. */
void worker_batch(struct worker *w, uint64_t packets, uint64_t bytes);

/* Waits until the other side has taken all slots, at most options->timeout; sets w->pending. */
void worker_drain(struct worker *w);

/* Sleeps until a TX ring has got more room. False if the worker must end (failed or not). */
bool worker_wait_room(struct worker *w);

/* True unless the worker must end; sets w->failed if that is why. */
static inline bool worker_goes_on(struct worker *w, enum wait_result result)
{
	if (result == WAIT_FAILED)
		w->failed = true;
	return result != WAIT_FAILED && result != WAIT_STOP;
}

/* Opens ports and files, runs, watches, closes. 0, or -1 when it could not even begin. */
int run_all(struct run *r, const struct gen_options *o);
void run_free(struct run *r);

struct totals {
	uint64_t packets, bytes, batches, waits, empty, bad, missed, late, ignored;
};
struct totals run_totals(const struct run *r);

#endif
