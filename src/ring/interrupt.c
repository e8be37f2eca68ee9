/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel itself signals an eventfd without ever waiting, when an asynchronous
 * read completes that asked for it (IOCB_FLAG_RESFD, io_submit(2)). So we read no
 * bytes of an empty file of ours, which completes at once inside io_submit().
 */
#include "ring/interrupt.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Completions wait in the context until they are fetched, and it holds no more. */
#define FETCH_AFTER 32

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t context_key; /* for its destructor only */
static int empty_file;		  /* or negative errno */

static _Thread_local aio_context_t context;
static _Thread_local unsigned completions;

static void destroy(void *thread_context)
{
	syscall(SYS_io_destroy, (aio_context_t)(uintptr_t)thread_context);
}

static void prepare_process(void)
{
	int error = pthread_key_create(&context_key, destroy);

	if (error != 0) {
		empty_file = -error;
		return;
	}
	empty_file = memfd_create("ptnetd-interrupt", MFD_CLOEXEC);
	if (empty_file < 0)
		empty_file = -errno;
}

int interrupt_prepare(void)
{
	pthread_once(&once, prepare_process);
	if (empty_file < 0)
		return empty_file;
	if (context != 0)
		return 0;
	if (syscall(SYS_io_setup, FETCH_AFTER, &context) < 0) {
		context = 0;
		return -errno;
	}
	pthread_setspecific(context_key, (void *)(uintptr_t)context);
	return 0;
}

static void fetch_completions(void)
{
	struct io_event events[FETCH_AFTER];
	struct timespec at_once = {0};

	syscall(SYS_io_getevents, context, 0, FETCH_AFTER, events, &at_once);
	completions = 0;
}

int interrupt_raise(int eventfd)
{
	if (__builtin_expect(context == 0, 0)) {
		int error = interrupt_prepare();

		if (error < 0)
			return error;
	}
	struct iocb read_nothing = {
		.aio_fildes = (uint32_t)empty_file,
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)eventfd,
	};
	struct iocb *list = &read_nothing;

	if (syscall(SYS_io_submit, context, 1, &list) != 1)
		return -errno;
	if (++completions == FETCH_AFTER)
		fetch_completions();
	return 0;
}
