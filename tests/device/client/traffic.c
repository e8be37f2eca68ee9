/* SPDX-License-Identifier: BSD-2-Clause */
#include "traffic.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "packet.h"

/* Now and then a guest puts its buffers into other slots of its own. */
#define SWAP_EVERY 61

static void signal_event(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static int fail(struct traffic *traffic, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Any thread; the first one's words are kept, and both threads end. */
static int fail(struct traffic *traffic, const char *format, ...)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	va_list arguments;

	pthread_mutex_lock(&lock);
	if (!atomic_load(&traffic->failed)) {
		va_start(arguments, format);
		vsnprintf(traffic->error_text, sizeof(traffic->error_text), format, arguments);
		va_end(arguments);
		atomic_store(&traffic->failed, true);
	}
	pthread_mutex_unlock(&lock);
	atomic_store(&traffic->stop, true);
	signal_event(traffic->credit_event);
	signal_event(traffic->stop_event);
	return -EIO;
}

static void swap_buffers(struct ring *ring, uint32_t a, uint32_t b)
{
	struct netmap_slot *first = ring_slot(ring, a), *second = ring_slot(ring, b);
	uint32_t idx = first->buf_idx;

	first->buf_idx = second->buf_idx;
	second->buf_idx = idx;
	first->flags |= NS_BUF_CHANGED;
	second->flags |= NS_BUF_CHANGED;
}

/* ---- sender ---- */

static uint32_t credit(const struct traffic *traffic, const struct flow *flow,
		       const struct ring *receiver)
{
	uint64_t in_flight = atomic_load(&flow->sent_slots) - atomic_load(&flow->released_slots);
	uint32_t room = receiver->num_slots - 1;

	if (traffic->config.pipe)
		return UINT32_MAX;
	if (traffic->config.window != 0 && traffic->config.window < room)
		room = traffic->config.window;
	return in_flight >= room ? 0 : (uint32_t)(room - in_flight);
}

static void put_packet(struct traffic *traffic, struct flow *flow, struct ring *ring,
		       uint32_t ahead, const struct packet *packet)
{
	struct driver *driver = &traffic->from->driver;

	if (packet->sequence % SWAP_EVERY == 0)
		swap_buffers(ring, ahead, ahead + packet->num_slots - 1);
	for (unsigned i = 0; i < packet->num_slots; i++) {
		struct netmap_slot *slot = ring_slot(ring, ahead + i);
		uint32_t number = ring_ahead(ring, ring->head, ahead + i);

		packet_fill(packet, i, ring_buf(ring, slot->buf_idx), driver->mac,
			    traffic->to->driver.mac, slot->buf_idx);
		slot->len = packet->length[i];
		slot->flags = (uint16_t)((slot->flags & NS_BUF_CHANGED) |
					 (i + 1 < packet->num_slots ? NS_MOREFRAG : 0));
		slot->ptr = packet->key + i;
		atomic_store_explicit(&flow->sent_buf_idx[number], slot->buf_idx,
				      memory_order_relaxed);
	}
}

/* How many packets this burst shall have: any number up to the limit. */
static unsigned burst_size(const struct traffic *traffic, const struct flow *flow)
{
	unsigned max = traffic->config.max_batch != 0 ? traffic->config.max_batch : 64;

	return 1 + (flow->next_send * 2654435761u >> 8) % max;
}

/* Sends what fits; ring->wanted says how much room the next packet needs. */
static unsigned send_burst(struct traffic *traffic, unsigned index)
{
	struct flow *flow = &traffic->flows[index];
	struct ring *ring = driver_tx(&traffic->from->driver, index);
	uint32_t room = ring_avail(ring);
	uint32_t allowed = credit(traffic, flow, driver_rx(&traffic->to->driver, index));
	unsigned burst = burst_size(traffic, flow), packets = 0;
	uint32_t slots = 0;

	while (packets < burst && flow->next_send != flow->end) {
		struct packet packet;

		packet_describe(&packet, traffic->config.run, (uint16_t)index, flow->next_send,
				ring->driver->buf_size);
		ring->wanted = packet.num_slots;
		if (slots + packet.num_slots > room || slots + packet.num_slots > allowed)
			break;
		put_packet(traffic, flow, ring, slots, &packet);
		slots += packet.num_slots;
		packets++;
		flow->next_send++;
	}
	if (packets > 0) {
		atomic_fetch_add(&flow->sent_slots, slots);
		ring_publish(ring, slots);
	}
	return packets;
}

static bool flow_has_credit(struct traffic *traffic, unsigned index)
{
	struct ring *ring = driver_tx(&traffic->from->driver, index);

	return credit(traffic, &traffic->flows[index], driver_rx(&traffic->to->driver, index)) >=
	       ring->wanted;
}

/* Nothing could be sent: waits for room in rings and for credit. */
static int wait_for_room(struct traffic *traffic)
{
	struct ring *blocked[PTNET_MAX_RINGS];
	unsigned count = 0;
	bool go_on = false;
	int result;

	atomic_store(&traffic->sender_waits, 1);
	for (unsigned i = 0; i < traffic->rings; i++) {
		struct ring *ring = driver_tx(&traffic->from->driver, i);

		if (traffic->flows[i].next_send == traffic->flows[i].end)
			continue;
		if (ring_avail(ring) < ring->wanted)
			blocked[count++] = ring;
		else if (flow_has_credit(traffic, i))
			go_on = true;
	}
	if (go_on || atomic_load(&traffic->stop)) {
		atomic_store(&traffic->sender_waits, 0);
		return 0;
	}
	result = rings_wait(blocked, count, traffic->credit_event);
	atomic_store(&traffic->sender_waits, 0);
	if (result == 0)
		return 0;
	if (count > 0)
		return fail(traffic, "the sender waited in vain: %s", ring_describe(blocked[0]));
	return fail(traffic, "the receiver gave no credit for %u s, flow 0: %llu slots out",
		    DRIVER_TIMEOUT_MS / 1000,
		    (unsigned long long)(atomic_load(&traffic->flows[0].sent_slots) -
					 atomic_load(&traffic->flows[0].released_slots)));
}

static void end_flows(struct traffic *traffic)
{
	for (unsigned i = 0; i < traffic->rings; i++) {
		struct flow *flow = &traffic->flows[i];

		flow->end = flow->next_send;
		atomic_store(&flow->ended, true);
	}
	signal_event(traffic->stop_event);
}

static void pace(const struct traffic *traffic)
{
	struct timespec pause = {.tv_nsec = (long)traffic->config.pace_us * 1000};

	if (traffic->config.pace_us != 0)
		nanosleep(&pause, NULL);
}

static void *send_all(void *argument)
{
	struct traffic *traffic = argument;

	while (!atomic_load(&traffic->stop)) {
		unsigned sent = 0;
		bool more = false;

		for (unsigned i = 0; i < traffic->rings; i++) {
			sent += send_burst(traffic, i);
			more |= traffic->flows[i].next_send != traffic->flows[i].end;
		}
		if (!more)
			break;
		if (guest_failed(&traffic->from->guest)) {
			fail(traffic, "sender: %s", traffic->from->guest.error_text);
			break;
		}
		if (sent == 0 && wait_for_room(traffic) < 0)
			break;
		pace(traffic);
	}
	end_flows(traffic);
	return NULL;
}

/* ---- receiver ---- */

/* Not ours: another run's leftovers (before our first packet only), somebody's flood. */
static bool is_ours(struct traffic *traffic, struct flow *flow, const struct packet_header *header)
{
	if (header->type != PACKET_TYPE ||
	    memcmp(header->source, traffic->from->driver.mac, 6) != 0) {
		atomic_fetch_add(&traffic->foreign, 1);
		return false;
	}
	if (header->run != traffic->config.run && !flow->started) {
		atomic_fetch_add(&traffic->stale, 1);
		return false;
	}
	return true;
}

static int wrong_slot(struct traffic *traffic, unsigned index, const struct packet *packet,
		      uint32_t ahead, const char *what)
{
	struct ring *ring = driver_rx(&traffic->to->driver, index);
	struct netmap_slot slot = *ring_slot(ring, ahead);
	const struct packet_header *header =
		(const struct packet_header *)ring_buf(ring, slot.buf_idx);

	return fail(traffic,
		    "flow %u packet %u (%u bytes in %u slots, the first has %u): %s; slot: buffer "
		    "%u, length %u, flags %#x; the buffer says flow %u run %u (not %u) packet %u "
		    "buffer %u; %s",
		    index, packet->sequence, packet->size, packet->num_slots, packet->length[0],
		    what, slot.buf_idx, slot.len, slot.flags, header->flow, header->run,
		    traffic->config.run, header->sequence, header->buf_idx, ring_describe(ring));
}

/* On a pipe the reader gets the very slots that were sent. */
static const char *check_pipe_slot(const struct flow *flow, const struct ring *ring, uint32_t ahead,
				   const struct packet *packet, unsigned part)
{
	const struct netmap_slot *slot = ring_slot(ring, ahead);
	uint32_t number = ring_ahead(ring, ring->head, ahead);

	if (slot->len != packet->length[part])
		return "wrong length";
	if (slot->ptr != packet->key + part)
		return "wrong ptr";
	if (slot->buf_idx !=
	    atomic_load_explicit(&flow->sent_buf_idx[number], memory_order_relaxed))
		return "not the buffer that was sent";
	return NULL;
}

/* What is wrong with the packet in @slots slots from @ahead on; NULL: nothing. */
static const char *check_slots(struct traffic *traffic, unsigned index, uint32_t *ahead,
			       uint32_t slots, const struct packet *packet)
{
	struct ring *ring = driver_rx(&traffic->to->driver, index);
	uint32_t offset = 0;

	if (traffic->config.pipe && slots != packet->num_slots)
		return "wrong number of slots";
	for (unsigned part = 0; part < slots; part++, (*ahead)++) {
		const struct netmap_slot *slot = ring_slot(ring, *ahead);
		const char *wrong = NULL;

		if (traffic->config.pipe)
			wrong = check_pipe_slot(&traffic->flows[index], ring, *ahead, packet, part);
		else if (NS_RFRAGS(slot) != slots)
			wrong = "wrong number of fragments in its flags";
		if (wrong != NULL)
			return wrong;
		if (offset + slot->len > packet->size)
			return "too long";
		if (!packet_check(packet, offset, ring_buf(ring, slot->buf_idx), slot->len,
				  traffic->from->driver.mac, traffic->to->driver.mac))
			return "wrong content";
		offset += slot->len;
	}
	(*ahead)--;
	return offset == packet->size ? NULL : "too short";
}

/* Slots of the packet at @ahead; 0: it is not complete, though no such may be shown. */
static uint32_t packet_slots(struct ring *ring, uint32_t ahead, uint32_t avail)
{
	for (uint32_t i = ahead; i < avail; i++) {
		if ((ring_slot(ring, i)->flags & NS_MOREFRAG) == 0)
			return i - ahead + 1;
	}
	return 0;
}

/* Slots that the sender used for it, 0 if it is not of this run, or negative errno. */
static int check_packet(struct traffic *traffic, unsigned index, uint32_t ahead, uint32_t slots)
{
	struct flow *flow = &traffic->flows[index];
	struct ring *ring = driver_rx(&traffic->to->driver, index);
	const struct packet_header *header =
		(const struct packet_header *)ring_buf(ring, ring_slot(ring, ahead)->buf_idx);
	const char *wrong;
	struct packet packet;

	if (!is_ours(traffic, flow, header))
		return 0;
	flow->started = true;
	packet_describe(&packet, traffic->config.run, (uint16_t)index, flow->next_receive,
			ring->driver->buf_size);
	wrong = check_slots(traffic, index, &ahead, slots, &packet);
	if (wrong != NULL)
		return wrong_slot(traffic, index, &packet, ahead, wrong);
	flow->next_receive++;
	atomic_fetch_add_explicit(&traffic->received, 1, memory_order_relaxed);
	return (int)packet.num_slots;
}

static void give_credit(struct traffic *traffic, struct flow *flow, uint32_t slots)
{
	atomic_fetch_add(&flow->released_slots, slots);
	if (atomic_load(&traffic->sender_waits) != 0 &&
	    atomic_exchange(&traffic->sender_waits, 0) != 0)
		signal_event(traffic->credit_event);
}

/* Checks and releases all that is there. Slots released, or negative errno. */
static int receive_burst(struct traffic *traffic, unsigned index)
{
	struct flow *flow = &traffic->flows[index];
	struct ring *ring = driver_rx(&traffic->to->driver, index);
	uint32_t avail = ring_avail(ring), done = 0, ours = 0;

	while (done < avail) {
		uint32_t slots = packet_slots(ring, done, avail);
		int counted;

		if (slots == 0)
			return fail(traffic, "flow %u: part of a packet shown; %s", index,
				    ring_describe(ring));
		counted = check_packet(traffic, index, done, slots);
		if (counted < 0)
			return counted;
		ours += (uint32_t)counted;
		done += slots;
	}
	if (done == 0)
		return 0;
	if (flow->next_receive % SWAP_EVERY == 0)
		swap_buffers(ring, 0, done - 1);
	ring_publish(ring, done);
	give_credit(traffic, flow, ours);
	return (int)done;
}

static bool flow_done(const struct flow *flow)
{
	return atomic_load(&flow->ended) && flow->next_receive == flow->end;
}

static int wait_for_packets(struct traffic *traffic)
{
	struct ring *waiting[PTNET_MAX_RINGS];
	unsigned count = 0, last = 0;
	int result;

	for (unsigned i = 0; i < traffic->rings; i++) {
		if (flow_done(&traffic->flows[i]))
			continue;
		waiting[count++] = driver_rx(&traffic->to->driver, i);
		last = i;
	}
	if (count == 0)
		return 0;
	result = rings_wait(waiting, count, traffic->stop_event);
	if (result == 0)
		return 0;
	return fail(traffic, "the receiver waited in vain for flow %u packet %u; %s; sender: %s",
		    last, traffic->flows[last].next_receive,
		    strdupa(ring_describe(waiting[count - 1])),
		    ring_describe(driver_tx(&traffic->from->driver, last)));
}

static void *receive_all(void *argument)
{
	struct traffic *traffic = argument;

	while (!atomic_load(&traffic->failed)) {
		bool more = false;
		int got = 0;

		for (unsigned i = 0; i < traffic->rings; i++) {
			int now = flow_done(&traffic->flows[i]) ? 0 : receive_burst(traffic, i);

			if (now < 0)
				return NULL;
			got += now;
			more |= !flow_done(&traffic->flows[i]);
		}
		if (!more)
			break;
		if (guest_failed(&traffic->to->guest)) {
			fail(traffic, "receiver: %s", traffic->to->guest.error_text);
			break;
		}
		if (got == 0 && wait_for_packets(traffic) < 0)
			break;
	}
	return NULL;
}

/* ---- start and end ---- */

/* So that the switch knows where the receiver is: it says hello to the sender. */
static int say_hello(struct traffic *traffic)
{
	struct ring *tx = driver_tx(&traffic->to->driver, 0);
	struct ring *rx = driver_rx(&traffic->from->driver, 0);
	struct packet packet = {.run = traffic->config.run, .key = 1, .num_slots = 1};
	struct netmap_slot *slot = ring_slot(tx, 0);

	packet.length[0] = PACKET_MIN_SIZE;
	packet.size = PACKET_MIN_SIZE;
	if (ring_avail(tx) == 0)
		return fail(traffic, "no room for a hello: %s", ring_describe(tx));
	packet_fill(&packet, 0, ring_buf(tx, slot->buf_idx), traffic->to->driver.mac,
		    traffic->from->driver.mac, slot->buf_idx);
	slot->len = packet.length[0];
	slot->flags = 0;
	ring_publish(tx, 1);
	for (;;) {
		uint32_t avail = ring_avail(rx);

		for (uint32_t i = 0; i < avail; i++) {
			const char *buf = ring_buf(rx, ring_slot(rx, 0)->buf_idx);
			bool hello =
				packet_check(&packet, 0, buf, packet.size, traffic->to->driver.mac,
					     traffic->from->driver.mac);

			ring_publish(rx, 1);
			if (hello)
				return 0;
		}
		if (rings_wait(&rx, 1, -1) < 0)
			return fail(traffic, "the hello did not arrive: %s; it was sent on %s",
				    strdupa(ring_describe(rx)), ring_describe(tx));
	}
}

static void divide_packets(struct traffic *traffic)
{
	uint64_t packets = traffic->config.packets;

	for (unsigned i = 0; i < traffic->rings; i++) {
		uint64_t share = packets / traffic->rings + (i < packets % traffic->rings);

		/* "Until stopped" is a number that is not reached. */
		traffic->flows[i].end = packets == 0 ? UINT32_MAX : (uint32_t)share;
	}
}

static int start_threads(struct traffic *traffic)
{
	int error = pthread_create(&traffic->receiver, NULL, receive_all, traffic);

	if (error != 0)
		return fail(traffic, "pthread_create: %s", strerror(error));
	error = pthread_create(&traffic->sender, NULL, send_all, traffic);
	if (error != 0) {
		fail(traffic, "pthread_create: %s", strerror(error));
		pthread_join(traffic->receiver, NULL);
	}
	return -error;
}

static void close_events(struct traffic *traffic)
{
	close(traffic->credit_event);
	close(traffic->stop_event);
}

int traffic_start(struct traffic *traffic, struct endpoint *from, struct endpoint *to,
		  const struct traffic_config *config)
{
	int error;

	memset(traffic, 0, sizeof(*traffic));
	traffic->config = *config;
	traffic->from = from;
	traffic->to = to;
	traffic->rings = from->driver.tx_rings;
	traffic->credit_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	traffic->stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (traffic->credit_event < 0 || traffic->stop_event < 0)
		return fail(traffic, "eventfd: %s", strerror(errno));
	divide_packets(traffic);
	error = config->pipe ? 0 : say_hello(traffic);
	if (error == 0)
		error = start_threads(traffic);
	if (error < 0)
		close_events(traffic);
	return error;
}

void traffic_stop(struct traffic *traffic)
{
	atomic_store(&traffic->stop, true);
	signal_event(traffic->credit_event);
}

int traffic_join(struct traffic *traffic)
{
	pthread_join(traffic->sender, NULL);
	pthread_join(traffic->receiver, NULL);
	close_events(traffic);
	return atomic_load(&traffic->failed) ? -EIO : 0;
}
