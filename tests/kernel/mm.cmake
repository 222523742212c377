# SPDX-License-Identifier: GPL-2.0-only
pgsim_test(test_buddy buddy_test.cpp)
pgsim_test(test_mm_random mm_random_test.cpp)
pgsim_test(test_mm_fault mm_fault_test.cpp)
pgsim_test(test_mm_fork mm_fork_test.cpp)
pgsim_test(test_mm_reclaim mm_reclaim_test.cpp)
