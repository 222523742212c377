/* SPDX-License-Identifier: GPL-2.0-only
 * The yardsticks: what a walk of four-level tables costs in plain C when the tables lie in host memory as they are. */
#ifndef PGSIM_BENCH_C_WALKER_H
#define PGSIM_BENCH_C_WALKER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct c_tables {
    const unsigned char* memory; /* host address of guest-physical 0 */
    uint64_t root;
    uint64_t reserved; /* bits that must be 0 in every entry */
};

/* Reads the entries and adds the offset. Nothing is checked but PS. */
uint64_t c_walk_minimal(const struct c_tables* tables, uint64_t linear);

/* The same with present, rights (read/write, user/supervisor, execute-disable over the path) and reserved bits;
 * all ones for a fault. `write` and `fetch` are 0 or 1; the access is a user's. */
uint64_t c_walk_checked(const struct c_tables* tables, uint64_t linear, int write, int fetch);

#ifdef __cplusplus
}
#endif

#endif
