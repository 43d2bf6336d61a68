// What the files that make rows share: names, groups of models, the copy that goes with a row.
#ifndef RB_BENCH_ROW_MAKER_H_
#define RB_BENCH_ROW_MAKER_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/device_row.h"
#include "engine/check.h"

namespace rb::bench {

// An operator that is no virtual of the backend, called on the machine that the benchmark runs on.
#define RB_BENCH_CALL(where, Name, args)                                                                          \
  ((where).options().emulated                                                                                     \
       ? ::rb::bench::CallStatus(::rb::emu::Name(args, {(where).machine().stream(), (where).precision()}), #Name) \
       : ::rb::bench::CallStatus(::rb::cuda::Name(args, {(where).machine().stream(), (where).precision()}), #Name))
inline absl::Status CallStatus(DeviceError error, const char* name) {
  return error ? absl::InternalError(absl::StrCat(name, ": error ", error.code)) : absl::OkStatus();
}

// dst = src on the machine's stream, `bytes` of them; buffers of their own, as many as sets are asked for.
absl::Status QueueCopy(Workbench& bench, size_t bytes, int set);

template <class A>
class RowMaker {
 public:
  using Set = OperatorSet<A>;
  struct Call {
    Workbench& bench;
    OperatorBed<A>& bed;
    const Set& s;
    Models models;
    Backend<float, A>& backend() const { return bed.backend(); }
  };
  using Queue = std::function<absl::Status(const Call&)>;

  RowMaker(const DeviceOptions& options, Precision precision, int models, std::vector<DeviceRow>& rows)
      : o(options), s(options.shape), precision_(precision), models_(models), rows_(rows) {
    tensor = OperatorBed<A>::TensorBytes(s, o.batch);
    mask = OperatorBed<A>::MaskBytes(s, o.batch);
    conv = 4.0 * s.width * s.filters * s.filters;
    embed = 4.0 * s.first_width * s.channels() * s.filters;
    flat = 4.0 * o.batch * s.flat();
    hidden = 4.0 * o.batch * s.hidden;
    dense = 4.0 * s.flat() * s.hidden;
  }

  const DeviceOptions& o;
  const Shape& s;
  double tensor, mask, conv, embed, flat, hidden, dense;  // bytes of one model's

  int models() const { return models_; }
  DeviceRow Named(const std::string& name, const std::string& who) const {
    DeviceRow row;
    row.name = absl::StrCat(name, "/", PrecisionName(precision_), "/M", models_, "/", who);
    row.precision = precision_;
    row.models = models_;
    return row;
  }
  void Push(DeviceRow row) { rows_.push_back(std::move(row)); }

  // An operator's row and, where asked for, the same bytes copied. `flops` and `bytes` are one model's.
  void Add(const std::string& name, const std::string& who, double flops, double bytes, const Queue& queue) {
    DeviceRow row = Named(name, who);
    row.flops = flops * models_;
    row.bytes = bytes * models_;
    row.rotates = bytes > 1e5;  // smaller: what a step has just written, in L2 in a real step too
    row.queue = [queue](Workbench& bench, int set) -> absl::Status {
      RB_ASSIGN_OR_RETURN(OperatorBed<A>* const bed, bench.operators<A>());
      RB_ASSIGN_OR_RETURN(const Set* const tensors, bed->set(set));
      return bench.ForGroups([&](int first, int count) {
        return queue(Call{bench, *bed, *tensors, bed->models(first, count)});
      });
    };
    Push(row);
    if (o.Peer("copy") && who == "ours" && !o.emulated) AddCopy(row);
  }

 private:
  void AddCopy(DeviceRow row) {
    row.name = row.name.substr(0, row.name.rfind('/')) + "/copy";
    row.flops = 0;
    row.queue = [half = static_cast<size_t>(row.bytes / 2)](Workbench& bench, int set) {
      return QueueCopy(bench, half, set);
    };
    Push(std::move(row));
  }

  Precision precision_;
  int models_;
  std::vector<DeviceRow>& rows_;
};

// Each appends the rows of its part of the network.
template <class A>
void AddConvolutionRows(RowMaker<A>& maker);
template <class A>
void AddOtherRows(RowMaker<A>& maker);
// Whole steps and the scorer; `step_bytes`: bytes that one model's fused operators count in a step.
void AddStepRows(const DeviceOptions& options, Precision precision, int models, double step_bytes,
                 std::vector<DeviceRow>& rows);

// Folding: one row a length, whatever the models and precisions.
void AddFoldRows(const DeviceOptions& options, std::vector<DeviceRow>& rows);

}  // namespace rb::bench

#endif  // RB_BENCH_ROW_MAKER_H_
