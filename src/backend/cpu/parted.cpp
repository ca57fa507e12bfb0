#include "backend/cpu/parted.h"

#include "stitch/epilogue.h"

#include <omp.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <numeric>

namespace weft::cpu {
namespace {

std::int64_t ceil_divided(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Iterations of the vector loop, of `extent`, in a tile, so that every part is whole tiles; 0 when there are none.
std::int64_t chunk_for(std::int64_t extent, std::span<const Part> parts, std::int64_t columns) {
  if (!PartedRun::are_whole_rows(parts, columns)) return extent == columns ? parts[0].columns : 0;
  std::int64_t chunk = 0;
  for (const auto& p : parts) {
    const std::int64_t begin = p.row * columns % extent, size = p.rows * columns;
    if (begin + size > extent && (begin != 0 || size % extent != 0)) return 0;
    chunk = std::gcd(chunk, begin);
  }
  return chunk == 0 ? extent : chunk;
}

}  // namespace

Epilogue::Epilogue(const kernel::Kernel& kernel, KernelCode code, std::size_t input, std::span<const Part> parts, std::int64_t columns)
    : code_(std::move(code)), input_(input), columns_(columns), extent_(kernel.extents.back()), chunk_(chunk_for(extent_, parts, columns)) {}

std::string Epilogue::fit(kernel::Kernel& kernel, std::span<const Part> parts, std::int64_t columns) {
  if (parts.empty()) return "the library computes the result as a whole";
  const bool has_vectors = kernel.loops() > 0 && kernel.vector_loop == kernel.loops() - 1;
  if (has_vectors && chunk_for(kernel.extents.back(), parts, columns) == 0 && kernel.extents.back() % columns == 0) split_last_loop(kernel, columns);
  if (!has_vectors || chunk_for(kernel.extents.back(), parts, columns) == 0)
    return "the loops of " + kernel.name + " can't be cut where the result is";
  return {};
}

void Epilogue::run(const Part& part, void* const* buffers, IndexFault& fault) const {
  auto tile_at = [&](std::int64_t element) { return element / extent_ * ceil_divided(extent_, chunk_) + element % extent_ / chunk_; };
  auto run = [&](std::int64_t begin, std::int64_t end) { code_.function(code_.parameters.data(), buffers, &fault, begin, end, chunk_); };
  if (part.columns == columns_) {
    const std::int64_t begin = part.row * columns_;
    return run(tile_at(begin), tile_at(begin + part.rows * columns_ - 1) + 1);
  }
  for (std::int64_t row = part.row; row < part.row + part.rows; ++row) {
    const std::int64_t tile = tile_at(row * columns_ + part.column);
    run(tile, tile + 1);
  }
}

bool PartedRun::are_whole_rows(std::span<const Part> parts, std::int64_t columns) {
  return std::all_of(parts.begin(), parts.end(), [&](const Part& p) { return p.columns == columns; });
}

PartedRun::PartedRun(const LibraryCall& call, std::size_t buffers, std::int64_t columns, std::optional<std::size_t> element_bytes)
    : threads_(std::min(omp_get_max_threads(), static_cast<int>(call.parts().size()))),
      shared_(call.scratch_bytes()),
      part_(call.part_scratch_bytes()),
      pointers_((buffers * sizeof(void*) + 63) / 64 * 64),
      own_(part_ + pointers_) {
  if (!element_bytes) return;
  row_bytes_ = columns * static_cast<std::int64_t>(*element_bytes);
  std::int64_t rows = 0;
  for (const auto& p : call.parts()) rows = std::max(rows, p.rows);
  own_ += static_cast<std::size_t>((rows * row_bytes_ + 63) / 64 * 64);
}

void PartedRun::run(LibraryCall& call, std::span<const void* const> operands, void* result, void* scratch, const Epilogue* epilogue,
                    std::span<void* const> buffers, IndexFault& fault) const {
  call.run(operands, {}, scratch);
  const auto parts = call.parts();
  std::exception_ptr failure;
  std::mutex mutex;
  const auto* const shared = static_cast<const std::byte*>(scratch);
  auto work = [&](int thread, int threads) {
    std::byte* const own = static_cast<std::byte*>(scratch) + shared_ + static_cast<std::size_t>(thread) * own_;
    auto** const mine = reinterpret_cast<void**>(own + part_);
    std::copy(buffers.begin(), buffers.end(), mine);
    const auto t = static_cast<std::size_t>(thread), n = static_cast<std::size_t>(threads);
    for (std::size_t i = parts.size() * t / n; i < parts.size() * (t + 1) / n; ++i) try {
        // Where the result would begin for this part of it to lie in the thread's own memory.
        void* const begin =
            row_bytes_ == 0 ? result : reinterpret_cast<void*>(reinterpret_cast<std::intptr_t>(own + part_ + pointers_) - parts[i].row * row_bytes_);
        call.run_part(i, operands, begin, shared, own);
        if (!epilogue) continue;
        mine[epilogue->input()] = begin;
        epilogue->run(parts[i], mine, fault);
      } catch (...) {
        const std::lock_guard lock(mutex);
        failure = std::current_exception();
      }
  };
  // A team of one would be allocated anew each time.
  if (threads_ == 1) {
    work(0, 1);
  } else {
#pragma omp parallel num_threads(threads_)
    work(omp_get_thread_num(), omp_get_num_threads());
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace weft::cpu
