/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a program says to its user besides results: one line on standard error, with the
 * program's name in front.
 */
#ifndef TOOLS_MESSAGE_H
#define TOOLS_MESSAGE_H

/* The name to put in front, before the first message; it must live as long as the program. What
 * libnetmap has to say comes the same way from then on. */
void message_program(const char *name);

/* No newline at the end of fmt. Any thread. Returns -1, so that a caller can return it. */
int complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same for what is worth knowing and no failure: it is not kept. */
void remark(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The first message given to complain since forget_complaints, for the report; NULL if there was
 * none. Any thread. */
const char *first_complaint(void);
void forget_complaints(void);

#endif
