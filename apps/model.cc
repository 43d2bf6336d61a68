// residualbind model: model files, and those of other programs.
#include "apps/model/commands.h"

namespace rb::apps {

Action DefineModel(CLI::App& app, const Invocation&) {
  Subcommands subcommands(app);
  subcommands.Add("info", "print what a model file holds", DefineModelInfo);
  subcommands.Add("export", "write a model for other programs", DefineModelExport);
  subcommands.Add("import", "read weights that Keras saved, the authors' for instance", DefineModelImport);
  app.footer("Example:\n  residualbind model info models/SIM00001/model.safetensors");
  return subcommands.Chosen();
}

}  // namespace rb::apps
