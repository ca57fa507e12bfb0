#include "backend/cuda/patches.h"

#include <algorithm>

namespace weft::cuda {
namespace {

using Member = ConvolutionMember;

std::int32_t narrow(std::int64_t n) { return static_cast<std::int32_t>(n); }

/// The most lines that the windows of so many places, one after the other, cover.
std::int64_t lines_of(const PatchesDesc& d, const PatchesArguments& a, std::int64_t places) {
  const std::int64_t rows = (places + a.places[1] - 2) / a.places[1] + 1, images = (rows + a.places[0] - 2) / a.places[0] + 1;
  const std::int64_t between = a.image_lines - (a.places[0] - 1) * d.strides[0];  // from the last row of an image to the next one's first
  // Threads' lines of taps may be more than there are.
  const std::int64_t taps = d.member == Member::forward ? d.window[0] : (d.window[0] + d.thread_taps() - 1) / d.thread_taps() * d.thread_taps();
  return (rows - 1) * d.strides[0] + (images - 1) * std::max<std::int64_t>(between - d.strides[0], 0) + (taps - 1) * d.dilations[0] + 1;
}

}  // namespace

std::int64_t PatchesProblem::result_elements() const {
  return std::int64_t{desc.member == Member::forward ? arguments.rows : desc.terms()} * arguments.columns;
}

std::string describe_problem(Member member, DType dtype, const ConvolutionGeometry& g, int multiprocessors, PatchesProblem& p) {
  constexpr std::int64_t most_terms = 160, least_places = 128;  // terms: their loop is unrolled
  const bool is_weights = member == Member::weights_gradient;
  if (dtype != f32 || member == Member::data_gradient) return "patches are for convolutions in f32 and gradients of their weights";
  if (g.groups != 1 || g.in[0] != 1 || g.out[0] != 1 || g.window[0] != 1 || g.low[0] != 0) return "patches are for two dimensions without groups";
  if (g.columns() > most_terms || g.window[2] * g.in_channels > PatchesDesc::most_thread_terms) return "windows have too many elements";
  if (is_weights && g.out_channels % 4 != 0) return "channels are not in fours";
  TilesProblem tiles;
  if (auto why = describe_problem(member, dtype, g, tiles); !why.empty()) return why;

  PatchesDesc& d = p.desc = {};
  PatchesArguments& a = p.arguments = {};
  d.member = member;
  d.channels = static_cast<int>(g.in_channels);
  for (std::size_t i = 0; i < 2; ++i) {
    d.window[i] = static_cast<int>(g.window[i + 1]);
    d.strides[i] = static_cast<int>(g.strides[i + 1]);
    d.dilations[i] = static_cast<int>(g.dilations[i + 1]);
    a.sizes[i] = narrow(g.in[i + 1]);
    a.start[i] = narrow(-g.low[i + 1]);
    a.places[i] = narrow(g.out[i + 1]);
    a.by_places[i] = divisor_of(a.places[i]);
  }
  const auto covered = [&](std::size_t i) { return (g.out[i + 1] - 1) * g.strides[i + 1] + (g.window[i + 1] - 1) * g.dilations[i + 1] + 1; };
  constexpr std::int64_t banks = 32;
  const std::int64_t line = (covered(1) * g.in_channels + banks - 1) / banks * banks;
  d.columns = g.out_channels > 32 ? 64 : 32;
  d.unit = g.out_channels % 4 == 0 ? 4 : 1;
  a.images = narrow(g.images);
  a.image_lines = narrow(covered(0));
  a.by_image_lines = divisor_of(a.image_lines);
  a.rows = narrow(g.images * g.places());
  a.columns = narrow(g.out_channels);
  const std::int64_t most_lines = PatchesDesc::most_patch_bytes / 4 / line;
  if (lines_of(d, a, is_weights ? least_places : PatchesDesc::forward_rows) > most_lines) return "patches are too large";
  d.line = static_cast<int>(line);

  std::int64_t rows = PatchesDesc::forward_rows;
  if (is_weights) {
    constexpr std::int64_t blocks_each = 2;
    rows = std::max((a.rows + blocks_each * multiprocessors - 1) / (blocks_each * multiprocessors), least_places);
    while (lines_of(d, a, rows) > most_lines) rows = (rows + 1) / 2;
  }
  a.block_rows = narrow(rows);
  a.patch_lines = narrow(lines_of(d, a, rows));
  p.row_blocks = (a.rows + rows - 1) / rows;
  p.column_blocks = (a.columns + d.columns - 1) / d.columns;
  if (is_weights) p.column_blocks *= (d.window[0] + d.thread_taps() - 1) / d.thread_taps();
  const std::int64_t patch = 4 * a.patch_lines * line;
  p.shared_bytes = static_cast<unsigned>(is_weights ? std::max(patch, d.sums_bytes()) : patch + d.weights_bytes());
  return {};
}

}  // namespace weft::cuda
