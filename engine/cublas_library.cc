#include "engine/cublas_library.h"

#include <dlfcn.h>

namespace rb {
namespace {

// Names as the header's macros leave them: cublasCreate is cublasCreate_v2 in the library.
#define RB_TEXT(name) #name
#define RB_EXPANDED_TEXT(name) RB_TEXT(name)

struct Loaded {
  CublasLibrary library;
  bool complete = false;
  std::string error;

  Loaded() {
    const std::string name = "libcublas.so." + std::to_string(CUBLAS_VER_MAJOR);
    void* const handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);  // stays for the program's life
    if (handle == nullptr) {
      const char* const text = dlerror();
      error = text == nullptr ? name + " cannot be loaded" : text;
      return;
    }
    complete = Find(handle, RB_EXPANDED_TEXT(cublasCreate), library.create) &&
               Find(handle, RB_EXPANDED_TEXT(cublasDestroy), library.destroy) &&
               Find(handle, RB_EXPANDED_TEXT(cublasSetStream), library.set_stream) &&
               Find(handle, RB_EXPANDED_TEXT(cublasSetWorkspace), library.set_workspace) &&
               Find(handle, RB_EXPANDED_TEXT(cublasGemmBatchedEx), library.gemm_batched) &&
               Find(handle, RB_EXPANDED_TEXT(cublasGetStatusString), library.status_string);
  }

  template <class Function>
  bool Find(void* handle, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(handle, name));
    if (function == nullptr) error = std::string("the library of cuBLAS lacks ") + name;
    return function != nullptr;
  }
};

}  // namespace

const CublasLibrary* CublasLibrary::Load(std::string* error) {
  static const Loaded loaded;
  *error = loaded.error;
  return loaded.complete ? &loaded.library : nullptr;
}

}  // namespace rb
