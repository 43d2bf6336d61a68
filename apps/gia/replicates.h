// What replicates agree on: models that were trained on one experiment, and asked the same.
#ifndef RB_APPS_GIA_REPLICATES_H_
#define RB_APPS_GIA_REPLICATES_H_

#include <string>
#include <vector>

#include "apps/gia/tables.h"

namespace rb::apps {

// replicates.tsv: for every experiment with two models or more, each question that all of them answered with the same
// pattern (controls are each model's own), and the `top` k-mers of the strongest mean: number of models, mean, sd, 95 %
// interval, t and p over models, and the sd over null sequences (root mean square of the models'). Empty without
// replicates.
std::string ReplicatesTable(const std::vector<GiaPart>& parts, const GiaTableOptions& options);

}  // namespace rb::apps

#endif  // RB_APPS_GIA_REPLICATES_H_
