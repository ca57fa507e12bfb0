#include "backend/cuda/replay.h"

#include <algorithm>

namespace weft::cuda {

Replays::Replays() { check(driver().cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "making a queue"); }

Replays::~Replays() {
  forget();
  driver().cuStreamDestroy(stream_);
}

void Replays::forget() {
  for (const auto& r : replays_)
    if (r.graph) driver().cuGraphExecDestroy(r.graph);
  replays_.clear();
}

Replays::Replay* Replays::look_up(std::span<void* const> key, int repeats) {
  const auto found = std::ranges::find_if(replays_, [&](const Replay& r) { return r.repeats == repeats && std::ranges::equal(r.key, key); });
  if (found != replays_.end()) {
    std::rotate(found, found + 1, replays_.end());
    return &replays_.back();
  }
  if (replays_.size() == most) {
    if (replays_.front().graph) check(driver().cuGraphExecDestroy(replays_.front().graph), "forgetting a graph");
    replays_.erase(replays_.begin());
  }
  replays_.push_back({{key.begin(), key.end()}, repeats});
  return nullptr;
}

Replays::Capture::Capture(CUstream stream) : stream(stream) {
  check(driver().cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED), "recording a run");
}

Replays::Capture::~Capture() {
  if (is_over) return;
  CUgraph graph = nullptr;
  driver().cuStreamEndCapture(stream, &graph);
  if (graph) driver().cuGraphDestroy(graph);
}

CUgraphExec Replays::Capture::end() const {
  CUgraph graph = nullptr;
  is_over = true;
  check(driver().cuStreamEndCapture(stream, &graph), "recording a run");
  CUgraphExec exec = nullptr;
  const CUresult result = driver().cuGraphInstantiateWithFlags(&exec, graph, 0);
  driver().cuGraphDestroy(graph);
  check(result, "making a graph of a run");
  return exec;
}

}  // namespace weft::cuda
