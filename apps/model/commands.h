// The subcommands of `model`.
#ifndef RB_APPS_MODEL_COMMANDS_H_
#define RB_APPS_MODEL_COMMANDS_H_

#include "apps/command.h"

namespace rb::apps {

Action DefineModelInfo(CLI::App& app);
Action DefineModelExport(CLI::App& app);
Action DefineModelImport(CLI::App& app);

}  // namespace rb::apps

#endif  // RB_APPS_MODEL_COMMANDS_H_
