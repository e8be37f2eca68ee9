/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * THREAD_SANITIZER is defined under it. Its runtime holds a lock of its own while it makes
 * an access that faults, so tests of lost memory would wait for themselves there.
 */
#ifndef PTNET_TESTS_THREAD_SANITIZER_H
#define PTNET_TESTS_THREAD_SANITIZER_H

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER
#endif
#endif

#endif
