// The binary `residualbind`.
#include <string>
#include <vector>

#include "apps/command.h"

int main(int argc, char** argv) { return rb::apps::RunProgram(std::vector<std::string>(argv, argv + argc)); }
