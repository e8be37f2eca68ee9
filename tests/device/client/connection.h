/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One vfio-user connection, seen from the VMM. Behaves as QEMU's client does;
 * the functions with "raw" in their name send what they are given, whatever it is.
 *
 * All functions return 0 or a positive result, or a negative errno: that of the
 * server's error reply, -EPIPE when the server has closed the connection,
 * -ETIMEDOUT when it has not answered in VU_TIMEOUT_MS. Sending and requests are
 * safe from several threads, unless one of them receives by itself.
 */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define VU_TIMEOUT_MS  20000
#define VU_MAX_FDS     16
#define VU_MAX_MESSAGE 65536

struct vu_connection {
	int fd;
	uint16_t next_id;
	uint32_t max_fds;	/* what the server takes in one message */
	bool write_multi;	/* the server takes REGION_WRITE_MULTI */
	char server_caps[1024]; /* the JSON of its VERSION reply */
	pthread_mutex_t send_lock;
	pthread_mutex_t request_lock; /* one reply is awaited at a time */
	uint64_t messages;	      /* sent */
};

struct vu_message {
	struct vu_header header;
	size_t size; /* of payload */
	int fds[VU_MAX_FDS];
	unsigned num_fds; /* the receiver's to close: vu_message_close_fds() */
	_Alignas(8) uint8_t payload[VU_MAX_MESSAGE];
};

/* Connects the socket; nothing is sent. Waits until @path is there to connect to. */
int vu_connect(struct vu_connection *connection, const char *path);
/* VERSION, as QEMU asks. */
int vu_negotiate(struct vu_connection *connection);
/* Closes the socket; harmless if it is closed already. */
void vu_disconnect(struct vu_connection *connection);

/* Sends these bytes with these descriptors (still the caller's). */
int vu_send_raw(struct vu_connection *connection, const void *bytes, size_t size, const int *fds,
		unsigned num_fds);
/* Sends a well-formed header and the payload. The id used, or negative errno. */
int vu_send(struct vu_connection *connection, uint16_t command, uint32_t flags, const void *payload,
	    size_t size, const int *fds, unsigned num_fds);
/* Waits for one message. */
int vu_receive(struct vu_connection *connection, struct vu_message *message);
void vu_message_close_fds(struct vu_message *message);

/*
 * Sends a command and waits for its reply. @reply (of @reply_size bytes) gets the
 * reply's payload and may be NULL; returns the payload's size. A descriptor that
 * came along goes to *reply_fd, if that is wanted, else counts as an error.
 */
int vu_request(struct vu_connection *connection, uint16_t command, const void *payload, size_t size,
	       const int *fds, unsigned num_fds, void *reply, size_t reply_size, int *reply_fd);

/* True once the server has closed the connection; waits for that at most VU_TIMEOUT_MS. */
bool vu_wait_closed(struct vu_connection *connection);

/* ---- the requests that QEMU makes ---- */

int vu_get_info(struct vu_connection *connection, struct vu_device_info *info);
/*
 * The whole answer with capabilities goes to @info (of @size bytes); asks twice if
 * need be. *fd is the region's descriptor, the caller's to close, or -1.
 */
int vu_get_region_info(struct vu_connection *connection, uint32_t index,
		       struct vu_region_info *info, size_t size, int *fd);
int vu_get_irq_info(struct vu_connection *connection, uint32_t index, struct vu_irq_info *info);
/* @fds NULL with flags DATA_EVENTFD takes the interrupts away. */
int vu_set_irqs(struct vu_connection *connection, uint32_t flags, uint32_t index, uint32_t start,
		uint32_t count, const int *fds);
/* @fd -1: memory that is not shared. */
int vu_dma_map(struct vu_connection *connection, uint32_t flags, uint64_t address, uint64_t size,
	       int fd, uint64_t offset);
int vu_dma_unmap(struct vu_connection *connection, uint64_t address, uint64_t size);
int vu_reset(struct vu_connection *connection);
int vu_region_read(struct vu_connection *connection, uint32_t region, uint64_t offset, void *data,
		   uint32_t count);
int vu_region_write(struct vu_connection *connection, uint32_t region, uint64_t offset,
		    const void *data, uint32_t count);
/* The same without waiting for a reply. QEMU does so for memory BARs of devices without
 * a mappable region, not for I/O BARs. */
int vu_region_write_posted(struct vu_connection *connection, uint32_t region, uint64_t offset,
			   const void *data, uint32_t count);
int vu_region_write_multi(struct vu_connection *connection, const struct vu_write_one *writes,
			  unsigned count);

#endif
