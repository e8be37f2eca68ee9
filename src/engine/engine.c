/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "engine/engine.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/worker.h"
#include "port/port.h"
#include "ring/interrupt.h"

#define MAX_WORKERS 256u
#define MAX_LOOK_US 1000u

struct engine {
	unsigned num_workers;
	struct worker *workers;
};

/* The @n-th CPU that this process may use, or -1. */
static int nth_cpu(unsigned n)
{
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -1;
	n %= (unsigned)CPU_COUNT(&allowed);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && n-- == 0)
			return cpu;
	return -1;
}

static int worker_open(struct worker *worker, unsigned index, const struct engine_config *config)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};

	worker->index = index;
	worker->cpu = config->pin ? nth_cpu(index) : -1;
	worker->look_max_ns = config->look_max_us * 1000;
	TAILQ_INIT(&worker->run);
	TAILQ_INIT(&worker->look);
	for (unsigned stage = 0; stage < WORKER_RECHECKS; stage++)
		TAILQ_INIT(&worker->recheck[stage]);
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0)
		return -errno;
	worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->wake_fd < 0 ||
	    epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd, &event) < 0) {
		int result = -errno;

		if (worker->wake_fd >= 0)
			close(worker->wake_fd);
		close(worker->epoll_fd);
		return result;
	}
	pthread_mutex_init(&worker->call_lock, NULL);
	pthread_cond_init(&worker->call_done, NULL);
	return 0;
}

static void worker_close(struct worker *worker)
{
	pthread_cond_destroy(&worker->call_done);
	pthread_mutex_destroy(&worker->call_lock);
	close(worker->wake_fd);
	close(worker->epoll_fd);
}

static int worker_start(struct worker *worker)
{
	sigset_t all, before;
	int result;

	/* Signals are the control thread's. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = -pthread_create(&worker->thread, NULL, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result == 0 && worker->cpu >= 0) {
		cpu_set_t cpus;

		CPU_ZERO(&cpus);
		CPU_SET(worker->cpu, &cpus);
		pthread_setaffinity_np(worker->thread, sizeof(cpus), &cpus);
	}
	return result;
}

static void nothing(void *argument)
{
	(void)argument;
}

static void leave_loop(void *argument)
{
	struct worker *worker = argument;

	atomic_store(&worker->stop, true);
}

static void worker_stop(struct worker *worker)
{
	worker_call(worker, leave_loop, worker);
	pthread_join(worker->thread, NULL);
	worker_close(worker);
}

int engine_create(struct engine **out, const struct engine_config *config, struct error *error)
{
	unsigned wanted = config->workers;
	int result = 0;

	if (wanted == 0) {
		long online = sysconf(_SC_NPROCESSORS_ONLN);

		wanted = online < 1		      ? 1
			 : online > (long)MAX_WORKERS ? MAX_WORKERS
						      : (unsigned)online;
	}
	if (wanted > MAX_WORKERS)
		return error_set(error, EINVAL, "workers %u is out of range: 0 (one per CPU) to %u",
				 wanted, MAX_WORKERS);
	if (config->look_max_us > MAX_LOOK_US)
		return error_set(error, EINVAL, "look_max_us %u is out of range: 0 to %u",
				 config->look_max_us, MAX_LOOK_US);
	result = interrupt_prepare();
	if (result < 0)
		return error_set(error, -result,
				 "interrupts need the kernel's asynchronous I/O: %s; raise "
				 "fs.aio-max-nr with sysctl(8) if it is used up",
				 strerror(-result));
	/* Workers would not sleep but spin. */
	if (epoll_pwait2(-1, &(struct epoll_event){0}, 1, NULL, NULL) < 0 && errno == ENOSYS)
		return error_set(
			error, ENOSYS,
			"this kernel has no epoll_pwait2(2); Linux 5.11 or later is needed");
	struct engine *engine = calloc(1, sizeof(*engine));
	if (engine == NULL)
		return error_set(error, ENOMEM, "out of memory");
	engine->workers = calloc(wanted, sizeof(*engine->workers));
	if (engine->workers == NULL) {
		free(engine);
		return error_set(error, ENOMEM, "out of memory");
	}
	for (; engine->num_workers < wanted; engine->num_workers++) {
		struct worker *worker = &engine->workers[engine->num_workers];

		result = worker_open(worker, engine->num_workers, config);
		if (result < 0)
			break;
		result = worker_start(worker);
		if (result < 0) {
			worker_close(worker);
			break;
		}
	}
	if (result < 0) {
		error_set(error, -result, "cannot start worker %u of %u: %s", engine->num_workers,
			  wanted, strerror(-result));
		engine_destroy(engine);
		return result;
	}
	*out = engine;
	return 0;
}

