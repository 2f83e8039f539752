# SPDX-License-Identifier: MIT
"""What is random in a stress test, once more in Python: see src/tool/stress/generate.h."""
MASK = (1 << 64) - 1
TEXT = 1 << 20
ITEM_SIZE = 1 << 24


def mix(number):
    number = (number + 0x9E3779B97F4A7C15) & MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31)


def random(seed, number, purpose):
    return mix(mix(mix(seed) ^ number) ^ purpose)


def text(seed, number, size, index=0):
    key = random(seed, number, TEXT + index)
    words = (mix((key + i) & MASK).to_bytes(8, "little") for i in range(size // 8 + 1))
    return bytes((byte & 63) + 48 for word in words for byte in word)[:size]


def item_size(seed, number, index, size_max):
    return random(seed, number, ITEM_SIZE + index) % (size_max + 1)
