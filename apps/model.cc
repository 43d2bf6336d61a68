// residualbind model: model files, and those of other programs.
#include "apps/model_commands.h"

namespace rb::apps {

Action DefineModel(CLI::App& app, const Invocation&) {
  struct Choice {
    CLI::App* app;
    Action action;
  };
  std::vector<Choice> choices;
  const auto add = [&](const char* name, const char* summary, Action (*define)(CLI::App&)) {
    CLI::App* one = app.add_subcommand(name, summary);
    choices.push_back({one, define(*one)});
  };
  add("info", "print what a model file holds", DefineModelInfo);
  add("export", "write a model for other programs", DefineModelExport);
  add("import", "read weights that Keras saved, the authors' for instance", DefineModelImport);
  app.require_subcommand(1);
  app.footer("Example:\n  residualbind model info models/SIM00001/model.safetensors");
  return [choices] {
    for (const Choice& choice : choices) {
      if (choice.app->parsed()) return choice.action();
    }
    return UsageError("no subcommand; expected info, export or import");
  };
}

}  // namespace rb::apps
