#include "engine/exceptions.h"

#include <exception>
#include <new>
#include <system_error>

namespace rb {

absl::Status StatusOfException() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory; expected more free memory");
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::resource_unavailable_try_again) return absl::InternalError(error.what());
    return absl::ResourceExhaustedError(
        "out of memory or threads: another thread cannot be started; expected fewer --threads, or more free memory");
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  } catch (...) {
    return absl::InternalError("an exception of no known kind");
  }
}

}  // namespace rb
