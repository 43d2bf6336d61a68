// A position weight matrix.
#ifndef RB_GIA_PWM_H_
#define RB_GIA_PWM_H_

#include <array>
#include <string>
#include <vector>

namespace rb {

struct Pwm {
  std::string name;
  std::vector<std::array<double, 4>> columns;  // probabilities of A, C, G, U at each position
};

}  // namespace rb

#endif  // RB_GIA_PWM_H_
