/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnet-bench-programs: between two host programs under ptnet-run, each a process on a CPU of its
 * own, through a ptnetd of its own: packets per second one way over a VALE switch and over a
 * pipe, beside the raw limit; and the round trip of one packet between programs that sleep, beside
 * that of an eventfd. All in one run.
 *
 * The programs are this one, started again under ptnet-run: ordinary users of /dev/netmap, who
 * sleep in poll() or, where it says so, sync again and again and yield when there is nothing.
 * They and the process that measures share a page (struct board).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>
#include <net/netmap_user.h>

#include "client/daemon.h"
#include "clock.h"
#include "options.h"
#include "raw.h"
#include "wakeup.h"

#define LENGTH	   60
#define WAIT_MS	   100 /* a program looks whether it shall end */
#define PATIENCE_S 30  /* until a program that is not ready never will be */
#define BOARD	   "PTNET_BENCH_BOARD"

enum { FIRST, SECOND }; /* the sender, or who pings; and the other one */

struct board {
	_Atomic unsigned ready;
	_Atomic bool go, stop;
	bool busy;
	_Atomic uint64_t count[2]; /* packets, or round trips */
	double cpu_s[2];
};

struct options {
	struct bench_options bench;
	const char *ptnet_run;
};

struct result {
	double rate; /* packets, or round trips, per second */
	double cpu_ns[2], daemon_ns;
};

struct measurement {
	const char *name;
	const char *ports[2];
	bool round_trip, busy, pipe;
	double limit; /* per second */
	struct result median;
};

/* ---- the programs ---- */

struct port {
	int fd;
	const char *name;
	struct netmap_ring *tx, *rx;
};

static void give_up(const struct port *port, const char *what)
{
	fprintf(stderr, "ptnet-bench-programs: %s: %s: %s\n", port->name, what, strerror(errno));
	exit(1);
}

static void port_open(struct port *port, const char *name)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_header header = {.nr_version = NETMAP_API,
				      .nr_reqtype = NETMAP_REQ_REGISTER,
				      .nr_body = (uintptr_t)&reg};
	struct netmap_if *nifp;
	char *memory;

	port->name = name;
	snprintf(header.nr_name, sizeof(header.nr_name), "%s", name);
	port->fd = open("/dev/netmap", O_RDWR | O_CLOEXEC);
	if (port->fd < 0 || ioctl(port->fd, NIOCCTRL, &header) < 0)
		give_up(port, "cannot be opened");
	memory = mmap(NULL, reg.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, port->fd, 0);
	if (memory == MAP_FAILED)
		give_up(port, "mmap");
	nifp = NETMAP_IF(memory, reg.nr_offset);
	port->tx = NETMAP_TXRING(nifp, 0);
	port->rx = NETMAP_RXRING(nifp, 0);
}

static void sync_ring(const struct port *port, unsigned long request)
{
	if (ioctl(port->fd, request, NULL) < 0)
		give_up(port, "sync");
}

static void wait_for(const struct port *port, short events)
{
	struct pollfd fds = {.fd = port->fd, .events = events};

	if (poll(&fds, 1, WAIT_MS) < 0 && errno != EINTR)
		give_up(port, "poll");
}

/* The slots of @count packets, whose frames are there already. */
static void publish(struct netmap_ring *ring, uint32_t count)
{
	uint32_t i = ring->head;

	while (count-- > 0) {
		ring->slot[i].len = LENGTH;
		ring->slot[i].flags = 0;
		i = nm_ring_next(ring, i);
	}
	ring->head = ring->cur = i;
}

/* Every buffer of the ring holds a frame to the other program; nothing rewrites them. */
static void prepare_frames(struct netmap_ring *ring, unsigned from)
{
	for (uint32_t i = 0; i < ring->num_slots; i++) {
		char *frame = NETMAP_BUF(ring, ring->slot[i].buf_idx);

		memset(frame, 0, LENGTH);
		frame[0] = frame[6] = 0x02;
		frame[5] = (char)!from;
		frame[11] = (char)from;
		frame[12] = 0x08;
	}
}

