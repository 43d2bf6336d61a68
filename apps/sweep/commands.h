// The subcommands of residualbind sweep.
#ifndef RB_APPS_SWEEP_COMMANDS_H_
#define RB_APPS_SWEEP_COMMANDS_H_

#include "apps/command.h"

namespace rb::apps {

Action DefineSweepPlan(CLI::App& app, const Invocation& invocation);
Action DefineSweepRun(CLI::App& app, const Invocation& invocation);
Action DefineSweepStatus(CLI::App& app, const Invocation& invocation);
Action DefineSweepMerge(CLI::App& app, const Invocation& invocation);
Action DefineSweepSlurm(CLI::App& app, const Invocation& invocation);

}  // namespace rb::apps

#endif  // RB_APPS_SWEEP_COMMANDS_H_
