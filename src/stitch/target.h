// What a device wants of the kernels made for it.
#pragma once

#include <cstdint>
#include <limits>

namespace weft::kernel {

/// When reductions are cut into parts, so that the whole device takes part, and into how many. It follows from the sizes alone: the
/// same sizes always give the same bits.
struct Cutting {
  std::int64_t results;        ///< as many keep the device busy: what reduces to fewer is cut
  std::int64_t reduced;        ///< elements that make a result, below which nothing is cut
  std::int64_t elements;       ///< in all, below which nothing is cut
  std::int64_t long_reduced;   ///< as many elements or more that make a result are cut ...
  std::int64_t long_elements;  ///< ... from fewer elements in all on
  std::int64_t part_elements;  ///< of a part, at least about
  std::int64_t most_parts;
  std::int64_t most_results;  ///< times parts
};

struct Target {
  /// Of reductions along which memory is contiguous, and of others.
  Cutting rows, columns;
  std::int64_t row_part_elements;  ///< of a part of a kernel that sums up columns while it goes over rows, at least about
  int part_multiple = 1;           ///< of which the iterations of a part are a multiple
  std::int64_t most_row_parts;     ///< parts of such a kernel
  std::int64_t row_part_results;   ///< unless 0: of short rows there are more parts, as long as all parts' sums are no more than these
  std::int64_t most_scanned_rows;  ///< scans along more than these are not cut into parts
  bool adds_rows;                  ///< column sums are better added row by row to sums in a cache
  bool tiles;                      ///< sums of products are computed for several neighbouring results at once (see Tiling)
};

namespace targets {
inline constexpr std::int64_t any = std::numeric_limits<std::int64_t>::max();
/// Cores with caches, vectors and few threads.
inline constexpr Target processor{.rows = {512, 4096, 0, any, any, 2048, 64, any},
                                  .columns = {512, 4096, 0, any, any, 2048, 64, any},
                                  .row_part_elements = 4096,
                                  .most_row_parts = 64,
                                  .row_part_results = 0,
                                  .most_scanned_rows = 16,
                                  .adds_rows = true,
                                  .tiles = true};
/// Some hundred multiprocessors, with a thousand threads each.
inline constexpr Target gpu{.rows = {264, 16384, 1 << 18, any, any, 4096, 1024, 2048},
                            .columns = {1 << 17, 64, 1 << 24, 3072, 1 << 15, 16, 1024, 1 << 19},
                            .row_part_elements = 8,
                            .part_multiple = 16,
                            .most_row_parts = 264,
                            .row_part_results = 1 << 20,
                            .most_scanned_rows = any,
                            .adds_rows = false,
                            .tiles = false};
}  // namespace targets

}  // namespace weft::kernel
