#include "backend/cuda/staging.h"

#include <weft/error.h>

#include <algorithm>
#include <cstring>

namespace weft::cuda {
namespace {

constexpr std::size_t alignment = 256;
/// Bytes from which an array is copied by itself: the host need not have copied all of it before the first of it moves.
constexpr std::int64_t large_from = std::int64_t{1} << 20;

std::size_t aligned(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

std::shared_ptr<std::byte> pinned(std::size_t bytes) {
  auto memory = allocate_pinned(bytes);
  if (!memory) throw RunError("out of memory: " + std::to_string(bytes) + " bytes of pinned host memory are wanted for feeds and results");
  return memory;
}

}  // namespace

Staging::Staging(Gpu& gpu, const Program& program, bool takes_run_index, std::size_t faults)
    : gpu_(gpu), takes_run_index_(takes_run_index), faults_(faults) {
  for (const auto& f : program.feeds) feeds_.push_back({program.graph[f.node].types[0].byte_count()});
  for (auto t : program.targets) targets_.push_back({program.graph.type(t).byte_count()});
  gpu_.make_current();
  if (faults > 0) reports_ = std::reinterpret_pointer_cast<kernel::IndexFault>(pinned(faults * sizeof(kernel::IndexFault)));
  clear_faults();
  for (auto* event : {&taken_, &done_, &moved_, &turns_[0].read, &turns_[1].read})
    check(driver().cuEventCreate(event, CU_EVENT_DISABLE_TIMING), "making an event");
}

Staging::~Staging() {
  if (is_taking_) driver().cuEventSynchronize(taken_);
  if (is_busy_) driver().cuEventSynchronize(done_);
  for (const auto& turn : turns_)
    if (turn.is_busy) driver().cuEventSynchronize(turn.read);
  for (auto event : {taken_, done_, moved_, turns_[0].read, turns_[1].read}) driver().cuEventDestroy(event);
}

bool Staging::take_devices(std::vector<Staged>& list, std::span<const Device> devices) {
  bool changes = false;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const bool is_on_host = devices[i].is_cpu();
    changes |= is_on_host != list[i].is_on_host;
    list[i].is_on_host = is_on_host;
    list[i].is_large = list[i].bytes >= large_from;
  }
  return changes;
}

std::pair<std::size_t, std::size_t> Staging::arrange(std::vector<Staged>& list, std::size_t first) {
  std::size_t end = first, small_end = first;
  for (const bool large : {false, true}) {
    for (auto& s : list) {
      if (!s.is_on_host || s.is_large != large) continue;
      s.offset = aligned(end);
      end = s.offset + static_cast<std::size_t>(s.bytes);
    }
    if (!large) small_end = end;
  }
  return {small_end, end};
}

bool Staging::prepare(const RunArrays& arrays) {
  const bool feeds_change = take_devices(feeds_, arrays.feed_devices), targets_change = take_devices(targets_, arrays.target_devices);
  const bool steps_change = takes_run_index_ && arrays.steps > steps_;
  if (is_prepared_ && !feeds_change && !targets_change && !steps_change) return false;
  steps_ = std::max(steps_, arrays.steps);
  is_prepared_ = false;  // unless there is memory for it
  wait_for_feeds(true);
  for (auto& turn : turns_) wait_for_turn(turn);
  const auto [in_small, in_all] = arrange(feeds_, takes_run_index_ ? turn_bytes() : 0);
  const auto [out_small, out_all] = arrange(targets_, 0);
  in_ = gpu_.allocate(in_all, "feeds");
  out_ = gpu_.allocate(out_all, "results");
  in_bytes_ = takes_run_index_ && in_small == turn_bytes() ? 0 : in_small;
  host_in_ = pinned(has_turns() ? 2 * turn_bytes() : in_bytes_);
  host_out_ = pinned(out_bytes_ = out_small);
  has_large_feeds_ = in_all > in_small;
  has_large_targets_ = out_all > out_small;
  // The memory may still be another's in the GPU's queue.
  if (has_large_feeds_) let_wait(gpu_.uploads().stream(), gpu_.stream());
  is_prepared_ = true;
  gpu_.clear(out_.get(), out_small);  // the gaps between results are copied too
  return true;
}

void Staging::clear_faults() { std::fill_n(reports_.get(), faults_, kernel::IndexFault()); }

void Staging::wait_for_feeds(bool for_all) {
  if (is_taking_) check(driver().cuEventSynchronize(taken_), "waiting for feeds");
  is_taking_ = false;
  if (!for_all || !is_busy_) return;
  check(driver().cuEventSynchronize(done_), "waiting for feeds");
  is_busy_ = false;
}

void Staging::wait_for_turn(Turn& turn) {
  if (turn.is_busy) check(driver().cuEventSynchronize(turn.read), "waiting for a run");
  turn.is_busy = false;
}

void Staging::take_turn() {
  if (!has_turns()) return;
  turn_ = 1 - turn_;
  wait_for_turn(turns_[turn_]);
}

void Staging::take_feeds(const RunArrays& arrays) {
  // Large feeds are where the run before may still read them.
  wait_for_feeds(has_large_feeds_);
  std::byte* const numbers = has_turns() ? run_index(0) : host_in_.get();
  for (int step = 0; takes_run_index_ && step < arrays.steps; ++step) {
    const std::uint64_t index = arrays.run_index + static_cast<std::uint64_t>(step);
    std::memcpy(numbers + static_cast<std::size_t>(step) * sizeof index, &index, sizeof index);
  }
  for (std::size_t i = 0; i < feeds_.size(); ++i) {
    const Staged& s = feeds_[i];
    if (!s.is_on_host || s.bytes == 0) continue;
    const auto bytes = static_cast<std::size_t>(s.bytes);
    if (!s.is_large) std::memcpy(host_in_.get() + s.offset, arrays.feeds[i], bytes);
    else gpu_.uploads().up(feed(i), arrays.feeds[i], bytes);
  }
  if (has_large_feeds_) let_wait(gpu_.stream(), gpu_.uploads().stream());
}

void Staging::let_wait(CUstream stream, CUstream for_other) const {
  check(driver().cuEventRecord(moved_, for_other), "copying feeds");
  check(driver().cuStreamWaitEvent(stream, moved_, 0), "copying feeds");
}

void Staging::enqueue_in(CUstream stream) {
  if (in_bytes_ == 0) return;
  check(driver().cuMemcpyHtoDAsync(reinterpret_cast<CUdeviceptr>(in_.get()), host_in_.get(), in_bytes_, stream), "copying feeds");
  CUstreamCaptureStatus status{};
  check(driver().cuStreamIsCapturing(stream, &status), "copying feeds");
  const bool is_captured = status != CU_STREAM_CAPTURE_STATUS_NONE;
  check(driver().cuEventRecordWithFlags(taken_, stream, is_captured ? CU_EVENT_RECORD_EXTERNAL : CU_EVENT_RECORD_DEFAULT), "copying feeds");
}

void Staging::enqueue_out(CUstream stream) const {
  if (out_bytes_ > 0)
    check(driver().cuMemcpyDtoHAsync(host_out_.get(), reinterpret_cast<CUdeviceptr>(out_.get()), out_bytes_, stream), "copying results");
}

std::span<const kernel::IndexFault> Staging::wait(const RunArrays& arrays) {
  leave(true);
  finish(arrays.targets);
  return {reports_.get(), faults_};
}

void Staging::give_results(std::span<std::byte* const> targets) const {
  for (std::size_t i = 0; i < targets_.size(); ++i)
    if (const Staged& s = targets_[i]; s.is_on_host && !s.is_large && s.bytes > 0)
      std::memcpy(targets[i], host_out_.get() + s.offset, static_cast<std::size_t>(s.bytes));
}

void Staging::leave(bool is_finished_later) {
  is_taking_ = in_bytes_ > 0;
  if (has_turns()) {
    check(driver().cuEventRecord(turns_[turn_].read, gpu_.stream()), "marking the end of a run");
    turns_[turn_].is_busy = true;
  }
  if (!has_large_feeds_ && !is_finished_later) return;
  check(driver().cuEventRecord(done_, gpu_.stream()), "marking the end of a run");
  is_busy_ = true;
}

void Staging::finish(std::span<std::byte* const> targets) {
  if (!is_busy_) return;
  gpu_.make_current();
  if (has_large_targets_) {
    check(driver().cuStreamWaitEvent(gpu_.downloads().stream(), done_, 0), "copying results");
    for (std::size_t i = 0; i < targets_.size(); ++i)
      if (const Staged& s = targets_[i]; s.is_on_host && s.is_large) gpu_.downloads().down(targets[i], target(i), static_cast<std::size_t>(s.bytes));
  }
  check(driver().cuEventSynchronize(done_), "waiting for a run");
  is_taking_ = is_busy_ = false;
  give_results(targets);
}

}  // namespace weft::cuda
