// residualbind plot: pictures of what the other commands write.
#include <cmath>
#include <filesystem>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/command.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/motif/commands.h"
#include "apps/motif/files.h"
#include "apps/plot/pictures.h"
#include "apps/plot/render.h"
#include "apps/plot/sources.h"
#include "apps/predict/metrics_table.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

using plot::Drawing;

struct Flags {
  CommonFlags common;
  std::vector<std::string> inputs, names;
  std::string out, colours = "rna", heights = "norm", model, experiment, sequence, structure, motif, against;
  std::string x = "measured", y = "predicted", column = "pearson";
  plot::Style style;
  int top = 20;
  double dpi = 144;
};

// Which flags a kind of picture has beside those of all.
enum KindFlag : unsigned {
  kModel = 1,
  kSequence = 2,
  kStructure = 4,
  kHeights = 8,
  kTop = 16,
  kColumns = 32,
  kSeveral = 64
};

using Maker = absl::StatusOr<Drawing> (*)(const Flags&, plot::Style);

std::string FirstOf(const std::string& a, const std::string& b) { return a.empty() ? b : a; }

std::string StemOf(const std::string& path) { return std::filesystem::path(path).stem().string(); }

absl::StatusOr<Drawing> Logo(const Flags& flags, plot::Style style) {
  RB_ASSIGN_OR_RETURN(const MotifRecord motif, ReadOneMotif(flags.inputs[0]));
  style.title = FirstOf(style.title, motif.pwm.name);
  return DrawLogo(plot::InformationLogo(motif.pwm), style);
}

absl::StatusOr<Drawing> Map(const Flags& flags, plot::Style style) {
  RB_ASSIGN_OR_RETURN(plot::MapData data, plot::LoadMap(flags.inputs[0], flags.sequence, flags.structure));
  data.contributions = flags.heights == "signed";
  style.title = FirstOf(style.title, flags.sequence);
  return DrawMap(data, style);
}

absl::StatusOr<Drawing> Mutants(const Flags& flags, plot::Style style) {
  RB_ASSIGN_OR_RETURN(plot::MapData data, plot::LoadMutants(flags.inputs[0], flags.model));
  data.contributions = flags.heights == "signed";
  style.title = FirstOf(style.title, flags.model);
  return DrawMap(data, style);
}

absl::StatusOr<Drawing> Fold(const Flags& flags, plot::Style style) {
  RB_ASSIGN_OR_RETURN(const plot::FoldData data, plot::LoadFold(flags.inputs[0], flags.sequence));
  style.title = FirstOf(style.title, flags.sequence);
  return DrawFold(data, style);
}

absl::StatusOr<Drawing> Kmers(const Flags& flags, plot::Style style) {
  RB_ASSIGN_OR_RETURN(const auto kmers, plot::LoadKmers(flags.inputs[0], flags.top));
  style.title = FirstOf(style.title, StemOf(flags.inputs[0]));
  return DrawKmers(kmers, style);
}

absl::StatusOr<Drawing> Effects(const Flags& flags, plot::Style style) {
  RB_ASSIGN_OR_RETURN(const auto data, plot::LoadEffects(flags.inputs[0], flags.model, flags.experiment));
  style.title = FirstOf(style.title, absl::StrCat(flags.model, flags.model.empty() ? "" : ", ", flags.experiment));
  return DrawEffects(data, style);
}

template <const char* const& experiment>
absl::StatusOr<Drawing> Curve(const Flags& flags, plot::Style style) {
  RB_ASSIGN_OR_RETURN(const auto data, plot::LoadCurve(flags.inputs[0], flags.model, experiment));
  style.title = FirstOf(style.title, flags.model);
  return DrawCurve(data, style);
}
constexpr const char *kSites = "sites", *kSpacing = "spacing", *kPosition = "position";

absl::StatusOr<Drawing> Gc(const Flags& flags, plot::Style style) {
  RB_ASSIGN_OR_RETURN(const auto data, plot::LoadGc(flags.inputs[0], flags.model));
  style.title = FirstOf(style.title, flags.model);
  return DrawGc(data, style);
}

absl::StatusOr<Drawing> History(const Flags& flags, plot::Style style) {
  std::vector<plot::HistoryData> models;
  for (size_t i = 0; i < flags.inputs.size(); ++i) {
    RB_ASSIGN_OR_RETURN(models.emplace_back(), plot::LoadHistory(flags.inputs[i]));
    if (i < flags.names.size()) models.back().name = flags.names[i];
    if (models.back().metric != models[0].metric) {
      return absl::InvalidArgumentError(absl::StrCat(flags.inputs[i], ": has validation ", models.back().metric,
                                                     " where ", flags.inputs[0], " has ", models[0].metric,
                                                     "; expected one task"));
    }
  }
  if (models.size() == 1) style.title = FirstOf(style.title, models[0].name);
  return DrawHistory(models, style);
}

