/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ptnetd and ptnetctl must agree on about the control socket; the rest is in
 * docs/control-protocol.md.
 */
#ifndef PTNET_CONTROL_PROTOCOL_H
#define PTNET_CONTROL_PROTOCOL_H

#define CONTROL_PROTOCOL_VERSION 1 /* raised when a request or answer changes its meaning */

#define CONTROL_DEFAULT_DIRECTORY "/run/ptnetd"
#define CONTROL_DEFAULT_PATH	  CONTROL_DEFAULT_DIRECTORY "/control.sock"
#define CONTROL_ENVIRONMENT	  "PTNETD_CONTROL" /* names the socket for ptnetctl */

/* Bytes of one request, newline included. Answers may be longer. */
#define CONTROL_MAX_REQUEST (1u << 20)

#ifndef PTNETMAP_VERSION /* set by the build */
#define PTNETMAP_VERSION "0.1.0-dev"
#endif

#endif
