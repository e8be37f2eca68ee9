/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies, closing, and what else programs do with descriptors. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host.h"

static void copies(void)
{
	struct nmreq_register reg;
	struct port a, b;
	int copy, other;

	switch_open(&a, &b);
	copy = dup(b.fd);
	need(copy >= 0);
	need(dup2(copy, 77) == 77 && dup3(copy, 78, O_CLOEXEC) == 78);
	need(fcntl(78, F_GETFD) == FD_CLOEXEC && fcntl(77, F_GETFD) == 0);
	other = fcntl(copy, F_DUPFD, 100);
	need(other >= 100);
	need_errno(EBUSY, port_bind(other, "vale~:x", 0, &reg));
	close(b.fd);
	close(copy);
	close(77);
	close(78);
	b.fd = other;
	check_traffic(&a, &b, 1);
	/* The port lives as long as a copy, or a mapping. */
	need(munmap(b.memory, b.size) == 0);
	other = open(NETMAP_DEVICE_NAME, O_RDWR);
	need_errno(EBUSY, port_bind(other, "vale~:b", NR_EXCLUSIVE, &reg));
	close(b.fd);
	need(port_bind(other, "vale~:b", NR_EXCLUSIVE, &reg) == 0);
	/* A copy over it closes it as well. */
	need(dup2(0, other) == other);
	other = open(NETMAP_DEVICE_NAME, O_RDWR);
	need(port_bind(other, "vale~:b", NR_EXCLUSIVE, &reg) == 0);
	need_errno(EBADF, dup2(999, other));
	need_errno(EINVAL, dup3(0, other, O_APPEND));
	need_errno(EINVAL, write(other, "x", 1));
	need_errno(ENXIO, ioctl(open(NETMAP_DEVICE_NAME, O_RDWR), NIOCTXSYNC, NULL));
	need(ioctl(other, NIOCTXSYNC, NULL) == 0);
}

