/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's side of a vfio-user connection for unit tests: sends a message over
 * a socket pair, runs the server on the same thread until it has nothing to do,
 * and takes the reply. No engine.
 */
#ifndef PTNET_TESTS_ATTACH_FIXTURE_H
#define PTNET_TESTS_ATTACH_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attach/vfio_user_server.h"
#include "engine/closer.h"

struct client {
	int fd; /* the client's end */
	struct vfio_user_server server;
	struct vfio_user_counters counters;
	struct log_limit log_limit;
	int result;   /* of the last vfio_user_server_serve(); negative: it cut us off */
	int reply_fd; /* came with the last reply; -1: none */
};

void client_connect(struct client *client, struct vfio_user_function *function);
void client_disconnect(struct client *client);

/* Sends a message as it is; @size may lie. */
void client_send_raw(struct client *client, const void *bytes, size_t size, const int *fds,
		     unsigned num_fds);
void client_send(struct client *client, uint16_t command, uint32_t flags, const void *payload,
		 size_t size, const int *fds, unsigned num_fds);
/* Lets the server work until it waits for us. */
void client_serve(struct client *client);
/* The payload's size, or the errno of an error reply as a negative number. */
int client_receive(struct client *client, void *payload, size_t capacity);
bool client_has_reply(const struct client *client);

/* All of the three. */
int client_request(struct client *client, uint16_t command, const void *payload, size_t size,
		   const int *fds, unsigned num_fds, void *reply, size_t capacity);

/* VERSION as QEMU sends it. */
void client_negotiate(struct client *client);

/* 0 or negative errno. */
int client_write(struct client *client, uint32_t region, uint64_t offset, uint32_t count,
		 const void *data);
int client_read(struct client *client, uint32_t region, uint64_t offset, uint32_t count,
		void *data);

/* 32-bit registers of BAR 0, 16-bit ones of the configuration space. */
void client_out(struct client *client, uint64_t offset, uint32_t value);
uint32_t client_in(struct client *client, uint64_t offset);
uint16_t client_config16(struct client *client, uint64_t offset);
void client_set_config16(struct client *client, uint64_t offset, uint16_t value);

int client_dma_map(struct client *client, uint64_t address, uint64_t size, uint64_t offset,
		   uint32_t flags, int fd);
int client_dma_unmap(struct client *client, uint64_t address, uint64_t size, uint32_t flags);
int client_set_irqs(struct client *client, uint32_t index, uint32_t flags, uint32_t start,
		    uint32_t count, const int *fds, unsigned num_fds);

uint64_t client_errors(const struct client *client, enum vfio_user_error error);

/* One for all tests; made when first asked for, never destroyed. */
struct closer *test_closer(void);

/* Open descriptors of this process, once closers have nothing left to do. */
unsigned count_open_fds(void);

#endif