static void send_packets(struct board *board, struct port *port)
{
	uint64_t sent = 0;

	while (!atomic_load_explicit(&board->stop, memory_order_relaxed)) {
		uint32_t room = nm_ring_space(port->tx);

		if (room > BATCH)
			room = BATCH;
		publish(port->tx, room);
		sent += room;
		if (!board->busy)
			wait_for(port, POLLOUT); /* which passes them on */
		else
			sync_ring(port, NIOCTXSYNC);
		if (board->busy && nm_ring_empty(port->tx))
			sched_yield();
	}
	atomic_store(&board->count[FIRST], sent);
}

static void receive_packets(struct board *board, struct port *port)
{
	uint64_t received = 0, bytes = 0;

	while (!atomic_load_explicit(&board->stop, memory_order_relaxed)) {
		struct netmap_ring *ring = port->rx;

		if (!board->busy)
			wait_for(port, POLLIN);
		else
			sync_ring(port, NIOCRXSYNC);
		if (board->busy && nm_ring_empty(ring))
			sched_yield();
		for (; !nm_ring_empty(ring); received++) {
			bytes += ring->slot[ring->head].len;
			ring->head = ring->cur = nm_ring_next(ring, ring->head);
		}
		atomic_store_explicit(&board->count[SECOND], received, memory_order_relaxed);
	}
	if (bytes != received * LENGTH) {
		fprintf(stderr, "ptnet-bench-programs: packets of other lengths arrived\n");
		exit(1);
	}
}

static bool take_one(struct board *board, struct port *port)
{
	while (nm_ring_empty(port->rx)) {
		if (atomic_load_explicit(&board->stop, memory_order_relaxed))
			return false;
		wait_for(port, POLLIN);
	}
	port->rx->head = port->rx->cur = nm_ring_next(port->rx, port->rx->head);
	return true;
}

static void give_one(struct port *port)
{
	publish(port->tx, 1);
	sync_ring(port, NIOCTXSYNC);
}

static void ping(struct board *board, struct port *port)
{
	uint64_t rounds = 0;

	do {
		give_one(port);
		atomic_store_explicit(&board->count[FIRST], rounds++, memory_order_relaxed);
	} while (take_one(board, port));
}

static void pong(struct board *board, struct port *port)
{
	while (take_one(board, port))
		give_one(port);
}

/* @what: "one-way" or "round-trip"; @number: FIRST or SECOND. */
static int be_program(const char *what, const char *number, const char *name)
{
	const char *fd = getenv(BOARD);
	struct board *board = fd == NULL ? MAP_FAILED
					 : mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
						MAP_SHARED, atoi(fd), 0);
	unsigned self = number[0] == '0' ? FIRST : SECOND;
	bool round_trip = strcmp(what, "round-trip") == 0;
	struct port port;

	if (board == MAP_FAILED)
		return 1;
	pin_to_cpu(self);
	port_open(&port, name);
	prepare_frames(port.tx, self);
	/* So that the switch knows where the second one is, before anything is for it. */
	if (self == SECOND)
		give_one(&port);
	atomic_fetch_add(&board->ready, 1);
	while (!atomic_load(&board->go))
		sched_yield();
	if (self == FIRST) { /* what the switch has told it */
		sync_ring(&port, NIOCRXSYNC);
		port.rx->head = port.rx->cur = port.rx->tail;
		sync_ring(&port, NIOCRXSYNC);
	}
	double cpu_s = thread_cpu_s();
	if (round_trip)
		(self == FIRST ? ping : pong)(board, &port);
	else
		(self == FIRST ? send_packets : receive_packets)(board, &port);
	board->cpu_s[self] = thread_cpu_s() - cpu_s;
	return 0;
}

/* ---- measuring ---- */

static pid_t start_program(const struct daemon *daemon, const struct options *options,
			   const struct measurement *what, unsigned number, int board_fd)
{
	char socket[128], self[4096] = "", fd[16];
	pid_t pid;

	snprintf(socket, sizeof(socket), "%s/netmap.sock", daemon->directory);
	snprintf(fd, sizeof(fd), "%d", board_fd);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return -1;
	fflush(NULL);
	pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv(BOARD, fd, 1);
	execl(options->ptnet_run, options->ptnet_run, "--verbose", "--socket", socket, "--", self,
	      "--program", what->round_trip ? "round-trip" : "one-way", number == FIRST ? "0" : "1",
	      what->ports[number], (char *)NULL);
	fprintf(stderr, "%s: %s\n", options->ptnet_run, strerror(errno));
	_exit(1);
}

