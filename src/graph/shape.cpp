#include <weft/error.h>
#include <weft/shape.h>

#include <algorithm>

namespace weft {

Shape::Shape(std::span<const std::int64_t> sizes) {
  if (sizes.size() > max_rank) throw GraphError("shape of rank " + std::to_string(sizes.size()) + ": at most 16 dimensions are possible");
  std::int64_t product = 1;
  bool empty = false, overflow = false;
  for (auto s : sizes) {
    if (s < dynamic) throw GraphError("shape with size " + std::to_string(s) + ": sizes are 0 or more, or weft::dynamic");
    if (s == 0) empty = true;
    if (s > 0 && __builtin_mul_overflow(product, s, &product)) overflow = true;
  }
  std::copy(sizes.begin(), sizes.end(), sizes_.begin());
  rank_ = static_cast<int>(sizes.size());
  if (overflow && !empty) throw GraphError("shape " + str() + " has more than 2^63 - 1 elements");
}

Shape Shape::unranked() {
  Shape s;
  s.rank_ = -1;
  return s;
}

bool Shape::is_static() const {
  return ranked() && std::none_of(begin(), end(), [](auto s) { return s == dynamic; });
}

std::int64_t Shape::element_count() const {
  if (!is_static()) throw InternalError("element count of " + str());
  std::int64_t n = 1;
  for (auto s : sizes())
    if (s == 0) return 0;
  for (auto s : sizes()) n *= s;
  return n;
}

Shape Shape::with(int axis, std::int64_t size) const {
  std::array<std::int64_t, max_rank> s = sizes_;
  s[static_cast<std::size_t>(axis)] = size;
  return Shape(std::span(s.data(), static_cast<std::size_t>(rank_)));
}

std::string Shape::str() const {
  if (!ranked()) return "[...]";
  std::string s = "[";
  for (int i = 0; i < rank_; ++i) {
    if (i) s += ',';
    s += (*this)[i] == dynamic ? "?" : std::to_string((*this)[i]);
  }
  return s + "]";
}

bool operator==(const Shape& a, const Shape& b) { return a.rank_ == b.rank_ && std::equal(a.begin(), a.end(), b.begin(), b.end()); }

bool accepts(const Shape& declared, const Shape& actual) {
  if (!declared.ranked()) return true;
  if (declared.rank() != actual.rank()) return false;
  for (int i = 0; i < declared.rank(); ++i)
    if (declared[i] != dynamic && declared[i] != actual[i]) return false;
  return true;
}

std::optional<Shape> broadcast(const Shape& a, const Shape& b) {
  if (!a.ranked() || !b.ranked()) return Shape::unranked();
  const int rank = std::max(a.rank(), b.rank());
  std::array<std::int64_t, max_rank> sizes{};
  for (int i = 0; i < rank; ++i) {
    const std::int64_t x = i < rank - a.rank() ? 1 : a[i - (rank - a.rank())];
    const std::int64_t y = i < rank - b.rank() ? 1 : b[i - (rank - b.rank())];
    std::int64_t r = 0;
    if (x == y || y == 1) r = x;
    else if (x == 1) r = y;
    else if (x == dynamic) r = y;
    else if (y == dynamic) r = x;
    else return std::nullopt;
    sizes[static_cast<std::size_t>(i)] = r;
  }
  return Shape(std::span(sizes.data(), static_cast<std::size_t>(rank)));
}

std::string TensorType::str() const { return std::string(name_of(dtype)) + shape.str(); }

}  // namespace weft
