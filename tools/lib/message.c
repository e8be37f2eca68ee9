/* SPDX-License-Identifier: BSD-2-Clause */
#include "message.h"

#include <libnetmap.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char first[512];
static const char *program = "ptnet";

static void library_error(struct nmctx *ctx, const char *message)
{
	(void)ctx;
	complain("%s", message);
}

void message_program(const char *name)
{
	program = name;
	nmctx_get()->error = library_error;
}

int complain(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang 14 loses track of va_start */
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	pthread_mutex_lock(&lock);
	if (!first[0])
		snprintf(first, sizeof(first), "%s", text);
	fprintf(stderr, "%s: %s\n", program, text);
	pthread_mutex_unlock(&lock);
	return -1;
}

void remark(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang 14 loses track of va_start */
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s: %s\n", program, text);
}

const char *first_complaint(void)
{
	const char *text;

	pthread_mutex_lock(&lock);
	text = first[0] ? first : NULL;
	pthread_mutex_unlock(&lock);
	return text;
}

void forget_complaints(void)
{
	pthread_mutex_lock(&lock);
	first[0] = '\0';
	pthread_mutex_unlock(&lock);
}
