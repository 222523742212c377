# SPDX-License-Identifier: GPL-2.0-only
pgsim_test(test_fault_counts fault_counts_test.cpp)
pgsim_test(test_process_script process_script_test.cpp)
pgsim_test(test_booted_kernel booted_kernel_test.cpp)
