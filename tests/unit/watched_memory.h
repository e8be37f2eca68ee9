/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts how often a piece of code reads and writes each word of a page: the page
 * is taken away, every access faults, is counted, and is then let through for one
 * instruction. So a second read of what the other side can change is seen for
 * certain, not only when a race happens to hit it. One page, one thread, x86-64,
 * and not with ThreadSanitizer, which reads on its own.
 */
#ifndef PTNET_TESTS_WATCHED_MEMORY_H
#define PTNET_TESTS_WATCHED_MEMORY_H

#include <stdint.h>

#define WATCHED_PAGE 4096u

#if defined(__SANITIZE_THREAD__)
#define WATCHED_THREAD_SANITIZER 1
#elif defined(__has_feature)
#define WATCHED_THREAD_SANITIZER __has_feature(thread_sanitizer)
#else
#define WATCHED_THREAD_SANITIZER 0
#endif

#if defined(__x86_64__) && !WATCHED_THREAD_SANITIZER
#define WATCHED_MEMORY 1

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

static struct {
	char *page;
	unsigned reads[WATCHED_PAGE / 4], writes[WATCHED_PAGE / 4]; /* by 32-bit word */
	void (*meanwhile)(void); /* before each access; may itself access the page */
	struct sigaction segv_before, trap_before;
} watched;

static void watched_fault(int signal, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	size_t offset = (size_t)((char *)info->si_addr - watched.page);

	(void)signal;
	if (offset >= WATCHED_PAGE) {
		sigaction(SIGSEGV, &watched.segv_before, NULL); /* a real one: let it happen */
		return;
	}
	if (registers[REG_ERR] & 2)
		watched.writes[offset / 4]++;
	else
		watched.reads[offset / 4]++;
	mprotect(watched.page, WATCHED_PAGE, PROT_READ | PROT_WRITE);
	if (watched.meanwhile != NULL)
		watched.meanwhile();
	registers[REG_EFL] |= 0x100; /* trap after this instruction */
}

static void watched_step(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~0x100;
	mprotect(watched.page, WATCHED_PAGE, PROT_NONE);
}

/* Watches the page that @address lies in. */
static inline void watch_memory(void *address)
{
	struct sigaction fault = {.sa_sigaction = watched_fault, .sa_flags = SA_SIGINFO};
	struct sigaction step = {.sa_sigaction = watched_step, .sa_flags = SA_SIGINFO};

	memset(&watched, 0, sizeof(watched));
	watched.page = (char *)((uintptr_t)address & ~(uintptr_t)(WATCHED_PAGE - 1));
	sigaction(SIGSEGV, &fault, &watched.segv_before);
	sigaction(SIGTRAP, &step, &watched.trap_before);
	mprotect(watched.page, WATCHED_PAGE, PROT_NONE);
}

static inline void unwatch_memory(void)
{
	mprotect(watched.page, WATCHED_PAGE, PROT_READ | PROT_WRITE);
	sigaction(SIGSEGV, &watched.segv_before, NULL);
	sigaction(SIGTRAP, &watched.trap_before, NULL);
}

/* How often an instruction read, or wrote, at exactly this address. */
static inline unsigned reads_of(const void *address)
{
	return watched.reads[((uintptr_t)address & (WATCHED_PAGE - 1)) / 4];
}

static inline unsigned writes_of(const void *address)
{
	return watched.writes[((uintptr_t)address & (WATCHED_PAGE - 1)) / 4];
}

#endif
#endif
