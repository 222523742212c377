// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>

#include "fault.hpp"

/// The page cache: of files on a disk and of tmpfs. [linux-6.6 mm/filemap.c, mm/shmem.c, mm/memory.c do_fault_around()]
/// [spec M-F15]

namespace pgsim::kernel {

/// vm_ops->fault of both kinds of files: `vmf.page` with a reference, or an error.
unsigned filemap_fault(Mm& k, vm_fault& vmf);
/// Maps what is cached around the fault. NOPAGE when the faulting page was among it.
unsigned do_fault_around(Mm& k, vm_fault& vmf);
/// The page of a tmpfs file, from swap or zeroed if need be. no_page when memory is out.
[[nodiscard]] std::uint64_t shmem_get_folio(Mm& k, address_space& file, std::uint64_t index, bool* major);
/// A page of the file in the cache, up to date; for files on a disk it is read. no_page when memory is out.
[[nodiscard]] std::uint64_t page_cache_page(Mm& k, address_space& file, std::uint64_t index);

/// filemap_add_folio(): the cache holds a reference.
void filemap_add_folio(Mm& k, address_space& file, std::uint64_t index, std::uint64_t folio);
/// Takes the folio out of the cache and drops the cache's reference.
void filemap_remove_folio(Mm& k, std::uint64_t folio);
/// Drops pages from `first` on, out of all mappings too.
void truncate_pages(Mm& k, address_space& file, std::uint64_t first);
/// Writes a dirty page to the disk and write-protects its shared mappings, so that the next write is noticed.
void folio_clear_dirty_for_io(Mm& k, address_space& file, std::uint64_t folio);
/// The file is gone: so is its cache.
void evict_inode(Mm& k, address_space& file);

}  // namespace pgsim::kernel