/* The second one is ready before the first one starts: it says hello to it. */
static bool await_ready(struct board *board, unsigned count)
{
	for (double started = now_s(); atomic_load(&board->ready) < count; sleep_s(0.001))
		if (now_s() - started > PATIENCE_S)
			return false;
	return true;
}

static int await_end(pid_t pid)
{
	int status = 0;

	if (pid <= 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int run_once(struct daemon *daemon, const struct measurement *what,
		    const struct options *options, struct result *result)
{
	int fd = memfd_create("board", 0), error = 0;
	struct board *board;
	pid_t pids[2];

	if (fd < 0 || ftruncate(fd, sizeof(*board)) < 0)
		return -1;
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (board == MAP_FAILED)
		return -1;
	board->busy = what->busy;
	/* The one that listens first: a switch with nobody else on it drops. */
	pids[FIRST] = start_program(daemon, options, what, FIRST, fd);
	if (!await_ready(board, 1))
		error = -1;
	pids[SECOND] = start_program(daemon, options, what, SECOND, fd);
	if (error < 0 || !await_ready(board, 2))
		error = -1;
	double daemon_s = (double)daemon_cpu_ns(daemon) * 1e-9, started = now_s();
	atomic_store(&board->go, true);
	if (error == 0)
		sleep_s(options->bench.seconds);
	double took = now_s() - started;
	double count = (double)atomic_load(&board->count[what->round_trip ? FIRST : SECOND]);
	daemon_s = (double)daemon_cpu_ns(daemon) * 1e-9 - daemon_s;
	atomic_store(&board->stop, true);
	for (int i = 0; i < 2; i++) {
		if (error < 0 && pids[i] > 0)
			kill(pids[i], SIGKILL);
		if (await_end(pids[i]) < 0)
			error = -1;
	}
	*result = (struct result){
		.rate = count / took,
		.cpu_ns = {board->cpu_s[0] * 1e9 / count, board->cpu_s[1] * 1e9 / count},
		.daemon_ns = daemon_s * 1e9 / count};
	munmap(board, sizeof(*board));
	close(fd);
	if (error < 0 || count == 0) {
		fprintf(stderr, "ptnet-bench-programs: %s: nothing arrived\n", what->name);
		return -1;
	}
	return 0;
}

static int by_rate(const void *a, const void *b)
{
	double left = ((const struct result *)a)->rate, right = ((const struct result *)b)->rate;

	return (left > right) - (left < right);
}

static int measure(struct daemon *daemon, struct measurement *what, const struct options *options)
{
	struct result results[MAX_REPEATS];

	if (what->round_trip)
		what->limit = 1 / wakeup_round_trip_s(options->bench.seconds);
	else
		what->limit = raw_rate(options->bench.slots, BATCH, what->pipe ? 0 : LENGTH,
				       options->bench.seconds);
	for (unsigned i = 0; i < options->bench.repeats; i++)
		if (run_once(daemon, what, options, &results[i]) < 0)
			return -1;
	qsort(results, options->bench.repeats, sizeof(results[0]), by_rate);
	what->median = results[options->bench.repeats / 2];
	return 0;
}

/* ---- reporting ---- */

static void print_header(const struct options *options)
{
	printf("Between two host programs under ptnet-run. Median of %u runs of %.1f s, rings of "
	       "%u slots,\n"
	       "%u bytes, batches of %u. Programs sleep in poll() when there is nothing to do, or "
	       "sync all the\n"
	       "time where it says busy.\n\n",
	       options->bench.repeats, options->bench.seconds, options->bench.slots, LENGTH, BATCH);
	printf("%-26s %9s %9s %9s   %s\n", "", "limit", "here", "of the", "CPU ns each");
	printf("%-26s %9s %9s %9s   %s\n", "", "", "", "limit", " first  second  ptnetd");
}

static void print_measurement(const struct measurement *m)
{
	const struct result *r = &m->median;

	if (m->round_trip)
		printf("%-26s %6.2f us %6.2f us %8.2fx   %6.0f %7.0f %7.0f\n", m->name,
		       1e6 / m->limit, 1e6 / r->rate, m->limit / r->rate, r->cpu_ns[0],
		       r->cpu_ns[1], r->daemon_ns);
	else
		printf("%-26s %4.1f Mpps %4.2f Mpps %7.0f %%   %6.1f %7.1f %7.1f\n", m->name,
		       m->limit / 1e6, r->rate / 1e6, 100 * r->rate / m->limit, r->cpu_ns[0],
		       r->cpu_ns[1], r->daemon_ns);
	fflush(stdout);
}

static json_t *measurement_json(const struct measurement *m)
{
	const struct result *r = &m->median;

	return json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f}", "name", m->name, "unit",
			 m->round_trip ? "round trips per second" : "packets per second", "limit",
			 m->limit, "rate", r->rate, "first_cpu_ns", r->cpu_ns[0], "second_cpu_ns",
			 r->cpu_ns[1], "ptnetd_cpu_ns", r->daemon_ns);
}