void engine_destroy(struct engine *engine)
{
	for (unsigned i = 0; i < engine->num_workers; i++)
		worker_stop(&engine->workers[i]);
	free(engine->workers);
	free(engine);
}

unsigned engine_num_workers(const struct engine *engine)
{
	return engine->num_workers;
}

unsigned engine_look_max_us(const struct engine *engine)
{
	return engine->workers[0].look_max_ns / 1000;
}

struct worker *engine_worker(struct engine *engine, unsigned index)
{
	return index < engine->num_workers ? &engine->workers[index] : NULL;
}

void engine_worker_stats(struct engine *engine, unsigned index, struct engine_worker_stats *stats)
{
	const struct worker *worker = &engine->workers[index];

	*stats = (struct engine_worker_stats){
		.wakeups = atomic_load(&worker->wakeups),
		.batches = atomic_load(&worker->batches),
		.rechecks = atomic_load(&worker->rechecks),
		.looks = atomic_load(&worker->looks),
		.looks_paid = atomic_load(&worker->looks_paid),
		.rings = atomic_load(&worker->num_rings),
		.watches = atomic_load(&worker->num_watches),
	};
}

struct worker *engine_least_loaded(struct engine *engine)
{
	struct worker *best = &engine->workers[0];

	for (unsigned i = 1; i < engine->num_workers; i++) {
		struct worker *worker = &engine->workers[i];

		if (atomic_load(&worker->num_rings) + atomic_load(&worker->num_watches) <
		    atomic_load(&best->num_rings) + atomic_load(&best->num_watches))
			best = worker;
	}
	return best;
}

/* RX rings are run by nobody: whoever delivers into them does it all. */
void engine_add_port(struct engine *engine, struct port *port)
{
	unsigned first = engine_least_loaded(engine)->index;

	for (unsigned i = 0; i < port->tx_rings; i++) {
		struct kring *kring = port_tx(port, i);

		kring->worker = &engine->workers[(first + i) % engine->num_workers];
		kring->wake = worker_wake_ring;
		atomic_fetch_add(&kring->worker->num_rings, 1);
	}
}

static void forget(void *argument)
{
	struct kring *kring = argument;

	worker_forget_ring(kring->worker, kring);
}

void engine_remove_port(struct engine *engine, struct port *port)
{
	port->ops->unpublish(port);
	engine_synchronize(engine);
	for (unsigned i = 0; i < port->tx_rings; i++) {
		struct kring *kring = port_tx(port, i);

		if (kring->worker == NULL)
			continue;
		worker_call(kring->worker, forget, kring);
		atomic_fetch_sub(&kring->worker->num_rings, 1);
		kring->worker = NULL;
		kring->wake = NULL;
	}
}

struct worker *engine_worker_of(struct engine *engine, const struct port *port)
{
	struct worker *worker = port_tx(port, 0)->worker;

	return worker != NULL ? worker : engine_least_loaded(engine);
}

void engine_synchronize(struct engine *engine)
{
	for (unsigned i = 0; i < engine->num_workers; i++)
		worker_call(&engine->workers[i], nothing, NULL);
}
