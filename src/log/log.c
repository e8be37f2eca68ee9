/* SPDX-License-Identifier: BSD-2-Clause */
#include "log/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_WINDOW_NS 10000000000ULL
#define LIMIT_LINES	10
#define TEXT_SIZE	1024
#define LINE_SIZE	(TEXT_SIZE + 128) /* with level and notes; less than PIPE_BUF */

static _Atomic enum log_level threshold = LOG_LEVEL_INFO;

static const struct {
	const char *name;
	int syslog; /* RFC 5424 severity */
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", 3},
	[LOG_LEVEL_WARNING] = {"warning", 4},
	[LOG_LEVEL_INFO] = {"info", 6},
	[LOG_LEVEL_DEBUG] = {"debug", 7},
};

void log_set_level(enum log_level level)
{
	threshold = level;
}

bool log_enabled(enum log_level level)
{
	return level <= threshold;
}

/*
 * Whoever reads standard error may have stopped: a worker that waited for it would
 * keep all its VMs waiting. False: it does not take a line now.
 */
static bool stderr_take(const char *line, size_t size)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
	ssize_t taken = send(STDERR_FILENO, line, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	/*
	 * O_NONBLOCK would be everybody's who has this pipe or terminal. A pipe that poll()
	 * calls writable has room for PIPE_BUF bytes, which are more than a line.
	 */
	if (taken < 0 && errno == ENOTSOCK && poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0)
		taken = write(STDERR_FILENO, line, size);
	return taken == (ssize_t)size;
}

/* One line with its level, as the reader of standard error wants it. Its length. */
static size_t compose(char line[LINE_SIZE], enum log_level level, const char *text,
		      const char *note)
{
	static _Atomic int terminal = -1;
	int length;

	if (terminal < 0)
		terminal = isatty(STDERR_FILENO);
	if (terminal)
		length = snprintf(line, LINE_SIZE, "ptnetd: %s: %s%s\n", levels[level].name, text,
				  note);
	else
		length = snprintf(line, LINE_SIZE, "<%d>%s: %s%s\n", levels[level].syslog,
				  levels[level].name, text, note);
	return (size_t)length;
}

/* Under the lock of log_write(). True: whoever reads knows of all lines that were lost. */
static bool confess(unsigned lost)
{
	char line[LINE_SIZE], text[80];

	if (lost == 0)
		return true;
	snprintf(text, sizeof(text), "standard error was full: %u lines lost before the next one",
		 lost);
	return stderr_take(line, compose(line, LOG_LEVEL_WARNING, text, ""));
}

static void log_write(enum log_level level, const char *text, unsigned left_out)
{
	/* Two threads that both found room for one line in a pipe would not both have it. */
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static unsigned lost;
	char line[LINE_SIZE];
	char note[64] = "";
	size_t length;

	if (left_out > 0)
		snprintf(note, sizeof(note), " (%u similar lines left out before this one)",
			 left_out);
	length = compose(line, level, text, note);
	pthread_mutex_lock(&lock);
	if (confess(lost)) {
		/* With one call, so that lines do not mix with those of other processes. */
		lost = stderr_take(line, length) ? 0 : 1;
	} else {
		lost++;
	}
	pthread_mutex_unlock(&lock);
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[TEXT_SIZE];
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_write(level, text, 0);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

void log_limited(struct log_limit *limit, enum log_level level, const char *format, ...)
{
	char text[TEXT_SIZE];
	va_list args;
	uint64_t now = now_ns();
	unsigned left_out = 0;

	if (!log_enabled(level))
		return;
	/* Two threads may both open a new window: a line more gets through, no harm. */
	uint64_t start = atomic_load(&limit->window_start_ns);
	if (start == 0 || now - start > LIMIT_WINDOW_NS) {
		atomic_store(&limit->window_start_ns, now);
		atomic_store(&limit->lines, 0);
		left_out = atomic_exchange(&limit->suppressed, 0);
	}
	if (atomic_fetch_add(&limit->lines, 1) >= LIMIT_LINES) {
		atomic_fetch_add(&limit->suppressed, 1);
		return;
	}
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_write(level, text, left_out);
}
