# What `cmake --install` and `cpack` make: the program, its manual page, completion for bash and documents.
#
# Two components. `program` needs the distribution's packages (Debian package, cmake --install --component program);
# `libraries` carries the shared libraries beside it, so that the archive runs from any folder of any machine with a C
# library as new as this one's. Not carried: the C and C++ runtime, the NVIDIA driver and cuBLAS.
set(CMAKE_INSTALL_DOCDIR share/doc/residualbind)
include(GNUInstallDirs)

set(RB_MANUAL ${CMAKE_BINARY_DIR}/manual)
add_custom_command(
  OUTPUT ${RB_MANUAL}/residualbind.1 ${RB_MANUAL}/residualbind
  COMMAND ${CMAKE_COMMAND} -E make_directory ${RB_MANUAL}
  COMMAND residualbind manual man > ${RB_MANUAL}/residualbind.1
  COMMAND residualbind manual bash > ${RB_MANUAL}/residualbind
  DEPENDS residualbind VERBATIM)
add_custom_target(manual ALL DEPENDS ${RB_MANUAL}/residualbind.1 ${RB_MANUAL}/residualbind)

set_target_properties(residualbind PROPERTIES INSTALL_RPATH "$ORIGIN/../lib/residualbind")
target_link_options(residualbind PRIVATE LINKER:--disable-new-dtags)  # carried libraries find each other by it, too
install(TARGETS residualbind RUNTIME_DEPENDENCY_SET rb_shared RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
        COMPONENT program)
install(RUNTIME_DEPENDENCY_SET rb_shared
        PRE_EXCLUDE_REGEXES "^ld-linux" "^lib(c|m|dl|rt|pthread|resolv|util|stdc\\+\\+|gcc_s|cuda|nvidia|cublas)[^a-z]"
        LIBRARY DESTINATION lib/residualbind COMPONENT libraries)
install(FILES ${RB_MANUAL}/residualbind.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program)
install(FILES ${RB_MANUAL}/residualbind DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        COMPONENT program)
install(FILES README.md LICENSE NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs COMPONENT program FILES_MATCHING PATTERN "*.md"
        PATTERN "*.svg")

set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_NAME residualbind)
set(CPACK_PACKAGE_VENDOR "The ResidualBind engine's authors")
set(CPACK_PACKAGE_CONTACT "residualbind")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "models of protein-RNA binding, trained on RNAcompete-like data")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME residualbind)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_SOURCE_DIR}/cmake/RbPackage.cmake)
include(CPack)
