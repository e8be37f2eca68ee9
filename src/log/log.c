/* SPDX-License-Identifier: BSD-2-Clause */
#include "log/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_WINDOW_NS 10000000000ULL
#define LIMIT_LINES	10

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

static void log_write(enum log_level level, const char *text, unsigned left_out)
{
	static _Atomic int terminal = -1;
	char note[64] = "";
	char prefix[48];

	if (terminal < 0)
		terminal = isatty(STDERR_FILENO);
	if (left_out > 0)
		snprintf(note, sizeof(note), " (%u similar lines left out before this one)",
			 left_out);
	if (terminal)
		snprintf(prefix, sizeof(prefix), "ptnetd: %s: ", levels[level].name);
	else
		snprintf(prefix, sizeof(prefix), "<%d>%s: ", levels[level].syslog,
			 levels[level].name);
	/* One call, so that lines of several threads do not mix. */
	fprintf(stderr, "%s%s%s\n", prefix, text, note);
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[1024];
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
	char text[1024];
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
