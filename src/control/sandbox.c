/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls fall into three classes:
 *
 *  - those in `allowed` and `allowed_if`, which the daemon or libc make;
 *  - those in `deadly`, which nothing in here ever makes and which somebody who
 *    has taken the daemon over would want: they end the process on the spot;
 *  - all others fail with ENOSYS, and the kernel's audit log says which (seccomp's
 *    errno action, with the log flag). Ending the process for these too would be
 *    simpler and is what others do, but the daemon carries other people's
 *    traffic: a libc update that tries a call younger than this list must not cut
 *    off every VM on the host. ENOSYS is what libc is prepared for: it takes the
 *    older call, clone() for clone3() for example, whose flags can be checked.
 *
 * Of the capabilities, CHOWN and FOWNER stay if they are there: sockets are given
 * to the users and groups that the configuration names, also later.
 */
#include "control/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cap-ng.h>
#include <seccomp.h>

#include "log/log.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER_BUILD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
	__has_feature(memory_sanitizer)
#define SANITIZER_BUILD 1
#endif
#endif
#ifndef SANITIZER_BUILD
#define SANITIZER_BUILD 0
#endif

static const int allowed[] = {
	/* Bytes and messages. */
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pwrite64),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	/* Raising interrupts: ring/interrupt.c. */
	SCMP_SYS(io_setup),
	SCMP_SYS(io_submit),
	SCMP_SYS(io_getevents),
	SCMP_SYS(io_destroy),
	/* Descriptors. */
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(fcntl),
	SCMP_SYS(fcntl64),
	SCMP_SYS(lseek),
	SCMP_SYS(_llseek),
	SCMP_SYS(pipe2),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(timerfd_gettime),
	SCMP_SYS(signalfd4),
	/* Sockets; socket() and socketpair() are below. */
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(connect),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	/* Waiting. */
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(futex),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(sched_yield),
	/* Memory; mmap() and mprotect() are below. */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(memfd_create),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(membarrier),
	/* Files: socket files, the log, user and group names, figures in /proc and /sys. */
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(fstatfs),
	SCMP_SYS(statfs),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getcwd),
	SCMP_SYS(getdents64),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(chmod),
	SCMP_SYS(fchmod),
	SCMP_SYS(fchmodat),
	SCMP_SYS(chown),
	SCMP_SYS(lchown),
	SCMP_SYS(fchown),
	SCMP_SYS(fchownat),
	SCMP_SYS(umask),
	SCMP_SYS(flock),
	/* Threads and signals; clone() is below. */
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(getcpu),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(tgkill),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	/* Who and when. */
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	SCMP_SYS(getrusage),
	SCMP_SYS(getrlimit),
};

/* Allowed if (argument & mask) == value. */
static const struct {
	int call;
	unsigned argument;
	uint64_t mask, value;
} allowed_if[] = {
	{SCMP_SYS(socket), 0, UINT64_MAX, AF_UNIX},
	{SCMP_SYS(socketpair), 0, UINT64_MAX, AF_UNIX},
	{SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD},
	{SCMP_SYS(mmap), 2, PROT_EXEC, 0},
	{SCMP_SYS(mmap2), 2, PROT_EXEC, 0},
	{SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
	{SCMP_SYS(prctl), 0, UINT64_MAX, PR_SET_NAME},
	{SCMP_SYS(prctl), 0, UINT64_MAX, PR_GET_NAME},
	{SCMP_SYS(ioctl), 1, UINT64_MAX, FIONREAD}, /* libevent */
	{SCMP_SYS(ioctl), 1, UINT64_MAX, FIONBIO},
	{SCMP_SYS(ioctl), 1, UINT64_MAX, TCGETS},   /* isatty() */
	{SCMP_SYS(ioctl), 1, UINT64_MAX, SIOCOUTQ}, /* was an answer received? */
	/* Reading a limit, of this process only. */
	{SCMP_SYS(prlimit64), 2, UINT64_MAX, 0},
};

static const int deadly[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(setuid),
	SCMP_SYS(setreuid),
	SCMP_SYS(setresuid),
	SCMP_SYS(setgid),
	SCMP_SYS(setregid),
	SCMP_SYS(setresgid),
	SCMP_SYS(setgroups),
	SCMP_SYS(setfsuid),
	SCMP_SYS(setfsgid),
	SCMP_SYS(capset),
	SCMP_SYS(unshare),
	SCMP_SYS(setns),
	SCMP_SYS(chroot),
	SCMP_SYS(pivot_root),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(move_mount),
	SCMP_SYS(open_tree),
	SCMP_SYS(fsopen),
	SCMP_SYS(fsmount),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(reboot),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(keyctl),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(mknod),
	SCMP_SYS(mknodat),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int capabilities_drop(struct error *error)
{
	static const unsigned wanted[] = {CAP_CHOWN, CAP_FOWNER};
	bool have[COUNT(wanted)];

	capng_get_caps_process();
	for (size_t i = 0; i < COUNT(wanted); i++)
		have[i] = capng_have_capability(CAPNG_PERMITTED, wanted[i]) > 0;
	/* The bounding set only counts for execve(), and needs CAP_SETPCAP to be changed. */
	const capng_select_t which = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP)
					     ? CAPNG_SELECT_ALL
					     : CAPNG_SELECT_CAPS;

	capng_clear(which);
	for (size_t i = 0; i < COUNT(wanted); i++)
		if (have[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, wanted[i]);
	if (capng_apply(which) < 0)
		return error_set(error, EPERM,
				 "cannot give up capabilities: %s; --no-sandbox goes on with them",
				 strerror(errno));
	return 0;
}

static int rules_add(scmp_filter_ctx filter)
{
	int rc = 0;

	for (size_t i = 0; i < COUNT(allowed) && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < COUNT(allowed_if) && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_if[i].call, 1,
				      SCMP_CMP(allowed_if[i].argument, SCMP_CMP_MASKED_EQ,
					       allowed_if[i].mask, allowed_if[i].value));
	for (size_t i = 0; i < COUNT(deadly) && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	return rc;
}

static int system_calls_filter(struct error *error)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int rc;

	if (filter == NULL)
		return error_set(error, ENOMEM, "no system call filter: out of memory");
	/* Which call was refused belongs into the audit log; old kernels can't. */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
	rc = rules_add(filter);
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	if (rc < 0)
		return error_set(
			error, -rc,
			"the kernel does not take the system call filter: %s; --no-sandbox "
			"goes without",
			strerror(-rc));
	return 0;
}

/*
 * Looking up a name that nobody has makes libc load all that its configuration
 * (nsswitch.conf) names: loading code is not allowed later.
 */
static void name_services_load(void)
{
	(void)getpwnam("-");
	(void)getgrnam("-");
}

int sandbox_enter(struct error *error)
{
	int rc;

	name_services_load();
	rc = capabilities_drop(error);
	if (rc < 0)
		return rc;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(error, errno, "cannot set no_new_privs: %s", strerror(errno));
	if (SANITIZER_BUILD) {
		log_warning("built with a sanitizer, which needs more system calls than the filter "
			    "allows: no filter");
		return 0;
	}
	return system_calls_filter(error);
}