static void usage(FILE *out)
{
	fputs("usage: ptnet-bench-programs [--seconds S] [--repeats N] [--slots N] [--daemon F]\n"
	      "                            [--ptnet-run F] [--json]\n\n"
	      "Packets per second and round trips between two host programs, beside the limits of "
	      "this\n"
	      "machine in the same run. Run it on an otherwise idle machine with two CPUs.\n\n"
	      "  --ptnet-run F   the ptnet-run to measure\n" BENCH_HELP,
	      out);
}

static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{"ptnet-run", required_argument, NULL, 'p'},
		BENCH_LONG_OPTIONS,
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		switch (option) {
		case 'p':
			options->ptnet_run = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			if (bench_take_option(&options->bench, option) < 0)
				return -1;
		}
	}
	return optind == argc ? bench_check_options(&options->bench) : -1;
}

static int start_daemon(struct daemon *daemon, const struct options *options)
{
	char config[512];

	snprintf(config, sizeof(config),
		 "{\"ports\": [{\"name\": \"vale0:a\", \"slots\": %u}, {\"name\": \"vale0:b\", "
		 "\"slots\": %u}], \"pipes\": [{\"name\": \"bench{1\", \"slots\": %u}]}",
		 options->bench.slots, options->bench.slots, options->bench.slots);
	return daemon_start(daemon, config);
}

int main(int argc, char **argv)
{
	struct options options = {.bench = BENCH_DEFAULTS, .ptnet_run = "ptnet-run"};
	struct measurement all[] = {
		{.name = "VALE", .ports = {"vale0:a", "vale0:b"}},
		{.name = "VALE, busy", .ports = {"vale0:a", "vale0:b"}, .busy = true},
		{.name = "pipe", .ports = {"bench{1", "bench}1"}, .pipe = true},
		{.name = "pipe, busy", .ports = {"bench{1", "bench}1"}, .pipe = true, .busy = true},
		{.name = "VALE, round trip", .ports = {"vale0:a", "vale0:b"}, .round_trip = true},
		{.name = "pipe, round trip",
		 .ports = {"bench{1", "bench}1"},
		 .pipe = true,
		 .round_trip = true},
	};
	json_t *list = json_array();
	struct daemon daemon;
	int result = 0;

	if (argc == 5 && strcmp(argv[1], "--program") == 0)
		return be_program(argv[2], argv[3], argv[4]);
	if (parse_options(argc, argv, &options) < 0) {
		usage(stderr);
		return 2;
	}
	if (start_daemon(&daemon, &options) < 0)
		return 1;
	if (!options.bench.json)
		print_header(&options);
	for (size_t i = 0; result == 0 && i < sizeof(all) / sizeof(all[0]); i++) {
		result = measure(&daemon, &all[i], &options);
		if (result == 0 && !options.bench.json)
			print_measurement(&all[i]);
		if (result == 0)
			json_array_append_new(list, measurement_json(&all[i]));
	}
	if (options.bench.json) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(list);
	if (daemon_stop(&daemon) < 0)
		result = -1;
	return result == 0 ? 0 : 1;
}
