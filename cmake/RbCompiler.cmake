# Compiler facts: warnings, optimisation, sanitizers, and the helper every room uses to declare itself.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
find_program(RB_CCACHE ccache)
if(RB_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${RB_CCACHE})
endif()

add_library(rb_flags INTERFACE)
# -Wrestrict: GCC 12 warns about string concatenation where nothing is wrong (GCC bug 105651).
target_compile_options(rb_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wno-unknown-pragmas>
                                          $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
target_include_directories(rb_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(rb_flags INTERFACE RB_VERSION="${PROJECT_VERSION}")
if(RB_SANITIZE)
  add_compile_options(-fsanitize=${RB_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=${RB_SANITIZE})
endif()

# rb_room(name sources... DEPS libraries...): the static library of one top-level folder.
function(rb_room name)
  cmake_parse_arguments(ROOM "" "" "DEPS" ${ARGN})
  add_library(rb_${name} STATIC ${ROOM_UNPARSED_ARGUMENTS})
  target_link_libraries(rb_${name} PUBLIC rb_flags ${ROOM_DEPS})
endfunction()
