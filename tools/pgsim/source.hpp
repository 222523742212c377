// SPDX-License-Identifier: GPL-2.0-only
// Where a command gets the address space from that it looks at.
#pragma once

#include <string>
#include <vector>

#include "common.hpp"
#include "pgsim/formats/dump.hpp"
#include "pgsim/inspect/address_space.hpp"

namespace pgsim::cli {

/// One address space, and what is known around it.
struct Scene {
    std::string title;  ///< for people: "k6.6-4g-4l at init_mem_mapping.exit"
    AddressSpace space;
    formats::TableNames names;
    std::vector<formats::AddressMarker> markers;
};

/// --capture, --at, --root
struct SourceOptions {
    std::string capture;
    std::string at;
    std::string root;

    void add_to(CLI::App& command);
    /// @throws Error  when the source cannot be read or has no such checkpoint or root
    [[nodiscard]] Scene load() const;
};

/// "FILE[:CHECKPOINT]": a checkpoint of a capture; without one, `fallback`, and when that is empty the last one.
[[nodiscard]] Scene scene_of_capture(const std::string& text, const std::string& fallback, const std::string& root);

}  // namespace pgsim::cli
