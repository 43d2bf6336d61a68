// The pictures' data from the tables that the other commands write (docs/cli.md has their columns).
//
// Errors: those of Table; NotFound for a model, experiment or sequence that a table does not hold, with some that it
// does; InvalidArgument where several are there and none is named.
#ifndef RB_APPS_PLOT_SOURCES_H_
#define RB_APPS_PLOT_SOURCES_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "apps/plot/pictures.h"
#include "apps/plot/table.h"

namespace rb::plot {

// The `top` strongest k-mers of scan's or gia's table; 95 % intervals by their standard errors.
absl::StatusOr<std::vector<Estimate>> LoadKmers(const std::string& path, int top);

// gia's effects.tsv. `model` may be empty when the table has one. An experiment's effects and controls; contrasts of
// two effects as comparisons, others as notes. Values over the null sequences from local.npz beside it, where it has
// them.
absl::StatusOr<EffectsData> LoadEffects(const std::string& path, const std::string& model,
                                        const std::string& experiment);
// The experiment mutate: what each mutant has more than the motif.
absl::StatusOr<MapData> LoadMutants(const std::string& path, const std::string& model);
// The experiments sites, spacing and position; the line of sites from lines.tsv beside it, where there is one.
absl::StatusOr<CurveData> LoadCurve(const std::string& path, const std::string& model, const std::string& experiment);
// The experiment gc with the ratios of ratios.tsv beside it. Of several models and none named: their differences only.
absl::StatusOr<GcData> LoadGc(const std::string& path, const std::string& model);

// The same of tables that were read once, for reports about many models; without the boxes of local.npz.
struct GiaTables {
  Table effects;
  std::optional<Table> lines, ratios;  // where there are any
};
// effects.tsv, and if asked for lines.tsv and ratios.tsv beside it.
absl::StatusOr<GiaTables> ReadGiaTables(const std::string& path, bool lines, bool ratios);
absl::StatusOr<EffectsData> EffectsOf(const GiaTables& tables, const std::string& model, const std::string& experiment);
absl::StatusOr<MapData> MutantsOf(const GiaTables& tables, const std::string& model);
absl::StatusOr<CurveData> CurveOf(const GiaTables& tables, const std::string& model, const std::string& experiment);
absl::StatusOr<GcData> GcOf(const GiaTables& tables, const std::string& model);

// One sequence of ism's table (--tsv), by its name, which may be empty when there is one. structure: a table of fold's
// with that sequence, or empty.
absl::StatusOr<MapData> LoadMap(const std::string& path, const std::string& sequence, const std::string& structure);
// One sequence of fold's table.
absl::StatusOr<FoldData> LoadFold(const std::string& path, const std::string& sequence);

// A model's history.tsv, named after its folder.
absl::StatusOr<HistoryData> LoadHistory(const std::string& path);

// Two columns of numbers, of one experiment and model where the table has such columns. motif: points whose column
// `sequence` holds these IUPAC letters are marked.
absl::StatusOr<ScatterData> LoadScatter(const std::string& path, const std::string& x, const std::string& y,
                                        const std::string& motif, const std::string& experiment = "",
                                        const std::string& model = "");

}  // namespace rb::plot

#endif  // RB_APPS_PLOT_SOURCES_H_
