/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contexts: where messages go, where memory comes from, which regions are mapped.
 */
#include <errno.h>
#include <libnetmap.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t default_mutex = PTHREAD_MUTEX_INITIALIZER;

static void default_error(struct nmctx *ctx, const char *errmsg)
{
	(void)ctx;
	fprintf(stderr, "netmap: %s\n", errmsg);
}

static void *default_malloc(struct nmctx *ctx, size_t size)
{
	(void)ctx;
	return malloc(size);
}

static void default_free(struct nmctx *ctx, void *p)
{
	(void)ctx;
	free(p);
}

static void default_lock(struct nmctx *ctx, int lock)
{
	(void)ctx;
	if (lock)
		pthread_mutex_lock(&default_mutex);
	else
		pthread_mutex_unlock(&default_mutex);
}

static struct nmctx first_context = {
	.error = default_error,
	.malloc = default_malloc,
	.free = default_free,
	.lock = default_lock,
};

static struct nmctx *default_context = &first_context;

struct nmctx *nmctx_get(void)
{
	return default_context;
}

struct nmctx *nmctx_set_default(struct nmctx *ctx)
{
	struct nmctx *former = default_context;

	default_context = ctx;
	return former;
}

void nmctx_set_threadsafe(void)
{
	if (!default_context->lock)
		default_context->lock = default_lock;
}

void nmctx_ferror(struct nmctx *ctx, const char *fmt, ...)
{
	int saved = errno;
	char text[512];
	va_list ap;

	if (!ctx->error)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ctx->error(ctx, text);
	errno = saved;
}

void *nmctx_malloc(struct nmctx *ctx, size_t size)
{
	return ctx->malloc(ctx, size);
}

void nmctx_free(struct nmctx *ctx, void *p)
{
	if (p)
		ctx->free(ctx, p);
}

void nmctx_lock(struct nmctx *ctx)
{
	if (ctx->lock)
		ctx->lock(ctx, 1);
}

void nmctx_unlock(struct nmctx *ctx)
{
	if (ctx->lock)
		ctx->lock(ctx, 0);
}
