/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include "message.h"
#include "number.h"
#include "open.h"
#include "ownmac.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const char *const reason_names[] = {
	[STOP_NONE] = "none",	[STOP_COUNT] = "count", [STOP_END] = "end of file",
	[STOP_TIME] = "time",	[STOP_IDLE] = "idle",	[STOP_SIGNAL] = "signal",
	[STOP_ERROR] = "error",
};

const char *stop_reason_name(enum stop_reason r)
{
	return reason_names[r];
}

void run_stop(struct run *r, enum stop_reason reason)
{
	int none = STOP_NONE;
	uint64_t one = 1;

	atomic_compare_exchange_strong(&r->reason, &none, (int)reason);
	if (write(r->stop_fd, &one, sizeof(one)) < 0)
		complain("cannot tell the threads to stop: %s", strerror(errno));
}

struct totals run_totals(const struct run *r)
{
	struct totals t = {0};
	unsigned int i;

	for (i = 0; i < r->n_workers; i++) {
		struct counters *c = &r->workers[i].counters;

		t.packets += c->packets;
		t.bytes += c->bytes;
		t.batches += c->batches;
		t.waits += c->waits;
		t.empty += c->empty;
		t.bad += c->bad;
		t.missed += c->missed;
		t.late += c->late;
		t.ignored += c->ignored;
	}
	return t;
}

/* ---- workers ---- */

void worker_batch(struct worker *w, uint64_t packets, uint64_t bytes)
{
	w->last_ns = now_ns();
	if (!w->first_ns)
		w->first_ns = w->last_ns;
	count(&w->counters.packets, packets);
	count(&w->counters.bytes, bytes);
	count(&w->counters.batches, 1);
}

bool worker_wait_room(struct worker *w)
{
	count(&w->counters.waits, 1);
	return worker_goes_on(w, port_wait_room(&w->port, -1));
}

void worker_drain(struct worker *w)
{
	if (port_drain(&w->port, w->run->options->timeout, &w->run->hurry, &w->pending))
		w->failed = true;
}

