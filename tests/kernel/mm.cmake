# SPDX-License-Identifier: GPL-2.0-only
pgsim_test(test_buddy buddy_test.cpp)
