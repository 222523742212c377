/* SPDX-License-Identifier: GPL-2.0-only */
#include "c_walker.h"

#include <string.h>

#define P 1u
#define RW 2u
#define US 4u
#define PS 0x80u
#define XD (1ull << 63)
#define ADDRESS 0x000ffffffffff000ull

static uint64_t entry_at(const struct c_tables* tables, uint64_t table, uint64_t linear, int shift) {
    uint64_t entry;
    memcpy(&entry, tables->memory + table + ((linear >> shift) & 511) * 8, sizeof entry);
    return entry;
}

uint64_t c_walk_minimal(const struct c_tables* tables, uint64_t linear) {
    uint64_t entry = tables->root;
    int shift = 39;
    for (;;) {
        entry = entry_at(tables, entry & ADDRESS, linear, shift);
        if (shift == 12 || (entry & PS) != 0) {
            const uint64_t offset = (1ull << shift) - 1;
            return (entry & ADDRESS & ~offset) | (linear & offset);
        }
        shift -= 9;
    }
}

uint64_t c_walk_checked(const struct c_tables* tables, uint64_t linear, int write, int fetch) {
    uint64_t entry = tables->root;
    uint64_t all = ~0ull;
    uint64_t any = 0;
    int shift = 39;
    for (;;) {
        entry = entry_at(tables, entry & ADDRESS, linear, shift);
        if ((entry & P) == 0 || (entry & tables->reserved) != 0) {
            return ~0ull;
        }
        all &= entry;
        any |= entry;
        if (shift == 12 || (entry & PS) != 0) {
            const uint64_t offset = (1ull << shift) - 1;
            if (shift == 39 || (shift != 12 && (entry & ADDRESS & offset & ~0x1000ull) != 0)) {
                return ~0ull;
            }
            if ((all & US) == 0 || (write && (all & RW) == 0) || (fetch && (any & XD) != 0)) {
                return ~0ull;
            }
            return (entry & ADDRESS & ~offset) | (linear & offset);
        }
        shift -= 9;
    }
}
