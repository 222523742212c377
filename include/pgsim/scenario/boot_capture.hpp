// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "pgsim/formats/capture.hpp"
#include "pgsim/scenario/boot.hpp"

namespace pgsim {

/// What the boot left at each checkpoint, in the capture format: everything that the format has and this project
/// simulates. [captures FORMAT]
[[nodiscard]] formats::Capture to_capture(const Boot& boot);

/// One checkpoint of it.
[[nodiscard]] formats::CaptureCheckpoint to_capture(const Boot& boot, const Checkpoint& checkpoint);

}  // namespace pgsim
