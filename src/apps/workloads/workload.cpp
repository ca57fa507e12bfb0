#include "apps/workloads/workload.h"

#include <iterator>

namespace weft::apps {
namespace {

/// S. Vigna's splitmix64.
std::uint64_t scrambled(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// The sum of four uniform numbers of 16 bits, centred and scaled: near enough to normal for what is only timed.
float about_normal(std::uint64_t bits) {
  const auto sum = static_cast<float>((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48));
  return (sum / 65536 - 2) * 1.7320508f;
}

}  // namespace

Tensor Setup::feed(NDArray value) {
  const Tensor t = graph.placeholder(value.shape(), value.dtype());
  feeds_.emplace_back(t, std::move(value));
  return t;
}

NDArray Setup::random(const TensorType& type) const {
  if (type.dtype != f32 && type.dtype != f64) return random({f32, type.shape}).cast(type.dtype);
  NDArray value(type);
  std::uint64_t i = feeds_.size() << 40;
  auto fill = [&](auto elements) {
    for (auto& v : elements) v = about_normal(scrambled(i++));
  };
  if (type.dtype == f64) fill(value.elements<double>());
  else fill(value.elements<float>());
  return value;
}

Tensor Setup::feed(Shape shape, DType dtype) { return feed(random({dtype, shape})); }

void Setup::feed(Tensor placeholder, const TensorType& type) {
  feeds_.emplace_back(placeholder, is_floating(type.dtype) ? random(type) : NDArray(type));
}

Tensor Setup::feed_integers(Shape shape, std::int64_t bound) {
  NDArray value(i32, shape);
  std::uint64_t i = feeds_.size() << 40;
  for (auto& v : value.elements<std::int32_t>()) v = static_cast<std::int32_t>(scrambled(i++) % static_cast<std::uint64_t>(bound));
  return feed(std::move(value));
}

Executable Setup::compile(const RunOptions& options) {
  std::vector<FeedType> types;
  for (const auto& [placeholder, value] : feeds_) types.push_back({placeholder, value.type()});
  return graph.compile(types, targets, operations, options);
}

std::vector<TensorData> Setup::feeds(const Executable& executable) const {
  std::vector<TensorData> values;
  for (const auto& type : executable.feeds())
    for (const auto& [placeholder, value] : feeds_)
      if (placeholder == type.placeholder) values.emplace_back(value);
  return values;
}

std::vector<Workload> workloads() {
  std::vector<Workload> all;
  for (const auto family : {compile_workloads, elementwise_workloads, math_workloads, row_workloads, contraction_workloads, digits_workloads,
                            gan_workloads, lstm_workloads, optimizer_workloads, picture_workloads}) {
    auto rows = family();
    std::move(rows.begin(), rows.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace weft::apps
