/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's log: one line per event on standard error, with the level in
 * journald's "<N>" form when standard error is not a terminal.
 *
 * A line that standard error does not take at once is lost, and the next one that it
 * takes says how many were: no thread ever waits for whoever reads the log.
 *
 * What a guest can cause must not make the log flow: such lines go through
 * log_limited(), which lets a burst of lines of one origin through and then
 * counts in silence until time has passed.
 */
#ifndef PTNET_LOG_LOG_H
#define PTNET_LOG_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* Lines above @level are not printed. Any thread. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* Prints one line. Any thread. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
			log_line(LOG_LEVEL_DEBUG, __VA_ARGS__);                                    \
	} while (0)

/* The allowance of one origin (a guest, a port): zero-initialise it. */
struct log_limit {
	_Atomic uint64_t window_start_ns;
	_Atomic uint32_t lines;
	_Atomic uint32_t suppressed;
};

/*
 * Like log_line(), but at most 10 lines per 10 seconds for this @limit; the
 * first line after a silence says how many were left out. Any thread.
 */
void log_limited(struct log_limit *limit, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
