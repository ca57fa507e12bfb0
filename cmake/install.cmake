# `cmake --install` gives a package that find_package(weft) finds: library, headers, the command when it is built.
include(CMakePackageConfigHelpers)

set(WEFT_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/weft)
get_target_property(WEFT_LIBRARY_TYPE weft TYPE)
set_target_properties(weft PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})

install(TARGETS weft EXPORT weftTargets RUNTIME COMPONENT library LIBRARY COMPONENT library ARCHIVE COMPONENT library)
install(DIRECTORY include/weft TYPE INCLUDE COMPONENT library FILES_MATCHING PATTERN "*.h")
install(FILES LICENSE TYPE DOC COMPONENT library)
install(EXPORT weftTargets NAMESPACE weft:: DESTINATION ${WEFT_CMAKE_DIR} COMPONENT library)

configure_package_config_file(cmake/weftConfig.cmake.in ${PROJECT_BINARY_DIR}/weftConfig.cmake INSTALL_DESTINATION ${WEFT_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/weftConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/weftConfig.cmake ${PROJECT_BINARY_DIR}/weftConfigVersion.cmake cmake/FindDNNL.cmake DESTINATION ${WEFT_CMAKE_DIR}
        COMPONENT library)

if(TARGET weft_command)
  # Found beside the installed library whatever the prefix.
  file(RELATIVE_PATH WEFT_BIN_TO_LIB ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(weft_command PROPERTIES INSTALL_RPATH "$ORIGIN/${WEFT_BIN_TO_LIB}")
  install(TARGETS weft_command COMPONENT command)
  install(DIRECTORY models DESTINATION ${CMAKE_INSTALL_DATADIR}/weft COMPONENT command)
endif()
