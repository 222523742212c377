# SPDX-License-Identifier: GPL-2.0-only
# cmake -DWEB= -DWORK= -DOUT= -DNPM= -DMISSING= -DREQUIRED= -P: runs npm in a copy of web/ and writes the C++ file that holds
# the page's bytes, or the reason why there is none. The source tree is not touched.

function(run step)
    execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE result OUTPUT_VARIABLE log ERROR_VARIABLE log)
    if(NOT result EQUAL 0)
        set(failed "${step} failed (${result})" PARENT_SCOPE)
        if(REQUIRED STREQUAL "ON")
            message(FATAL_ERROR "explorer page: ${step} failed\n${log}")
        endif()
        message(WARNING "explorer page: ${step} failed, the library is built without it\n${log}")
    endif()
endfunction()

set(failed "")
set(page "")
if(NPM)
    file(MAKE_DIRECTORY "${WORK}")
    file(REMOVE_RECURSE "${WORK}/src" "${WORK}/dist")
    file(COPY "${WEB}/src" "${WEB}/index.html" "${WEB}/package.json" "${WEB}/package-lock.json" "${WEB}/.npmrc"
              "${WEB}/vite.config.ts" "${WEB}/tsconfig.json" DESTINATION "${WORK}")
    file(SHA256 "${WEB}/package-lock.json" lock)
    if(NOT EXISTS "${WORK}/installed-${lock}")
        run("npm ci" "${NPM}" ci --omit=dev --ignore-scripts --no-progress --loglevel=error)
        if(NOT failed)
            file(TOUCH "${WORK}/installed-${lock}")
        endif()
    endif()
    if(NOT failed)
        run("npm run build" "${NPM}" run build --silent)
    endif()
    if(NOT failed)
        file(READ "${WORK}/dist/index.html" page HEX)
    else()
        set(MISSING "${failed} when pgsim was built; see the build's output")
    endif()
endif()

string(REGEX REPLACE "(..)" "0x\\1," bytes "${page}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes "${bytes}")
set(text "// Written by the build: do not edit.
#include \"formats/explorer_template.hpp\"

namespace pgsim::formats {
namespace {
alignas(8) constexpr unsigned char page[] = {
${bytes}0};
}  // namespace

ExplorerTemplate explorer_template() noexcept {
    return {{reinterpret_cast<const char*>(page), sizeof page - 1}, \"${MISSING}\"};
}

}  // namespace pgsim::formats
")
file(WRITE "${OUT}" "${text}")
