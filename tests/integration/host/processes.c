/* SPDX-License-Identifier: BSD-2-Clause */
/* A port in several processes. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

extern char **environ;

static void need_success(pid_t child)
{
	int status;

	need(child > 0);
	need(waitpid(child, &status, 0) == child);
	need(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void forked(void)
{
	struct port a, b;
	pid_t child;
	uint32_t i;

	pipe_open(&a, &b);
	/* Something was done, and slept, before the fork. */
	check_traffic(&a, &b, 1);
	child = fork();
	if (child == 0) {
		for (i = 0; i < 1000; i++) {
			receive(&b, i);
			send_one(&b, i);
		}
		_exit(0);
	}
	for (i = 0; i < 1000; i++) {
		send_one(&a, i);
		receive(&a, i);
	}
	need_success(child);
	check_traffic(&a, &b, 7);
}

/* The parent closes; the child has it alone. */
static void handed_down(void)
{
	struct port a, b;
	pid_t child;

	switch_open(&a, &b);
	child = fork();
	if (child == 0) {
		check_traffic(&a, &b, 5);
		_exit(0);
	}
	port_close(&a);
	need_success(child);
}

/* ---- exec ---- */

/* host-programs --adopted FD OFFSET SIZE NUMBER: sends one packet. */
void adopted(int argc, char **argv);
void adopted(int argc, char **argv)
{
	struct port port;

	need(argc == 6);
	port = port_adopt(atoi(argv[2]), strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0));
	send_one(&port, (uint32_t)atoi(argv[5]));
	_exit(0);
}

struct words {
	char text[4][32];
	char *argv[7];
};

static void make_words(struct words *w, const struct port *port, uint32_t number)
{
	int i;

	snprintf(w->text[0], 32, "%d", port->fd);
	snprintf(w->text[1], 32, "%zu", (size_t)((char *)port->nifp - port->memory));
	snprintf(w->text[2], 32, "%zu", port->size);
	snprintf(w->text[3], 32, "%u", number);
	w->argv[0] = (char *)"host-programs";
	w->argv[1] = (char *)"--adopted";
	for (i = 0; i < 4; i++)
		w->argv[i + 2] = w->text[i];
	w->argv[6] = NULL;
}

static void executed(void)
{
	struct words words;
	struct port a, b;
	pid_t child;

	switch_open(&a, &b);
	make_words(&words, &a, 33);
	child = fork();
	if (child == 0) {
		execv("/proc/self/exe", words.argv);
		_exit(9);
	}
	need_success(child);
	receive(&b, 33);
	check_traffic(&a, &b, 1);
}

static void spawned(void)
{
	posix_spawn_file_actions_t actions;
	struct words words;
	struct port a, b;
	pid_t child;

	switch_open(&a, &b);
	make_words(&words, &a, 34);
	need(posix_spawn_file_actions_init(&actions) == 0);
	need(posix_spawn_file_actions_addclose(&actions, b.fd) == 0);
	need(posix_spawn(&child, "/proc/self/exe", &actions, NULL, words.argv, environ) == 0);
	need_success(child);
	receive(&b, 34);
	check_traffic(&a, &b, 1);
}

/* A child of vfork() shares our memory, but what it closes is its own. */
static void vforked(void)
{
	char *argv[] = {(char *)"true", NULL};
	struct port a, b;
	pid_t child;

	switch_open(&a, &b);
	check_traffic(&a, &b, 1);
	child = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
	if (child == 0) {
		close(a.fd);
		dup2(0, b.fd);
		close_range(3, ~0u, 0);
		execv("/bin/true", argv);
		_exit(9);
	}
	need_success(child);
	check_traffic(&a, &b, 10);
}

/* ---- SCM_RIGHTS ---- */

struct parcel {
	uint64_t offset, size;
};

static void send_descriptor(int socket, int fd, const struct parcel *parcel)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec vector = {(void *)parcel, sizeof(*parcel)};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	need(sendmsg(socket, &message, 0) == sizeof(*parcel));
}

