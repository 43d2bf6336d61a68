// Run-time dispatch of a CPU operator: `Name`Impl<T> is compiled once per vector target, and Name<float> / Name<double>
// call the best one this processor has.
//
//   (inside the target's namespace)  RB_CPU_TARGET(DenseForward, DenseForwardArgs)
//   (once, under HWY_ONCE)           RB_CPU_OPERATOR(DenseForward, DenseForwardArgs)
#ifndef RB_KERNELS_DISPATCH_H_
#define RB_KERNELS_DISPATCH_H_

#define RB_CPU_TARGET(Name, Args)                                                                    \
  void Name##F32(const Args<float>& args, Parallel& parallel) { Name##Impl<float>(args, parallel); } \
  void Name##F64(const Args<double>& args, Parallel& parallel) { Name##Impl<double>(args, parallel); }

#define RB_CPU_OPERATOR(Name, Args)                                 \
  HWY_EXPORT(Name##F32);                                            \
  HWY_EXPORT(Name##F64);                                            \
  template <>                                                       \
  void Name<float>(const Args<float>& args, Parallel& parallel) {   \
    HWY_DYNAMIC_DISPATCH(Name##F32)(args, parallel);                \
  }                                                                 \
  template <>                                                       \
  void Name<double>(const Args<double>& args, Parallel& parallel) { \
    HWY_DYNAMIC_DISPATCH(Name##F64)(args, parallel);                \
  }

#endif  // RB_KERNELS_DISPATCH_H_
