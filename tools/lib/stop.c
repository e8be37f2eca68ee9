/* SPDX-License-Identifier: BSD-2-Clause */
#include "stop.h"

#include "message.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

_Atomic bool stop_asked;
_Atomic bool stop_hurry;

static int event_fd = -1;
static struct sigaction old_int, old_term;

void stop_ask(void)
{
	int error = errno;
	uint64_t one = 1;
	ssize_t written;

	if (atomic_exchange(&stop_asked, true))
		atomic_store(&stop_hurry, true);
	/* It can fail only if the counter is full, and then the descriptor is readable. */
	written = write(event_fd, &one, sizeof(one));
	(void)written;
	errno = error;
}

static void take_signal(int number)
{
	(void)number;
	stop_ask();
}

int stop_begin(void)
{
	struct sigaction action = {.sa_handler = take_signal};

	atomic_store(&stop_asked, false);
	atomic_store(&stop_hurry, false);
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event_fd < 0)
		return complain("cannot make an eventfd: %s", strerror(errno));
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, &old_int);
	sigaction(SIGTERM, &action, &old_term);
	return 0;
}

void stop_end(void)
{
	if (event_fd < 0)
		return;
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	close(event_fd);
	event_fd = -1;
}

int stop_fd(void)
{
	return event_fd;
}
