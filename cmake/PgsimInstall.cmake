# SPDX-License-Identifier: GPL-2.0-only
include(CMakePackageConfigHelpers)

install(
    TARGETS pgsim
    EXPORT pgsim-targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT pgsim-targets NAMESPACE pgsim:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pgsim)
configure_package_config_file(
    "${PROJECT_SOURCE_DIR}/cmake/pgsim-config.cmake.in" "${PROJECT_BINARY_DIR}/pgsim-config.cmake"
    INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pgsim)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/pgsim-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/pgsim-config.cmake" "${PROJECT_BINARY_DIR}/pgsim-config-version.cmake"
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/pgsim)
if(TARGET pgsim_cli)
    install(TARGETS pgsim_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
