/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells the service manager how the daemon is, by systemd's protocol (sd_notify(3)). */
#ifndef PTNET_CONTROL_READINESS_H
#define PTNET_CONTROL_READINESS_H

/*
 * Sends @state, for example "READY=1", to the socket that NOTIFY_SOCKET names; does
 * nothing if there is none. What fails is logged and otherwise ignored.
 */
void readiness_notify(const char *state);

#endif
