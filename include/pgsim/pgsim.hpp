// SPDX-License-Identifier: GPL-2.0-only
#pragma once

// The library for its users. Not in it: {fmt} and Catch2 support, which need their libraries, and the kernel's own
// functions (<pgsim/kernel/...>), which a boot runs.

#include "pgsim/base/address.hpp"
#include "pgsim/base/error.hpp"
#include "pgsim/base/level.hpp"
#include "pgsim/base/range.hpp"
#include "pgsim/base/units.hpp"

#include "pgsim/memory/physical_memory.hpp"
#include "pgsim/memory/write_journal.hpp"

#include "pgsim/cpu/cpu_features.hpp"
#include "pgsim/cpu/cpu_state.hpp"
#include "pgsim/cpu/mtrr.hpp"
#include "pgsim/cpu/registers.hpp"

#include "pgsim/mmu/access.hpp"
#include "pgsim/mmu/entry.hpp"
#include "pgsim/mmu/memory_type.hpp"
#include "pgsim/mmu/mmu.hpp"
#include "pgsim/mmu/nested.hpp"
#include "pgsim/mmu/paging_controls.hpp"
#include "pgsim/mmu/paging_structure_cache.hpp"
#include "pgsim/mmu/tag_array.hpp"
#include "pgsim/mmu/tlb.hpp"
#include "pgsim/mmu/walk_result.hpp"
#include "pgsim/mmu/walker.hpp"

#include "pgsim/machine/exception.hpp"
#include "pgsim/machine/machine.hpp"

#include "pgsim/firmware/boot_loader.hpp"
#include "pgsim/firmware/boot_params.hpp"
#include "pgsim/firmware/e820_table.hpp"
#include "pgsim/firmware/machine_record.hpp"
#include "pgsim/firmware/memory_map_import.hpp"
#include "pgsim/firmware/numa_description.hpp"

#include "pgsim/inspect/address_space.hpp"
#include "pgsim/inspect/mapping.hpp"
#include "pgsim/inspect/page_table.hpp"
#include "pgsim/inspect/space_diff.hpp"
#include "pgsim/inspect/space_statistics.hpp"

#include "pgsim/formats/capture.hpp"
#include "pgsim/formats/capture_space.hpp"
#include "pgsim/formats/compare.hpp"
#include "pgsim/formats/explorer_html.hpp"
#include "pgsim/formats/mmu_vectors.hpp"
#include "pgsim/formats/table_runs.hpp"
#include "pgsim/formats/text_file.hpp"

#include "pgsim/scenario/boot.hpp"
#include "pgsim/scenario/boot_capture.hpp"
#include "pgsim/scenario/boot_scenario.hpp"
#include "pgsim/scenario/capture_comparison.hpp"
#include "pgsim/scenario/machine_json.hpp"
#include "pgsim/scenario/presets.hpp"
