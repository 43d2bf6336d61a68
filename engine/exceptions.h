// What the standard library throws, as a status: for the ends of threads and of the program.
#ifndef RB_ENGINE_EXCEPTIONS_H_
#define RB_ENGINE_EXCEPTIONS_H_

#include "absl/status/status.h"

namespace rb {

// Within a catch block: ResourceExhausted when memory ran out or no further thread could start, else Internal with the
// exception's text.
absl::Status StatusOfException();

}  // namespace rb

#endif  // RB_ENGINE_EXCEPTIONS_H_
