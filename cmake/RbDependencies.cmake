# Libraries, all from the distribution's packages (the list is in ./run).
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(ZLIB REQUIRED)
find_package(LibLZMA REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Boost 1.74 REQUIRED COMPONENTS context)  # fibers of the emulated device
find_package(PkgConfig REQUIRED)
pkg_check_modules(RB_CAIRO REQUIRED cairo>=1.16)  # pictures
add_library(rb_cairo INTERFACE)
target_include_directories(rb_cairo SYSTEM INTERFACE ${RB_CAIRO_INCLUDE_DIRS})
target_link_libraries(rb_cairo INTERFACE ${RB_CAIRO_LINK_LIBRARIES})
find_library(RB_HWY_LIBRARY hwy REQUIRED)
find_path(RB_HWY_INCLUDE hwy/highway.h REQUIRED)
add_library(rb_hwy INTERFACE)
target_include_directories(rb_hwy SYSTEM INTERFACE ${RB_HWY_INCLUDE})
target_link_libraries(rb_hwy INTERFACE ${RB_HWY_LIBRARY})
# 128-bit x86 targets are left out: scalar, AVX2 and AVX-512 are built, tested and dispatched at run time. The sanitizer
# presets leave out one more each, which halves their long compilation.
set(RB_DISABLED_VECTOR_TARGETS "HWY_SSSE3|HWY_SSE4" CACHE STRING "Highway targets that are not compiled")
target_compile_definitions(rb_hwy INTERFACE "HWY_DISABLED_TARGETS=(${RB_DISABLED_VECTOR_TARGETS})")

add_library(rb_hdf5 INTERFACE)
target_include_directories(rb_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(rb_hdf5 INTERFACE ${HDF5_C_LIBRARIES})
