// SPDX-License-Identifier: GPL-2.0-only
// The one place that knows which Catch2 this is.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <cstdint>
#include <string>
#include <vector>

#include "pgsim/base/address.hpp"
