// Two machines side by side: every operator runs on the CPU and on a device, and the results are compared before either
// goes on. The first difference beyond rounding ends the run with the operator, the tensor, the model and the values.
#ifndef RB_ENGINE_CHECK_MACHINE_H_
#define RB_ENGINE_CHECK_MACHINE_H_

#include <memory>

#include "engine/backend.h"

namespace rb {

// `checked` was made with `precision`; `parallel` runs the CPU and must outlive the machine. After each operator the
// device goes on with the CPU's values, so that a difference is the operator's own.
std::unique_ptr<Machine> MakeCheckMachine(Parallel& parallel, std::unique_ptr<Machine> checked, Precision precision);

}  // namespace rb

#endif  // RB_ENGINE_CHECK_MACHINE_H_
