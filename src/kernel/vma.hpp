// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <memory>

#include "pgsim/kernel/mm.hpp"

/// Areas of an address space: finding, splitting, joining. [linux-6.6 mm/mmap.c]

namespace pgsim::kernel {

/// The first area that ends above `address`; null when there is none.
[[nodiscard]] vm_area_struct* find_vma(mm_struct& mm, std::uint64_t address);
/// The area that contains `address`.
[[nodiscard]] vm_area_struct* vma_lookup(mm_struct& mm, std::uint64_t address);
/// The last area that starts below `address`, whether or not it contains it.
[[nodiscard]] vm_area_struct* vma_before(mm_struct& mm, std::uint64_t address);
[[nodiscard]] vm_area_struct* vma_next(vm_area_struct& vma);
/// The first area that overlaps [start, end).
[[nodiscard]] vm_area_struct* find_vma_intersection(mm_struct& mm, std::uint64_t start, std::uint64_t end);

/// Puts an area into its address space and its file's tree.
vm_area_struct& vma_link(mm_struct& mm, std::unique_ptr<vm_area_struct> vma);
/// Takes it out of both; the caller owns it.
[[nodiscard]] std::unique_ptr<vm_area_struct> vma_unlink(vm_area_struct& vma);
/// Out of everything, and gone: its chain too.
void remove_vma(Mm& k, vm_area_struct& vma);
/// Moves the start, which is the key of the tree.
void vma_set_start(vm_area_struct& vma, std::uint64_t start, std::uint64_t pgoff);

/// Two areas with the border at `address`; returns the one that is new (the upper one).
vm_area_struct& split_vma(Mm& k, vm_area_struct& vma, std::uint64_t address);
/// Tries to make [address, end) with these properties part of `prev`, of what follows, or of both. `prev` is the area
/// before the range, or the one that the range lies at the end of. Returns the area that has it now, or null.
[[nodiscard]] vm_area_struct* vma_merge(Mm& k, mm_struct& mm, vm_area_struct* prev, std::uint64_t address,
                                        std::uint64_t end, std::uint64_t flags, anon_vma* anon,
                                        const std::shared_ptr<address_space>& file, std::uint64_t pgoff);
[[nodiscard]] bool can_vma_merge_before(const vm_area_struct& vma, std::uint64_t flags, const anon_vma* anon,
                                        const address_space* file, std::uint64_t pgoff);
[[nodiscard]] bool can_vma_merge_after(const vm_area_struct& vma, std::uint64_t flags, const anon_vma* anon,
                                       const address_space* file, std::uint64_t pgoff);

/// protection_map[]. [spec M-C5]
[[nodiscard]] pgprot_t vm_get_page_prot(std::uint64_t flags) noexcept;
/// vma_set_page_prot(): without RW where writes must be noticed.
void vma_set_page_prot(vm_area_struct& vma);
[[nodiscard]] bool vma_wants_writenotify(const vm_area_struct& vma, pgprot_t prot) noexcept;

}  // namespace pgsim::kernel