static void open_flags(void)
{
	int fd = open(NETMAP_DEVICE_NAME, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	need(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	need((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	fd = openat(AT_FDCWD, NETMAP_DEVICE_NAME, O_RDWR);
	need(fcntl(fd, F_GETFD) == 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
	need_errno(ENOTDIR, open(NETMAP_DEVICE_NAME, O_RDONLY | O_DIRECTORY));
	need_errno(EEXIST, open(NETMAP_DEVICE_NAME, O_RDWR | O_CREAT | O_EXCL, 0600));
}

static void no_stream(void)
{
	struct nmreq_register reg;
	struct port a, b;
	char byte = 0;
	int number = 1;

	switch_open(&a, &b);
	need_errno(EINVAL, read(a.fd, &byte, 1));
	need_errno(EINVAL, write(a.fd, &byte, 1));
	need_errno(EOPNOTSUPP, ioctl(a.fd, FIONREAD, &number));
	need(ioctl(a.fd, FIONBIO, &number) == 0);
	need((fcntl(a.fd, F_GETFL) & O_NONBLOCK) != 0);
	need(ioctl(a.fd, FIOCLEX) == 0 && fcntl(a.fd, F_GETFD) == FD_CLOEXEC);
	need_errno(EBUSY, port_bind(a.fd, "vale~:a", 0, &reg)); /* requests don't mind O_NONBLOCK */
	check_traffic(&a, &b, 1);
	/* A number with its sign spread over a long. */
	need(ioctl(a.fd, (unsigned long)(long)(int)NIOCTXSYNC, NULL) == 0);
}

/* Descriptors of which we know nothing, and that programs started from here will not have. */
static int unknown_descriptors(int *fds, int room)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	int count = 0;

	need(directory != NULL);
	while ((entry = readdir(directory)) != NULL) {
		int fd = atoi(entry->d_name);

		if (fd > 50 && fcntl(fd, F_GETFD) == FD_CLOEXEC && count < room)
			fds[count++] = fd;
	}
	closedir(directory);
	return count;
}

/* Whatever number a program wants for itself it gets. */
static void every_number_is_free(void)
{
	int fds[64], count, i, file = open("/etc/passwd", O_RDONLY);
	struct port a, b;
	char byte;

	switch_open(&a, &b);
	check_traffic(&a, &b, 1);
	count = unknown_descriptors(fds, 64);
	need(count > 0);
	for (i = 0; i < count; i++) {
		need(fcntl(fds[i], F_GETFD) == FD_CLOEXEC);
		need(dup2(file, fds[i]) == fds[i]);
	}
	check_traffic(&a, &b, 10);
	for (i = 0; i < count; i++)
		need(read(fds[i], &byte, 1) == 1 && close(fds[i]) == 0);
	check_traffic(&a, &b, 20);
}

/* What daemons do: close all but what they know. */
static void close_everything_else(void)
{
	struct rlimit limit;
	struct port a, b;
	int fd;

	need(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	switch_open(&a, &b);
	check_traffic(&a, &b, 1);
	for (fd = 3; fd < (int)limit.rlim_cur && fd < 5000; fd++)
		if (fd != a.fd && fd != b.fd)
			close(fd);
	check_traffic(&a, &b, 10);
	need(a.fd < 50 && b.fd < 50);
	closefrom(50);
	check_traffic(&a, &b, 20);
	need(close_range(50, ~0u, 0) == 0);
	check_traffic(&a, &b, 30);
	/* And the ports as well. */
	closefrom(3);
	need_errno(EBADF, ioctl(a.fd, NIOCTXSYNC, NULL));
	need(munmap(b.memory, b.size) == 0);
	b = port_open("vale~:b", NR_EXCLUSIVE | NR_RX_RINGS_ONLY);
}

/* A descriptor that was closed where nobody could see it, and its number used again. */
static void closed_behind_our_back(void)
{
	struct nmreq_register reg;
	struct port a, b;
	int fds[2], fd, copy;
	FILE *stream;
	char byte;

	switch_open(&a, &b);
	fd = b.fd;
	stream = fdopen(b.fd, "r+");
	need(stream != NULL);
	fclose(stream);
	need(munmap(b.memory, b.size) == 0);
	need(pipe(fds) == 0 && fds[0] == fd);
	need(write(fds[1], "wxyz", 4) == 4);
	copy = dup(fd);
	need(read(copy, &byte, 1) == 1 && byte == 'w');
	struct pollfd readable = {fd, POLLIN, 0};

	need(read(fd, &byte, 1) == 1 && byte == 'x');
	need(poll(&readable, 1, -1) == 1 && readable.revents == POLLIN);
	need_errno(ENOTTY, ioctl(fd, TIOCGWINSZ, NULL));
	need(close(fd) == 0);
	fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	need(port_bind(fd, "vale~:b", NR_EXCLUSIVE, &reg) == 0);
}

static void close_unseen(struct port *port)
{
	FILE *stream = fdopen(port->fd, "r+");

	need(stream != NULL);
	fclose(stream);
	need(munmap(port->memory, port->size) == 0);
}

/* Until the daemon has noticed that this port was closed. @fd: an unbound descriptor. */
static void await_closed(int fd, const char *name)
{
	struct nmreq_register reg;

	while (port_bind(fd, name, NR_EXCLUSIVE, &reg) < 0)
		need(errno == EBUSY);
}

/* The rings have stopped then, but that is nothing to report of what has the numbers now. */
static void closed_behind_our_back_and_polled(void)
{
	int first = open(NETMAP_DEVICE_NAME, O_RDWR), second = open(NETMAP_DEVICE_NAME, O_RDWR);
	int epoll = epoll_create1(0), fds[2];
	struct epoll_event event = {.events = EPOLLIN};
	struct port a, b;

	switch_open(&a, &b);
	need(epoll_ctl(epoll, EPOLL_CTL_ADD, b.fd, &event) == 0);
	struct pollfd readable = {a.fd, POLLIN, 0};

	close_unseen(&a);
	close_unseen(&b);
	await_closed(first, "vale~:a");
	await_closed(second, "vale~:b");
	need(pipe(fds) == 0 && fds[0] == a.fd && fds[1] == b.fd);
	need(poll(&readable, 1, 10) == 0);
	need(epoll_wait(epoll, &event, 1, 10) == 0);
	need(write(fds[1], "x", 1) == 1);
	need(poll(&readable, 1, -1) == 1 && readable.revents == POLLIN);
}

/* A bind for which there are not enough descriptors has not happened. */
static void no_room_for_descriptors(void)
{
	int fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	struct nmreq_register reg;
	struct rlimit limit, low;

	need(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	low = limit;
	for (low.rlim_cur = (rlim_t)fd + 1; low.rlim_cur < (rlim_t)fd + 8; low.rlim_cur++) {
		need(setrlimit(RLIMIT_NOFILE, &low) == 0);
		need_errno(EMFILE, port_bind(fd, "vale~:n", NR_EXCLUSIVE, &reg));
	}
	need(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	need_errno(ENXIO, ioctl(fd, NIOCTXSYNC, NULL));
	need(port_bind(fd, "vale~:n", NR_EXCLUSIVE, &reg) == 0);
}

/* host-programs --until-it-fails PORT: sends without a descriptor to spare. */
void until_it_fails(const char *name);
void until_it_fails(const char *name)
{
	struct port port = port_open(name, 0);
	struct rlimit limit;

	need(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = (rlim_t)port.fd + 1;
	need(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	need(write(STDOUT_FILENO, "sends\n", 6) == 6);
	put(&port, 1);
	while (ioctl(port.fd, NIOCTXSYNC, NULL) == 0)
		;
	need(errno == EIO);
	_exit(0);
}

static void many_ports(void)
{
	struct port ports[100];
	int i;

	for (i = 0; i < 100; i++) {
		char name[32];

		snprintf(name, sizeof(name), "vale~:p%d", i);
		ports[i] = port_open(name, 0);
	}
	send_one(&ports[0], 5);
	for (i = 1; i < 100; i++)
		receive(&ports[i], 5);
	for (i = 0; i < 100; i++)
		port_close(&ports[i]);
	need(open("/dev/null", O_RDONLY) == 3);
	need(unknown_descriptors(&i, 1) <= 1); /* the thread's epoll */
}

/* NS_INDIRECT: the data lies in the program's memory. */
static void indirect(void)
{
	char frame[60] = {'\xff', '\xff', '\xff', '\xff', '\xff', '\xff', 2};
	uint32_t number = 4711, got;
	struct netmap_slot *slot;
	struct port a, b;

	switch_open(&a, &b);
	memcpy(frame + 20, &number, sizeof(number));
	put(&a, 1);
	slot = &a.tx->slot[0];
	slot->flags = NS_INDIRECT;
	slot->ptr = (uintptr_t)frame;
	put(&a, 2);
	a.tx->slot[1].flags = NS_INDIRECT;
	a.tx->slot[1].ptr = 16; /* nobody's memory: the packet is empty, and lost */
	put(&a, 3);
	need(ioctl(a.fd, NIOCTXSYNC, NULL) == 0);
	need(ioctl(b.fd, NIOCRXSYNC, NULL) == 0);
	need(take(&b, &got) && got == 4711);
	need(take(&b, &got) && got == 3);
	need(!take(&b, &got));
}

const struct test descriptor_tests[] = {
	{"copies", copies},
	{"open-flags", open_flags},
	{"no-stream", no_stream},
	{"every-number-is-free", every_number_is_free},
	{"close-everything-else", close_everything_else},
	{"closed-behind-our-back", closed_behind_our_back},
	{"closed-behind-our-back-and-polled", closed_behind_our_back_and_polled},
	{"no-room-for-descriptors", no_room_for_descriptors},
	{"many-ports", many_ports},
	{"indirect", indirect},
	{NULL, NULL},
};
