// The subcommands of residualbind motif that have files of their own.
#ifndef RB_APPS_MOTIF_COMMANDS_H_
#define RB_APPS_MOTIF_COMMANDS_H_

#include "apps/command.h"

namespace rb::apps {

Action DefineMotifMatch(CLI::App& app);
Action DefineMotifLogo(CLI::App& app);  // as plot logo

}  // namespace rb::apps

#endif  // RB_APPS_MOTIF_COMMANDS_H_
