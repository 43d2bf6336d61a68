// residualbind sweep: many models over many processes. `plan` names them, `run` trains a share of them, `status` and
// `merge` look at what all shares have left, `slurm` prints the script that runs them as a job array.
#include "apps/command.h"
#include "apps/sweep/commands.h"

namespace rb::apps {

Action DefineSweep(CLI::App& app, const Invocation& invocation) {
  Subcommands subcommands(app);
  const auto add = [&](const char* name, const char* summary, Action (*define)(CLI::App&, const Invocation&)) {
    subcommands.Add(name, summary, [&](CLI::App& one) { return define(one, invocation); });
  };
  add("plan", "name the models: experiments, replicates, settings", DefineSweepPlan);
  add("run", "train a share of them; what is finished is not trained again", DefineSweepRun);
  add("status", "tell how far all shares are", DefineSweepStatus);
  add("merge", "check all models, put their test metrics into one table", DefineSweepMerge);
  add("slurm", "print a script that runs the sweep as a Slurm job array", DefineSweepSlurm);
  app.footer(
      "Example:\n"
      "  residualbind sweep plan --data rnacompete --experiment all --replicates 3 --out sweep\n"
      "  residualbind sweep run --plan sweep --shard 0/2    # and 1/2 somewhere else\n"
      "  residualbind sweep status --plan sweep\n"
      "  residualbind sweep merge --plan sweep");
  return subcommands.Chosen();
}

}  // namespace rb::apps
