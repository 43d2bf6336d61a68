// The pictures' data from the tables that the other commands write (docs/cli.md has their columns).
//
// Errors: those of Table; NotFound for a model, experiment or sequence that a table does not hold, with some that it
// does; InvalidArgument where several are there and none is named.
#ifndef RB_APPS_PLOT_SOURCES_H_
#define RB_APPS_PLOT_SOURCES_H_

#include <string>

#include "absl/status/statusor.h"
#include "apps/plot/pictures.h"

namespace rb::plot {

// The strongest k-mers of scan's or gia's table, which has them in order; 95 % intervals by their standard errors.
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
