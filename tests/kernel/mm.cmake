# SPDX-License-Identifier: GPL-2.0-only
pgsim_test(test_buddy buddy_test.cpp)
pgsim_test(test_mm_random mm_random_test.cpp)
