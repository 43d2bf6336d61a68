// cuDNN on the shapes of device_bench, with the same flags, timer and JSON: convolutions forward, backward (data and
// filter together as our operator does it, and each alone), and a whole training step of unfused calls. Batch norm,
// ReLU, dropout and sums, which our operators carry, are not in the convolutions' rows.
#include <regex>

#include "bench/cudnn_convolution.h"
#include "bench/cudnn_step.h"
#include "bench/device_runner.h"
#include "engine/check.h"
#include "model/flops.h"

namespace rb::bench {
namespace {

struct Work {
  std::string name, who;
  int in, width, dilation;
  std::vector<Pass> passes;
};

DeviceRow ConvolutionRow(const DeviceOptions& o, Precision precision, int models, const Work& work) {
  const Shape& s = o.shape;
  DeviceRow row;
  row.name = absl::StrCat(work.name, "/", PrecisionName(precision), "/M", models, "/", work.who);
  row.precision = precision;
  row.models = models;
  const CudnnConvolution::Layer layer = {models, o.batch, s.length, work.in, s.filters, work.width, work.dilation};
  const double size = precision == Precision::kBf16 ? 2 : 4;
  const double products = 2.0 * models * o.batch * RowTaps(s.length, work.width, work.dilation) * work.in * s.filters;
  row.flops = products * static_cast<double>(work.passes.size());
  row.bytes = size * static_cast<double>(work.passes.size() * (layer.inputs() + layer.outputs() + layer.weights()));
  row.rotates = true;
  row.queue = [layer, passes = work.passes](Workbench& bench, int set) -> absl::Status {
    RB_ASSIGN_OR_RETURN(CudnnPeer* const peer, CudnnPeer::Of(bench));
    for (const Pass pass : passes) RB_RETURN_IF_ERROR(peer->Run(layer, pass, set));
    return absl::OkStatus();
  };
  row.note = [layer, passes = work.passes](Workbench& bench) -> std::string {
    std::string note;
    const auto peer = CudnnPeer::Of(bench);
    for (const Pass pass : passes) {
      if (peer.ok()) absl::StrAppend(&note, note.empty() ? "" : "; ", (*peer)->Describe(layer, pass));
    }
    return note;
  };
  return row;
}

std::vector<DeviceRow> CudnnRows(const DeviceOptions& options) {
  const Shape& s = options.shape;
  std::vector<Work> works = {
      {"EmbedConvForward", "cudnn", s.channels(), s.first_width, 1, {Pass::kForward}},
      {"EmbedConvBackward", "cudnn", s.channels(), s.first_width, 1, {Pass::kBackwardFilter}},
  };
  for (int i = 0; i < s.residual_layers; ++i) {
    const int d = s.dilations[i];
    const std::string tail = absl::StrCat("/d", d);
    works.push_back({"DilatedConvForward" + tail, "cudnn", s.filters, s.width, d, {Pass::kForward}});
    works.push_back(
        {"DilatedConvBackward" + tail, "cudnn", s.filters, s.width, d, {Pass::kBackwardData, Pass::kBackwardFilter}});
    works.push_back({"DilatedConvBackward" + tail, "cudnn_dx", s.filters, s.width, d, {Pass::kBackwardData}});
    works.push_back({"DilatedConvBackward" + tail, "cudnn_dw", s.filters, s.width, d, {Pass::kBackwardFilter}});
  }
  const std::regex wanted(options.operators);
  std::vector<DeviceRow> rows;
  for (const std::string& name : options.precisions) {
    for (const int models : options.models) {
      for (const Work& work : works) rows.push_back(ConvolutionRow(options, PrecisionOf(name), models, work));
      rows.push_back(UnfusedStepRow(options, PrecisionOf(name), models));
    }
  }
  std::erase_if(rows, [&](const DeviceRow& row) { return !std::regex_search(row.name, wanted); });
  return rows;
}

}  // namespace
}  // namespace rb::bench

int main(int argc, char** argv) { return rb::bench::RunDeviceBench(argc, argv, rb::bench::CudnnRows); }
