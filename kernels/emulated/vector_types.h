// CUDA's vector types, for machines without its headers: the members, sizes and alignments of vector_types.h.
#ifndef RB_KERNELS_EMULATED_VECTOR_TYPES_H_
#define RB_KERNELS_EMULATED_VECTOR_TYPES_H_

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_size = 1, unsigned y_size = 1, unsigned z_size = 1) : x(x_size), y(y_size), z(z_size) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};

#define RB_EMULATED_VECTORS(type, name, align)                        \
  struct alignas(2 * (align)) name##2 {                               \
    type x, y;                                                        \
  };                                                                  \
  struct alignas(4 * (align)) name##4 {                               \
    type x, y, z, w;                                                  \
  };                                                                  \
  constexpr name##2 make_##name##2(type x, type y) { return {x, y}; } \
  constexpr name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

RB_EMULATED_VECTORS(float, float, 4)
RB_EMULATED_VECTORS(int, int, 4)
RB_EMULATED_VECTORS(unsigned, uint, 4)
RB_EMULATED_VECTORS(short, short, 2)
RB_EMULATED_VECTORS(unsigned short, ushort, 2)
RB_EMULATED_VECTORS(signed char, char, 1)
RB_EMULATED_VECTORS(unsigned char, uchar, 1)
#undef RB_EMULATED_VECTORS

struct float3 {
  float x, y, z;
};
struct int3 {
  int x, y, z;
};
struct alignas(16) double2 {
  double x, y;
};
constexpr float3 make_float3(float x, float y, float z) { return {x, y, z}; }
constexpr int3 make_int3(int x, int y, int z) { return {x, y, z}; }
constexpr uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
constexpr double2 make_double2(double x, double y) { return {x, y}; }

#endif  // RB_KERNELS_EMULATED_VECTOR_TYPES_H_
