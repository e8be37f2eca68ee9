/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vfio-user protocol, server side, for one connection: checks every message
 * (size, descriptors, bounds) and hands what is left to the PCI function behind
 * it through the table of verbs below. Functions see only values that were
 * checked against their own region and interrupt tables.
 *
 * One thread at a time: the worker that watches the connection.
 */
#ifndef PTNET_ATTACH_VFIO_USER_SERVER_H
#define PTNET_ATTACH_VFIO_USER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "attach/vfio_user_errors.h"
#include "attach/vfio_user_protocol.h"
#include "attach/vfio_user_socket.h"
#include "log/log.h"

struct vfio_user_region {
	uint64_t size;	    /* bytes; 0: the region does not exist */
	uint64_t mmap_size; /* the client may map so much from offset 0; 0: nothing */
	int mmap_fd;	    /* of what; stays the function's, open as long as it lives */
};

struct vfio_user_function;

/*
 * The verbs of a PCI function. Negative returns are errnos for the client. A
 * positive one says that the request was expensive, so that the server does not
 * take too many of them in a row.
 */
struct vfio_user_function_ops {
	/* @offset + @count is inside the region. Fills all of @data. */
	int (*region_read)(struct vfio_user_function *function, uint32_t region, uint64_t offset,
			   uint32_t count, uint8_t *data);
	int (*region_write)(struct vfio_user_function *function, uint32_t region, uint64_t offset,
			    uint32_t count, const uint8_t *data);
	/*
	 * @set->start and ->count name interrupts that exist; exactly one DATA and
	 * one ACTION flag is set. With DATA_BOOL, @bools has @set->count bytes. With
	 * DATA_EVENTFD, @fds holds as many eventfds, or none to take
	 * the present ones away; the function takes what it keeps. DATA_NONE with
	 * count 0 means all interrupts of the index.
	 */
	int (*set_irqs)(struct vfio_user_function *function, const struct vfio_user_irq_set *set,
			const uint8_t *bools, struct vfio_user_fds *fds);
	/* @fds holds the memory, or nothing if it is not shared; the function takes what it keeps.
	 */
	int (*dma_map)(struct vfio_user_function *function, const struct vfio_user_dma_map *map,
		       struct vfio_user_fds *fds);
	/* Nothing of the range is touched any more when it returns. */
	int (*dma_unmap)(struct vfio_user_function *function,
			 const struct vfio_user_dma_unmap *unmap);
	void (*reset)(struct vfio_user_function *function);
};

struct vfio_user_function {
	const struct vfio_user_function_ops *ops;
	struct vfio_user_region regions[VFIO_PCI_NUM_REGIONS];
	uint32_t num_irqs[VFIO_USER_NUM_IRQS];
};

struct vfio_user_server {
	struct vfio_user_socket socket;
	struct vfio_user_function *function;
	const char *name; /* of the object, for the log */
	struct log_limit *log_limit;
	struct vfio_user_counters *counters;
	bool negotiated;

	uint32_t reply_size; /* of the payload being made in reply */
	int reply_fd;	     /* goes along; -1: none */
	struct {
		struct vfio_user_header header;
		uint8_t payload[sizeof(struct vfio_user_region_access) + VFIO_USER_MAX_DATA];
	} reply;
};

/* Takes over @fd; everything else must outlive the server. */
void vfio_user_server_init(struct vfio_user_server *server, int fd, struct closer *closer,
			   struct vfio_user_function *function, const char *name,
			   struct log_limit *log_limit, struct vfio_user_counters *counters);
void vfio_user_server_fini(struct vfio_user_server *server);

/*
 * Does a bounded amount of work after @epoll_events. Returns the events to wait
 * for next, or a negative errno when the connection has to be closed: the reason
 * was counted and logged unless it is -ECONNRESET, the client's regular end.
 */
int vfio_user_server_serve(struct vfio_user_server *server, uint32_t epoll_events);

/* Counts and logs an error that the function found. */
void vfio_user_count_error(struct vfio_user_counters *counters, enum vfio_user_error error);

#endif
