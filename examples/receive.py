#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Receive packets from a netmap port and print them. On a host: ptnet-run examples/receive.py vale0:x

usage: receive.py [-n COUNT] PORT

Ends after COUNT packets, or when interrupted.

libnetmap opens the port; what follows is memory. The layouts below are those of net/netmap.h and
libnetmap.h, which never change.
"""

import argparse
import ctypes
import os
import select
import sys
from ctypes import c_char, c_char_p, c_int, c_int64, c_uint16, c_uint32, c_uint64, c_uint8, c_void_p


class Slot(ctypes.Structure):
    """struct netmap_slot"""

    _fields_ = [("buf_idx", c_uint32), ("len", c_uint16), ("flags", c_uint16), ("ptr", c_uint64)]


class Ring(ctypes.Structure):
    """struct netmap_ring, without its slots, which follow"""

    _fields_ = [
        ("buf_ofs", c_int64),
        ("num_slots", c_uint32),
        ("nr_buf_size", c_uint32),
        ("ringid", c_uint16),
        ("dir", c_uint16),
        ("head", c_uint32),
        ("cur", c_uint32),
        ("tail", c_uint32),
        ("flags", c_uint32),
        ("pad", c_uint32),
        ("ts_sec", c_int64),
        ("ts_usec", c_int64),
        ("offset_mask", c_uint64),
        ("buf_align", c_uint64),
        ("pad2", c_uint8 * 56),
        ("sem", c_uint8 * 128),
    ]


class Interface(ctypes.Structure):
    """struct netmap_if, without the offsets of its rings, which follow"""

    _fields_ = [
        ("ni_name", c_char * 16),
        ("ni_version", c_uint32),
        ("ni_flags", c_uint32),
        ("ni_tx_rings", c_uint32),
        ("ni_rx_rings", c_uint32),
        ("ni_bufs_head", c_uint32),
        ("ni_host_tx_rings", c_uint32),
        ("ni_host_rx_rings", c_uint32),
        ("spare", c_uint32 * 3),
    ]


class Descriptor(ctypes.Structure):
    """struct nmport_d"""

    _fields_ = [
        ("hdr", c_uint8 * 88),
        ("reg", c_uint8 * 56),
        ("mem", c_void_p),
        ("ctx", c_void_p),
        ("register_done", c_int),
        ("mmap_done", c_int),
        ("extmem", c_void_p),
        ("fd", c_int),
        ("nifp", c_void_p),
        ("first_tx_ring", c_uint16),
        ("last_tx_ring", c_uint16),
        ("first_rx_ring", c_uint16),
        ("last_rx_ring", c_uint16),
        ("cur_tx_ring", c_uint16),
        ("cur_rx_ring", c_uint16),
        ("clist", c_void_p),
    ]


assert [ctypes.sizeof(t) for t in (Slot, Ring, Interface, Descriptor)] == [16, 256, 56, 216]

LIBRARY = ctypes.CDLL("libnetmap.so.1", use_errno=True)
LIBRARY.nmport_open.argtypes = [c_char_p]
LIBRARY.nmport_open.restype = ctypes.POINTER(Descriptor)
LIBRARY.nmport_close.argtypes = [ctypes.POINTER(Descriptor)]
LIBRARY.nmport_close.restype = None


class RxRing:
    """One ring to receive from."""

    def __init__(self, nifp, index):
        interface = Interface.from_address(nifp)
        index += interface.ni_tx_rings + interface.ni_host_tx_rings
        offset = c_int64.from_address(nifp + ctypes.sizeof(Interface) + 8 * index).value
        self.address = nifp + offset
        self.ring = Ring.from_address(self.address)
        self.slots = (Slot * self.ring.num_slots).from_address(self.address + ctypes.sizeof(Ring))

    def take(self):
        """The next packet's bytes, or None. Its slots are given back."""
        ring = self.ring
        packet = b""
        while ring.head != ring.tail:
            slot = self.slots[ring.head]
            address = self.address + ring.buf_ofs + slot.buf_idx * ring.nr_buf_size
            packet += ctypes.string_at(address + (slot.ptr & ring.offset_mask), slot.len)
            more = slot.flags & 0x20  # NS_MOREFRAG: it goes on in the next slot
            ring.head = ring.cur = (ring.head + 1) % ring.num_slots
            if not more:
                return packet
        return None


class Port:
    """An open port. Iterate over it for packets; it sleeps while there are none."""

    def __init__(self, name):
        self.descriptor = LIBRARY.nmport_open(name.encode())
        if not self.descriptor:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), name)
        port = self.descriptor.contents
        self.fd = port.fd
        self.rings = [RxRing(port.nifp, i) for i in range(port.first_rx_ring, port.last_rx_ring + 1)]

    def __iter__(self):
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        while True:
            if any(event & select.POLLERR for _, event in poll.poll()):
                raise OSError("the port has stopped: it was deleted, ptnetd has ended, or a ring was spoiled")
            for ring in self.rings:
                while (packet := ring.take()) is not None:
                    yield packet

    def close(self):
        """Gives the port back. Rings and slots must not be touched any more."""
        self.rings = []
        LIBRARY.nmport_close(self.descriptor)


def mac(address):
    return address.hex(":")


def main():
    parser = argparse.ArgumentParser(description="Receive packets from a netmap port and print them.")
    parser.add_argument("-n", "--count", type=int, default=0, help="end after so many packets")
    parser.add_argument("port", help="netmap:NAME, or valeX:NAME")
    options = parser.parse_args()

    try:
        port = Port(options.port)
    except OSError as error:
        sys.exit(f"receive.py: {error}")
    try:
        print(f"receiving on {options.port}", file=sys.stderr, flush=True)
        for number, packet in enumerate(port, 1):
            print(
                f"{len(packet)} bytes {mac(packet[6:12])} > {mac(packet[0:6])}"
                f" type {packet[12:14].hex()}: {packet[14:34].hex(' ')}",
                flush=True,
            )
            if number == options.count:
                break
    except KeyboardInterrupt:
        pass
    except OSError as error:
        sys.exit(f"receive.py: {options.port}: {error}")
    port.close()


if __name__ == "__main__":
    main()