absl::StatusOr<Drawing> Scatter(const Flags& flags, plot::Style style) {
  RB_ASSIGN_OR_RETURN(const auto data,
                      plot::LoadScatter(flags.inputs[0], flags.x, flags.y, flags.motif, flags.experiment, flags.model));
  style.title = FirstOf(style.title, flags.experiment);
  return DrawScatter(data, style);
}

// A table's column behind FILE or FILE:COLUMN. A file that exists is taken as a whole, whatever colons its name has.
struct TableColumn {
  TableColumn(const std::string& argument, const std::string& standard) {
    std::error_code error;
    const size_t colon = argument.rfind(':');
    const bool whole = colon == std::string::npos || std::filesystem::exists(argument, error);
    path = whole ? argument : argument.substr(0, colon);
    column = whole ? standard : argument.substr(colon + 1);
  }
  std::string path, column;
};

struct Columns {
  std::vector<plot::NamedValues> values;
  std::string metric;  // of all, "pearson, spearman" where they differ
};

// Tables are told apart by the names of their files, or else of their folders; columns of one table by their own.
absl::StatusOr<Columns> ReadColumns(const Flags& flags) {
  std::vector<TableColumn> all;
  std::set<std::string> paths, stems, metrics;
  for (const std::string& input : flags.inputs) {
    const TableColumn& one = all.emplace_back(input, flags.column);
    paths.insert(one.path), stems.insert(StemOf(one.path)), metrics.insert(one.column);
  }
  Columns columns;
  columns.metric = absl::StrJoin(metrics, ", ");
  for (size_t i = 0; i < all.size(); ++i) {
    const auto& [path, column] = all[i];
    plot::NamedValues& values = columns.values.emplace_back();
    if (paths.size() > 1 || metrics.size() == 1) {
      const std::string folder = std::filesystem::path(path).parent_path().filename().string();
      values.name = stems.size() == paths.size() || folder.empty() ? StemOf(path) : folder;
    }
    if (metrics.size() > 1) absl::StrAppend(&values.name, values.name.empty() ? "" : " ", column);
    if (i < flags.names.size()) values.name = flags.names[i];
    RB_ASSIGN_OR_RETURN(values.values, ReadMetricsColumn(path, column));
  }
  return columns;
}

absl::StatusOr<Drawing> Experiments(const Flags& flags, plot::Style style) {
  RB_ASSIGN_OR_RETURN(const Columns columns, ReadColumns(flags));
  return DrawExperiments(columns.values, columns.metric, style);
}

absl::StatusOr<Drawing> Compare(const Flags& flags, plot::Style style) {
  if (flags.inputs.size() != 2) {
    return UsageError(absl::StrCat("--input: ", flags.inputs.size(), " tables; expected two, ours and the other one"));
  }
  RB_ASSIGN_OR_RETURN(const Columns columns, ReadColumns(flags));
  return DrawCompare(columns.values[0], columns.values[1], columns.metric, style);
}

struct Kind {
  const char *name, *summary, *input;
  unsigned flags;
  Maker make;
};

constexpr Kind kKinds[] = {
    {"logo", "a motif's logo in bits", "a motif file, or FILE:NAME", 0, Logo},
    {"ism", "a sequence's logo over the map of its substitutions or gradients", "ism's table (--tsv)",
     kSequence | kStructure | kHeights, Map},
    {"mutate", "the motif's mutants, as a logo over a map", "gia's effects.tsv", kModel | kHeights, Mutants},
    {"kmers", "the strongest k-mers", "the table of scan, or gia's kmers/MODEL.tsv", kTop, Kmers},
    {"effects", "an experiment's effects with intervals and tests", "gia's effects.tsv", kModel, Effects},
    {"sites", "effect over the number of sites, with its line", "gia's effects.tsv; lines.tsv beside it", kModel,
     Curve<kSites>},
    {"spacing", "effect over the distance of two sites", "gia's effects.tsv", kModel, Curve<kSpacing>},
    {"position", "effect over the motif's position", "gia's effects.tsv", kModel, Curve<kPosition>},
    {"gc", "GC content beside the motif: one model's effects, all models' effect sizes",
     "gia's effects.tsv; ratios.tsv beside it", kModel, Gc},
    {"fold", "a sequence's structure profile", "fold's table", kSequence, Fold},
    {"history", "learning curves of one model or several", "history.tsv of each", kSeveral, History},
    {"scatter", "two columns of a table against each other", "a table, as evaluate --predictions writes it",
     kColumns | kModel, Scatter},
    {"experiments", "metrics of many experiments, side by side for several tables",
     "metrics.tsv, or FILE:COLUMN, of each", kSeveral, Experiments},
    {"compare", "two tables of metrics, experiment by experiment", "ours and the other: metrics.tsv or FILE:COLUMN",
     kSeveral, Compare},
};

