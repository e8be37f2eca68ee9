/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An error that a human will read: the errno for the program, and one sentence
 * saying what failed, on which object, and what to do about it.
 */
#ifndef PTNET_LOG_ERROR_H
#define PTNET_LOG_ERROR_H

struct error {
	int code;	/* positive errno; 0: no error */
	char text[400]; /* one line, without a trailing dot or newline */
};

/*
 * Fills @error (NULL is allowed: the caller does not care for the text) and
 * returns -@code, so that a failing function can end with `return error_set(...)`.
 * Any thread.
 */
int error_set(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__
/* It reads one file at a time, so it must be told that what comes back is negative. */
static inline int error_negative(int result)
{
	return result < 0 ? result : -1;
}
#define error_set(...) error_negative(error_set(__VA_ARGS__))
#endif

/* Puts "@format" behind the text there is, as far as there is room: what to do about it. */
void error_suffix(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Puts "@format: " in front of the text there is, to say where it came from. */
void error_prefix(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