static int receive_descriptor(int socket, struct parcel *parcel)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec vector = {parcel, sizeof(*parcel)};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	int fd;

	need(recvmsg(socket, &message, 0) == sizeof(*parcel));
	need(CMSG_FIRSTHDR(&message) != NULL);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void passed(void)
{
	struct parcel parcel;
	struct port a, b;
	int pair[2];
	pid_t child;

	need(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	child = fork();
	if (child == 0) {
		/* Polled before anything else is done with it. */
		int fd = receive_descriptor(pair[1], &parcel);
		struct pollfd readable = {fd, POLLIN, 0};

		need(poll(&readable, 1, -1) == 1 && readable.revents == POLLIN);
		b = port_adopt(fd, parcel.offset, parcel.size);
		receive(&b, 55);
		send_one(&b, 56);
		_exit(0);
	}
	switch_open(&a, &b);
	parcel.offset = (uint64_t)((char *)b.nifp - b.memory);
	parcel.size = b.size;
	send_descriptor(pair[0], b.fd, &parcel);
	port_close(&b);
	send_one(&a, 55);
	receive(&a, 56);
	need_success(child);
}

/* ---- dying ---- */

/*
 * A child dies again and again, at any point of its syncs; whoever shares the ring with it is never
 * kept out, and nothing is lost or comes twice.
 */
static void killed_in_the_middle(void)
{
	uint32_t *sent =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct port a, b;
	uint32_t got, next = 0;
	int round;

	pipe_open(&a, &b);
	for (round = 0; round < 100; round++) {
		pid_t child = fork();

		if (child == 0) {
			for (;;) {
				ioctl(a.fd, NIOCRXSYNC, NULL);
				if (a.tx->head != a.tx->tail)
					put(&a, __atomic_fetch_add(sent, 1, __ATOMIC_SEQ_CST));
				ioctl(a.fd, NIOCTXSYNC, NULL);
			}
		}
		while (__atomic_load_n(sent, __ATOMIC_SEQ_CST) < (uint32_t)(round + 1) * 20) {
			need(ioctl(b.fd, NIOCRXSYNC, NULL) == 0);
			while (take(&b, &got))
				need(got == next++);
		}
		need(kill(child, SIGKILL) == 0);
		need(waitpid(child, NULL, 0) == child);
		/* A number may have been taken, and its packet not yet handed over. */
		need(ioctl(a.fd, NIOCTXSYNC, NULL) == 0);
		need(ioctl(b.fd, NIOCRXSYNC, NULL) == 0);
		while (take(&b, &got))
			need(got == next++);
		need(next == *sent || next + 1 == *sent);
		next = *sent;
	}
	check_traffic(&a, &b, 1);
}

/* ---- daemons ---- */

/* In the background, as daemon(3) and its like go there: what is left of us is the grandchild. */
static void serve_in_background(struct port *b, int done)
{
	int fd;

	need(setsid() >= 0);
	if (fork() != 0)
		_exit(0);
	for (fd = 3; fd < 5000; fd++)
		if (fd != b->fd && fd != done)
			close(fd);
	dup2(open("/dev/null", O_RDWR), 0);
	receive(b, 8);
	send_one(b, 9);
	need(write(done, "x", 1) == 1);
	_exit(0);
}

static void daemonized(void)
{
	struct port a, b;
	int done[2], status;
	char byte;
	pid_t child;

	need(pipe(done) == 0);
	switch_open(&a, &b);
	check_traffic(&a, &b, 1);
	child = fork();
	if (child == 0)
		serve_in_background(&b, done[1]);
	need(waitpid(child, &status, 0) == child && status == 0);
	close(done[1]);
	send_one(&a, 8);
	receive(&a, 9);
	need(read(done[0], &byte, 1) == 1);
}

const struct test process_tests[] = {
	{"forked", forked},
	{"handed-down", handed_down},
	{"executed", executed},
	{"spawned", spawned},
	{"vforked", vforked},
	{"passed", passed},
	{"killed-in-the-middle", killed_in_the_middle},
	{"daemonized", daemonized},
	{NULL, NULL},
};