void AddKindFlags(CLI::App& app, const Kind& kind, Flags& flags) {
  app.add_option("--input", flags.inputs, kind.input)
      ->required()
      ->expected(1, (kind.flags & kSeveral) != 0 ? 1000 : 1)
      ->type_name((kind.flags & kSeveral) != 0 ? "FILE.." : "FILE");
  app.add_option("--out", flags.out, "picture to write: .svg, .png or .pdf")->required()->type_name("FILE");
  app.add_option("--title", flags.style.title, "what stands above it")->type_name("TEXT");
  if ((kind.flags & kModel) != 0) {
    app.add_option("--model", flags.model, "which model of the table, where it has several")->type_name("NAME");
  }
  if (kind.make == Effects || kind.make == Scatter) {
    app.add_option("--experiment", flags.experiment,
                   kind.make == Effects ? "which experiment: hairpin, pair, custom, position, .."
                                        : "which experiment of the table, where it has several")
        ->required(kind.make == Effects)
        ->type_name("NAME");
  }
  if ((kind.flags & kSequence) != 0) {
    app.add_option("--sequence", flags.sequence, "which sequence, where there are several")->type_name("NAME");
  }
  if ((kind.flags & kStructure) != 0) {
    app.add_option("--structure", flags.structure, "fold's table: the sequence's profile below")->type_name("FILE");
  }
  if ((kind.flags & kHeights) != 0) {
    app.add_option("--heights", flags.heights,
                   "norm: the L2 norm of a position's effects; signed: the letter's gradient, or minus the mean effect "
                   "of its substitutions")
        ->check(CLI::IsMember({"norm", "signed"}))
        ->type_name("NAME")
        ->capture_default_str();
  }
  if ((kind.flags & kTop) != 0) {
    app.add_option("--top", flags.top, "how many")->check(CLI::Range(1, 200))->type_name("N")->capture_default_str();
  }
  if ((kind.flags & kColumns) != 0) {
    app.add_option("--x", flags.x, "column to the right")->type_name("NAME")->capture_default_str();
    app.add_option("--y", flags.y, "column upwards")->type_name("NAME")->capture_default_str();
    app.add_option("--motif", flags.motif, "colour the rows whose column sequence has these IUPAC letters")
        ->type_name("LETTERS");
  }
  if ((kind.flags & kSeveral) != 0) {
    app.add_option("--names", flags.names, "what the inputs are called: NAME[,NAME..]")
        ->delimiter(',')
        ->type_name("NAME");
  }
  if (kind.make == Experiments || kind.make == Compare) {
    app.add_option("--column", flags.column, "the metric, of inputs without :COLUMN")
        ->type_name("NAME")
        ->capture_default_str();
  }
  app.add_option("--colours", flags.colours, "of letters: the usual ones, or ones that the colour-blind can tell")
      ->check(CLI::IsMember({"rna", "colourblind"}))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--dpi", flags.dpi, "dots an inch of a PNG")
      ->check(CLI::Range(10.0, 1200.0))
      ->type_name("N")
      ->capture_default_str();
  AddCommonFlags(app, flags.common, kAlphabetFlag | kOverwriteFlag);
}

absl::Status Run(const Kind& kind, const Flags& flags) {
  if (const auto format = plot::FormatOf(flags.out); !format.ok()) {
    return UsageError(absl::StrCat("--out ", std::string(format.status().message())));
  }
  RB_RETURN_IF_ERROR(RefuseExisting({flags.out}, flags.common.overwrite));
  RB_RETURN_IF_ERROR(CheckWritable(ParentFolder(flags.out)));
  plot::Style style = flags.style;
  style.dna = flags.common.dna();
  style.colour_blind = flags.colours == "colourblind";
  const absl::StatusOr<Drawing> drawing = kind.make(flags, style);
  if (!drawing.ok()) {
    const std::string message(drawing.status().message());
    if (message.rfind("nothing to draw", 0) != 0) return drawing.status();
    return absl::InvalidArgumentError(absl::StrCat(flags.inputs[0], ": ", message));
  }
  RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(flags.out)));
  return plot::WriteDrawing(*drawing, flags.out, {flags.dpi / 72});
}

Action DefineKind(CLI::App& app, const Kind& kind) {
  auto flags = std::make_shared<Flags>();
  AddKindFlags(app, kind, *flags);
  return [flags, &kind] { return Run(kind, *flags); };
}

}  // namespace

Action DefineMotifLogo(CLI::App& app) { return DefineKind(app, kKinds[0]); }

Action DefinePlot(CLI::App& app, const Invocation&) {
  Subcommands kinds(app);
  for (const Kind& kind : kKinds) {
    kinds.Add(kind.name, kind.summary, [&kind](CLI::App& one) { return DefineKind(one, kind); });
  }
  app.footer("Example:\n  residualbind plot logo --input motif.meme --out motif.svg");
  return kinds.Chosen();
}

}  // namespace rb::apps
