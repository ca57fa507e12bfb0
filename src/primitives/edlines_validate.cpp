#include "primitives/edlines_validate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>

namespace weft::edlines {
namespace {

/// Calls f(x, y) for the pixels of a line that lies so far beside, one for each step along its longer side; those at the border are replaced by
/// their neighbours inside. Gives their number.
template <class F> std::int64_t for_each_pixel(const Segment& s, Position beside, std::int64_t width, std::int64_t height, F&& f) {
  const double dx = s.to.x - s.from.x, dy = s.to.y - s.from.y, x = s.from.x + beside.x, y = s.from.y + beside.y;
  const auto steps = std::max<std::int64_t>(1, std::llround(std::max(std::abs(dx), std::abs(dy))));
  const double right = static_cast<double>(width - 2), bottom = static_cast<double>(height - 2);
  const auto nearest = [](double v, double most) { return static_cast<std::int64_t>(std::clamp(v, 1.0, most) + 0.5); };
  for (std::int64_t i = 0; i <= steps; ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(steps);
    f(nearest(x + t * dx, right), nearest(y + t * dy, bottom));
  }
  return steps + 1;
}

/// Grey in units of the type's own.
template <class T> float grey(const std::byte* at, std::int64_t channel_stride, bool is_coloured) {
  const auto value = [&](std::int64_t channel) {
    const auto v = static_cast<float>(*reinterpret_cast<const T*>(at + channel * channel_stride));
    if constexpr (std::is_integral_v<T>) return v;
    else return v > 0 ? std::min(v, 1.0f) : 0.0f;
  };
  return is_coloured ? 0.299f * value(0) + 0.587f * value(1) + 0.114f * value(2) : value(0);
}

template <class T> Alignment aligned(const NDArray& picture, const Segment& s, double beside) {
  const std::int64_t height = picture.shape()[0], width = picture.shape()[1];
  const std::int64_t down = picture.strides()[0], right = picture.strides()[1], channel = picture.rank() == 3 ? picture.strides()[2] : 0;
  const bool is_coloured = picture.rank() == 3 && picture.shape()[2] >= 3;
  const std::byte* const data = picture.data();
  const double size = length(s), normal_x = -(s.to.y - s.from.y) / size, normal_y = (s.to.x - s.from.x) / size;
  constexpr double least_square = 0.85355339059327376;  // of the cosine of 22.5 degrees
  Alignment a;
  a.pixels = for_each_pixel(s, {beside * normal_x, beside * normal_y}, width, height, [&](std::int64_t x, std::int64_t y) {
    const auto v = [&](int dx, int dy) { return grey<T>(data + (y + dy) * down + (x + dx) * right, channel, is_coloured); };
    const std::array<float, 8> n = {v(-1, -1), v(0, -1), v(1, -1), v(-1, 0), v(1, 0), v(-1, 1), v(0, 1), v(1, 1)};
    const double gx = (n[2] - n[0]) + 2 * (n[4] - n[3]) + (n[7] - n[5]), gy = (n[5] - n[0]) + 2 * (n[6] - n[1]) + (n[7] - n[2]);
    const double part = gx * normal_x + gy * normal_y;
    a.aligned += part > 0 && part * part >= least_square * (gx * gx + gy * gy);
  });
  return a;
}

}  // namespace

double strength(const GradientMap& map, const Segment& s) {
  double sum = 0;
  const auto pixels = for_each_pixel(s, {0, 0}, map.width, map.height, [&](std::int64_t x, std::int64_t y) {
    sum += std::sqrt(static_cast<double>(map[y * map.width + x].squared()));
  });
  return length(s) * sum / (static_cast<double>(pixels) * gradient_scale);
}

Alignment alignment(const NDArray& picture, const Segment& s, double beside) {
  switch (picture.dtype()) {
    case DType::u8: return aligned<std::uint8_t>(picture, s, beside);
    case DType::u16: return aligned<std::uint16_t>(picture, s, beside);
    case DType::f16: return aligned<float16>(picture, s, beside);
    default: return aligned<float>(picture, s, beside);
  }
}

Validation::Validation(const NDArray& picture)
    : picture_(picture.to(Device::cpu())),
      lines_(std::log10(3.0) + 2 * (std::log10(static_cast<double>(picture.shape()[0])) + std::log10(static_cast<double>(picture.shape()[1])))) {
  // As many pixels as a line may go through.
  const auto most = static_cast<std::size_t>(std::max(picture.shape()[0], picture.shape()[1]));
  factorials_.reserve(most + 1);
  while (factorials_.size() <= most) factorials_.push_back(factorials_.back() + std::log(static_cast<double>(factorials_.size())));
}

bool Validation::accepts(const Segment& s) const {
  return std::ranges::any_of(std::array{0.0, -1.0, 1.0}, [&](double beside) { return false_alarms(alignment(picture_, s, beside)) <= 0; });
}

double Validation::false_alarms(Alignment a) const {
  constexpr double p = 0.125;
  const auto n = static_cast<std::size_t>(a.pixels), k = static_cast<std::size_t>(a.aligned);
  // The first term of the tail, and the others as multiples of it.
  const double first =
      factorials_[n] - factorials_[k] - factorials_[n - k] + static_cast<double>(k) * std::log(p) + static_cast<double>(n - k) * std::log1p(-p);
  double sum = 1, term = 1;
  for (std::size_t i = k; i < n && term > sum * 1e-17; ++i) {
    term *= static_cast<double>(n - i) / static_cast<double>(i + 1) * (p / (1 - p));
    sum += term;
  }
  return lines_ + (first + std::log(sum)) / std::log(10.0);
}

}  // namespace weft::edlines
