#include "bench/symbol_name.h"

#include <cxxabi.h>
#include <elf.h>
#include <link.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <vector>

namespace rb::bench {
namespace {

// Where the program itself is loaded: the first object of the list.
uintptr_t LoadBias() {
  uintptr_t bias = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        *static_cast<uintptr_t*>(out) = info->dlpi_addr;
        return 1;
      },
      &bias);
  return bias;
}

std::string Demangled(const std::string& mangled) {
  int status = 0;
  char* const text = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status);
  if (!text) return mangled;
  const std::string result = text;
  std::free(text);
  return result;
}

}  // namespace

// Local symbols follow the symbol of their file.
SymbolNames::SymbolNames() {
  std::ifstream in("/proc/self/exe", std::ios::binary);
  const std::vector<char> program{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (program.size() < sizeof(Elf64_Ehdr)) return;
  const auto* const header = reinterpret_cast<const Elf64_Ehdr*>(program.data());
  const auto* const sections = reinterpret_cast<const Elf64_Shdr*>(program.data() + header->e_shoff);
  bias_ = LoadBias();
  for (int i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const auto* const table = reinterpret_cast<const Elf64_Sym*>(program.data() + sections[i].sh_offset);
    const char* const text = program.data() + sections[sections[i].sh_link].sh_offset;
    const size_t first_global = sections[i].sh_info;  // these are of no file
    std::string file;
    for (size_t s = 0; s < sections[i].sh_size / sizeof(Elf64_Sym); ++s) {
      const char* const name = text + table[s].st_name;
      if (s == first_global) file.clear();
      if (ELF64_ST_TYPE(table[s].st_info) == STT_FILE) file = name;
      if (ELF64_ST_TYPE(table[s].st_info) == STT_FUNC) symbols_[bias_ + table[s].st_value] = {file, name};
    }
  }
}

std::string SymbolNames::Of(const void* function) const {
  const auto found = symbols_.find(reinterpret_cast<uintptr_t>(function));
  if (found == symbols_.end()) {
    char text[32];
    std::snprintf(text, sizeof text, "%p", function);
    return text;
  }
  std::string name = Demangled(found->second.mangled);
  name = std::regex_replace(name, std::regex(R"(\(anonymous namespace\)::)"), "");
  name = std::regex_replace(name, std::regex(R"(\((\w+::)*Precision\)0)"), "fp32");
  name = std::regex_replace(name, std::regex(R"(\((\w+::)*Precision\)1)"), "tf32");
  name = std::regex_replace(name, std::regex(R"(\((\w+::)*Precision\)2)"), "bf16");
  name = std::regex_replace(name, std::regex(R"((\w+::)+)"), "");
  name = name.substr(0, name.find('('));
  if (const size_t space = name.substr(0, name.find('<')).rfind(' '); space != std::string::npos) {
    name = name.substr(space + 1);  // a template's result
  }
  const std::string& file = found->second.file;
  return file.empty() ? name : file.substr(0, file.find('.')) + ": " + name;
}

}  // namespace rb::bench
