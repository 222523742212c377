# SPDX-License-Identifier: GPL-2.0-only
# Compiles data/cores/*.json into the library as text, and installs them for people to copy and edit.

# In script mode: writes OUT, a C++ file with the text of each file of the list CORES.
if(CMAKE_SCRIPT_MODE_FILE)
    set(text "// Made from data/cores by cmake/PgsimCores.cmake.\n#include \"pgsim/mmu/timing_core.hpp\"\n\nnamespace pgsim {\n\nstd::vector<BuiltInCore> built_in_cores() {\n    return {\n")
    foreach(core IN LISTS CORES)
        get_filename_component(name "${core}" NAME_WE)
        file(READ "${core}" json)
        string(APPEND text "        {\"${name}\", R\"core(${json})core\"},\n")
    endforeach()
    string(APPEND text "    };\n}\n\n}  // namespace pgsim\n")
    file(WRITE "${OUT}" "${text}")
    return()
endif()

function(pgsim_cores target)
    set(cores "")
    foreach(name IN LISTS ARGN)
        list(APPEND cores "${PROJECT_SOURCE_DIR}/data/cores/${name}.json")
    endforeach()
    set(out "${PROJECT_BINARY_DIR}/generated/built_in_cores.cpp")
    set(script "${PROJECT_SOURCE_DIR}/cmake/PgsimCores.cmake")
    add_custom_command(
        OUTPUT "${out}"
        COMMAND "${CMAKE_COMMAND}" "-DCORES=${cores}" "-DOUT=${out}" -P "${script}"
        DEPENDS ${cores} "${script}"
        VERBATIM)
    target_sources(${target} PRIVATE "${out}")
    install(FILES ${cores} DESTINATION "${CMAKE_INSTALL_DATADIR}/pgsim/cores")
endfunction()
