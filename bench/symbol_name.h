// Names of this program's own functions by their addresses, for kernels that are launched by pointer.
#ifndef RB_BENCH_SYMBOL_NAME_H_
#define RB_BENCH_SYMBOL_NAME_H_

#include <cstdint>
#include <map>
#include <string>

namespace rb::bench {

// From the symbol table of the running program; a stripped program has none, and names are addresses then.
class SymbolNames {
 public:
  SymbolNames();
  // "file: name<template arguments>", without namespaces, parameters and the file's ending; no file for functions that
  // several files share.
  std::string Of(const void* function) const;
  // The address in the program's file, as addr2line takes it.
  uintptr_t InFile(uintptr_t address) const { return address - bias_; }

 private:
  struct Symbol {
    std::string file, mangled;
  };
  uintptr_t bias_ = 0;
  std::map<uintptr_t, Symbol> symbols_;
};

}  // namespace rb::bench

#endif  // RB_BENCH_SYMBOL_NAME_H_