static void pin_to_cpu(struct worker *w, int cpu)
{
	cpu_set_t set;
	int error;

	CPU_ZERO(&set);
	CPU_SET((unsigned int)cpu, &set);
	error = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	if (error) {
		complain("cannot run thread %u on CPU %d: %s", w->index, cpu, strerror(error));
		w->failed = true;
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct run *r = w->run;
	const struct gen_options *o = r->options;
	uint64_t one = 1;

	if (o->first_cpu >= 0)
		pin_to_cpu(w, o->first_cpu + (int)w->index);
	if (!w->failed) {
		switch (o->function) {
		case GEN_TX:
			if (o->replay)
				replay_run(w);
			else
				tx_run(w);
			break;
		case GEN_RX:
			rx_run(w);
			break;
		case GEN_PING:
			ping_run(w);
			break;
		case GEN_PONG:
			pong_run(w);
			break;
		}
	}
	if (w->failed)
		run_stop(r, STOP_ERROR);
	if (write(r->done_fd, &one, sizeof(one)) < 0)
		complain("cannot report the end of a thread: %s", strerror(errno));
	return NULL;
}

/* ---- setting up ---- */

static int open_worker(struct run *r, unsigned int i)
{
	const struct gen_options *o = r->options;
	struct worker *w = &r->workers[i];
	uint32_t size = size_largest(&o->size);

	w->run = r;
	w->index = i;
	if (gen_open_port(&w->port, o, i ? &r->workers[0].port : NULL,
			  o->threads > 1 ? (int)i : -1))
		return -1;
	w->port.stop_fd = r->stop_fd;
	if (o->function == GEN_RX || o->function == GEN_PING || o->function == GEN_PONG) {
		uint32_t longest = NETMAP_MAX_FRAGS * port_rx_ring(&w->port, 0)->nr_buf_size;

		size = longest > size ? longest : size;
	}
	w->scratch_size = size;
	w->scratch = malloc(size);
	if (o->function == GEN_PING) {
		w->latency = malloc(sizeof(*w->latency));
		if (w->latency)
			histogram_init(w->latency);
	}
	if (!w->scratch || (o->function == GEN_PING && !w->latency))
		return complain("out of memory");
	return 0;
}

static int open_files(struct run *r)
{
	const struct gen_options *o = r->options;

	if (o->replay && capture_read(&r->replay, o->replay))
		return -1;
	if (o->check) {
		r->tracker = sequence_new(o->join);
		if (!r->tracker)
			return complain("out of memory");
	}
	if (o->capture) {
		r->writer = capture_create(o->capture);
		if (!r->writer)
			return -1;
	}
	if (o->buf_idx) {
		r->buf_idx = bufindex_create(o->buf_idx);
		if (!r->buf_idx)
			return -1;
	}
	return 0;
}

static int set_up(struct run *r, const struct gen_options *o)
{
	unsigned int i;

	memset(r, 0, sizeof(*r));
	forget_complaints();
	r->options = o;
	r->to_claim = r->to_receive = o->count ? o->count : UINT64_MAX;
	r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->stop_fd < 0 || r->done_fd < 0)
		return complain("cannot make an eventfd: %s", strerror(errno));
	if (getrandom(&r->run_id, sizeof(r->run_id), GRND_NONBLOCK) != sizeof(r->run_id))
		r->run_id = (uint32_t)(now_ns() ^ getpid() << 16);
	if (open_files(r))
		return -1;
	r->workers = aligned_alloc(64, o->threads * sizeof(*r->workers));
	if (!r->workers)
		return complain("out of memory");
	memset(r->workers, 0, o->threads * sizeof(*r->workers));
	for (i = 0; i < o->threads; i++) {
		r->n_workers = i + 1;
		if (open_worker(r, i))
			return -1;
	}
	r->addresses = o->addresses;
	if (!o->src_mac_given)
		own_mac(&r->addresses.src_mac, r->workers[0].port.d->hdr.nr_name);
	return 0;
}

/* ---- watching ---- */

struct watch {
	struct run *run;
	int signal_fd;
	int64_t start;
	struct progress progress;
	struct totals shown; /* at the last progress line */
	uint64_t seen;	     /* packets when last looked */
	int64_t seen_at;     /* when they became that many */
};

static void print_progress(struct watch *v, double seconds)
{
	const struct gen_options *o = v->run->options;
	struct totals t = run_totals(v->run);
	double packets = (double)(t.packets - v->shown.packets);
	double bits = 8.0 * (double)(t.bytes - v->shown.bytes);
	double batches = (double)(t.batches - v->shown.batches);
	char pps[16], bps[16], clock[16];

	fprintf(stderr, "%s %s %spps %sbps %.1f packets/batch\n",
		progress_clock(clock, sizeof(clock)), function_name(o->function),
		with_unit(packets / seconds, pps, sizeof(pps)),
		with_unit(bits / seconds, bps, sizeof(bps)), batches > 0 ? packets / batches : 0);
	v->shown = t;
}

/* When the idle limit would be over if nothing came; INT64_MAX: no limit. */
static int64_t idle_end(struct watch *v)
{
	const struct gen_options *o = v->run->options;
	int64_t limit = v->seen ? o->idle_timeout : o->wait_first;

	return limit > 0 ? v->seen_at + limit : INT64_MAX;
}

static void look_for_idleness(struct watch *v, int64_t now)
{
	uint64_t packets = run_totals(v->run).packets;

	if (packets != v->seen) {
		v->seen = packets;
		v->seen_at = now;
	} else if (now >= idle_end(v)) {
		run_stop(v->run, STOP_IDLE);
	}
}

