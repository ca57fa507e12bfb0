// Attributes of an operation: name -> value, as data, so that printing, parsing, hashing and equality are written once.
#pragma once

#include <weft/ndarray.h>
#include <weft/shape.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace weft {

namespace ir {
struct Function;
}

/// Immutable elements of a constant, dense; `splat` holds one element that fills the shape.
struct Literal {
  TensorType type;
  bool splat = false;
  std::vector<std::byte> bytes;

  static std::shared_ptr<const Literal> of(const NDArray& array);
  static std::shared_ptr<const Literal> filled(TensorType type, std::span<const std::byte> element);
  NDArray array() const;
  friend bool operator==(const Literal&, const Literal&) = default;
};

using Attribute = std::variant<std::int64_t, double, std::string, DType, std::vector<std::int64_t>, std::vector<double>,
                               std::shared_ptr<const Literal>, std::shared_ptr<const ir::Function>>;

bool equal(const Attribute& a, const Attribute& b);

/// Sorted by name. Reading an attribute that is absent or of another kind is an InternalError.
class Attributes {
 public:
  Attributes() = default;
  Attributes(std::initializer_list<std::pair<std::string, Attribute>> entries);

  void set(std::string name, Attribute value);
  void erase(std::string_view name);
  bool has(std::string_view name) const { return find(name) != nullptr; }
  const Attribute* find(std::string_view name) const;

  std::int64_t integer(std::string_view name) const { return get<std::int64_t>(name); }
  bool flag(std::string_view name) const { return has(name) && integer(name) != 0; }
  double real(std::string_view name) const { return get<double>(name); }
  const std::string& text(std::string_view name) const { return get<std::string>(name); }
  DType dtype(std::string_view name) const { return get<DType>(name); }
  const std::vector<std::int64_t>& integers(std::string_view name) const { return get<std::vector<std::int64_t>>(name); }
  const std::vector<double>& reals(std::string_view name) const { return get<std::vector<double>>(name); }
  const Literal& literal(std::string_view name) const { return *get<std::shared_ptr<const Literal>>(name); }
  const ir::Function& function(std::string_view name) const { return *get<std::shared_ptr<const ir::Function>>(name); }
  /// A shape is kept as its sizes; absent means unranked.
  Shape shape(std::string_view name = "shape") const { return has(name) ? Shape(integers(name)) : Shape::unranked(); }
  void set_shape(const Shape& shape, std::string_view name = "shape");

  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  bool empty() const { return entries_.empty(); }
  friend bool operator==(const Attributes& a, const Attributes& b);

 private:
  [[noreturn]] static void missing(std::string_view name);
  template <class T> const T& get(std::string_view name) const {
    if (const auto* a = find(name))
      if (const auto* value = std::get_if<T>(a)) return *value;
    missing(name);
  }
  std::vector<std::pair<std::string, Attribute>> entries_;
};

std::size_t hash_of(const Attributes& attributes);

}  // namespace weft
