/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/netmap_device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	uint16_t reqtype;
	int (*function)(struct netmap_call *call);
} requests[] = {
	{NETMAP_REQ_REGISTER, netmap_register},
	{NETMAP_REQ_PORT_INFO_GET, netmap_port_info_get},
	{NETMAP_REQ_VALE_ATTACH, netmap_vale_attach},
	{NETMAP_REQ_VALE_DETACH, netmap_vale_detach},
	{NETMAP_REQ_VALE_LIST, netmap_vale_list},
	{NETMAP_REQ_PORT_HDR_SET, netmap_port_hdr_set},
	{NETMAP_REQ_PORT_HDR_GET, netmap_port_hdr_get},
	{NETMAP_REQ_VALE_NEWIF, netmap_vale_newif},
	{NETMAP_REQ_VALE_DELIF, netmap_vale_delif},
	{NETMAP_REQ_VALE_POLLING_ENABLE, netmap_vale_polling},
	{NETMAP_REQ_VALE_POLLING_DISABLE, netmap_vale_polling},
	{NETMAP_REQ_POOLS_INFO_GET, netmap_pools_info_get},
};

static int control(struct netmap_call *call)
{
	uint16_t reqtype = call->request->reqtype;

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].reqtype == reqtype)
			return requests[i].function(call);
	return error_set(&call->error, EINVAL, "request type %u is none that the daemon serves",
			 reqtype);
}

static int carry_out(struct netmap_call *call)
{
	switch (call->request->op) {
	case PTNET_LOCAL_JOIN:
		return netmap_join(call);
	case PTNET_LOCAL_UNREGISTER:
		return netmap_unregister(call);
	default:
		return control(call);
	}
}

/* netmap copies nothing back on failure but the options' headers (section 5.3). */
static void fail(struct netmap_call *call, int code)
{
	struct ptnet_local_reply *reply = &call->answer->reply;

	reply->error = code;
	reply->body = call->request->body;
	memcpy(reply->name, call->request->name, sizeof(reply->name));
	reply->bound = 0;
	call->answer->num_fds = 0;
	snprintf(reply->message, sizeof(reply->message), "%.*s", (int)sizeof(reply->message) - 1,
		 call->error.text);
}

static void serve(void *argument, struct local_connection *connection,
		  const struct ptnet_local_request *request, struct local_answer *answer)
{
	struct netmap_device *device = argument;
	struct netmap_call call = {
		.device = device,
		.inventory = device->inventory,
		.connection = connection,
		.peer = &connection->peer,
		.request = request,
		.answer = answer,
	};
	int rc = carry_out(&call);

	if (rc < 0)
		fail(&call, -rc);
}

static void closed(void *argument, struct local_connection *connection)
{
	netmap_unbind(argument, connection);
}

int netmap_device_open(struct netmap_device *device, struct inventory *inventory,
		       const struct netmap_config *config, struct error *error)
{
	const struct local_handler handler = {
		.request = serve, .closed = closed, .argument = device};

	*device = (struct netmap_device){.inventory = inventory, .config = *config};
	return local_server_open(&device->server, inventory->base, config->path, &config->access,
				 &handler, error);
}

void netmap_device_close(struct netmap_device *device)
{
	local_server_close(device->server);
	device->server = NULL;
}