/* How long until something is to be looked at; -1: any time. */
static int64_t next_look(struct watch *v, int64_t now)
{
	const struct gen_options *o = v->run->options;
	int64_t when = v->progress.next;

	if (run_stopping(v->run))
		return -1;
	if (o->time && v->start + o->time < when)
		when = v->start + o->time;
	if (o->idle_timeout || o->wait_first) {
		/* Packets that come move the end; a few looks per period find that out. */
		int64_t step = (o->idle_timeout ? o->idle_timeout : o->wait_first) / 8 + 1;
		int64_t look = now + step < idle_end(v) ? now + step : idle_end(v);

		when = look < when ? look : when;
	}
	if (when == INT64_MAX)
		return -1;
	return when > now ? when - now : 0;
}

static void take_signal(struct watch *v)
{
	struct signalfd_siginfo info;

	if (read(v->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (run_stopping(v->run))
		atomic_store(&v->run->hurry, true);
	run_stop(v->run, STOP_SIGNAL);
}

static unsigned int take_done(struct run *r)
{
	uint64_t n;

	return read(r->done_fd, &n, sizeof(n)) == sizeof(n) ? (unsigned int)n : 0;
}

static void watch_workers(struct watch *v)
{
	struct run *r = v->run;
	unsigned int done = 0;
	double seconds;

	while (done < r->n_started) {
		struct pollfd fds[2] = {
			{.fd = r->done_fd, .events = POLLIN},
			{.fd = v->signal_fd, .events = POLLIN},
		};
		int64_t now = now_ns(), ns = next_look(v, now);
		struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

		ppoll(fds, 2, ns < 0 ? NULL : &t, NULL);
		done += take_done(r);
		if (fds[1].revents)
			take_signal(v);
		now = now_ns();
		if (done < r->n_started && progress_due(&v->progress, now, &seconds))
			print_progress(v, seconds);
		if (run_stopping(r))
			continue;
		if (r->options->time && now >= v->start + r->options->time)
			run_stop(r, STOP_TIME);
		look_for_idleness(v, now);
	}
}

/* SIGINT and SIGTERM are for the watching thread only. */
static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void start_and_watch(struct run *r)
{
	struct watch v = {.run = r, .signal_fd = open_signals()};
	unsigned int i;

	/* Paced sending sleeps for less than the kernel's usual rounding of 50 us. */
	prctl(PR_SET_TIMERSLACK, 1000UL);
	v.start = v.seen_at = now_ns();
	progress_begin(&v.progress, &r->options->reporting, v.start);
	for (i = 0; i < r->n_workers; i++) {
		int error =
			pthread_create(&r->workers[i].thread, NULL, worker_main, &r->workers[i]);

		if (error) {
			complain("cannot start a thread: %s", strerror(error));
			r->workers[i].failed = true;
			run_stop(r, STOP_ERROR);
			break;
		}
		r->n_started++;
	}
	watch_workers(&v);
	for (i = 0; i < r->n_started; i++)
		pthread_join(r->workers[i].thread, NULL);
	r->seconds_ns = now_ns() - v.start;
	if (v.signal_fd >= 0)
		close(v.signal_fd);
}

static int close_files(struct run *r)
{
	int failed = 0;

	if (r->writer && capture_close(r->writer))
		failed = -1;
	if (r->buf_idx && bufindex_close(r->buf_idx))
		failed = -1;
	r->writer = NULL;
	r->buf_idx = NULL;
	return failed;
}

int run_all(struct run *r, const struct gen_options *o)
{
	if (set_up(r, o))
		return -1;
	start_and_watch(r);
	if (close_files(r))
		run_stop(r, STOP_ERROR);
	return 0;
}

void run_free(struct run *r)
{
	unsigned int i;

	close_files(r);
	for (i = 0; i < r->n_workers; i++) {
		free(r->workers[i].scratch);
		free(r->workers[i].latency);
		port_close(&r->workers[i].port);
	}
	free(r->workers);
	sequence_free(r->tracker);
	capture_free(&r->replay);
	if (r->stop_fd >= 0)
		close(r->stop_fd);
	if (r->done_fd >= 0)
		close(r->done_fd);
}
