# SPDX-License-Identifier: BSD-2-Clause
"""Frames to be sent through programs, and capture files of them."""

import random

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import PcapReader, PcapWriter


def mixed(count, seed=1):
    """IPv4 frames of all sizes; every fourth is TCP to port 80, every other one UDP to port 53."""
    rng = random.Random(seed)
    frames = []
    for number in range(count):
        size = rng.randrange(60, 1515)
        ether = Ether(src=f"02:00:00:00:00:{number % 256:02x}", dst="ff:ff:ff:ff:ff:ff")
        ip = ether / IP(src=f"10.0.{number >> 8}.{number & 255}", dst="10.1.0.1")
        packet = ip / (TCP(sport=4000, dport=80, flags="PA", seq=number) if number % 4 == 0 else UDP(sport=4000, dport=53))
        room = size - len(packet)
        frames.append(bytes(packet / Raw(f"number {number} ".encode()[:room] + rng.randbytes(max(0, room - 12)))))
    return frames


def write(path, frames):
    with PcapWriter(str(path), linktype=1) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def read(path):
    """The frames of a capture file."""
    with PcapReader(str(path)) as reader:
        return [bytes(packet) for packet in reader]
