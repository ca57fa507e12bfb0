#include "graph/attributes.h"
#include "graph/ir.h"

#include <weft/error.h>

#include <algorithm>
#include <bit>

namespace weft {

std::shared_ptr<const Literal> Literal::of(const NDArray& array) {
  const NDArray dense = array.dense();
  auto literal = std::make_shared<Literal>();
  literal->type = array.type();
  literal->bytes.assign(dense.data(), dense.data() + dense.byte_count());
  return literal;
}

std::shared_ptr<const Literal> Literal::filled(TensorType type, std::span<const std::byte> element) {
  auto literal = std::make_shared<Literal>();
  literal->type = type;
  literal->splat = true;
  literal->bytes.assign(element.begin(), element.end());
  return literal;
}

NDArray Literal::array() const {
  NDArray a(type);
  if (!splat) {
    a.write_bytes(bytes);
  } else {
    const std::vector<std::int64_t> strides(static_cast<std::size_t>(type.shape.rank()), 0);
    a.write_bytes(bytes, strides);
  }
  return a;
}

bool equal(const Attribute& a, const Attribute& b) {
  if (a.index() != b.index()) return false;
  if (const auto* x = std::get_if<std::shared_ptr<const Literal>>(&a)) {
    const auto& y = std::get<std::shared_ptr<const Literal>>(b);
    return *x == y || **x == *y;
  }
  if (const auto* x = std::get_if<std::shared_ptr<const ir::Function>>(&a)) {
    const auto& y = std::get<std::shared_ptr<const ir::Function>>(b);
    return *x == y || ir::equal(**x, *y);
  }
  // Bits rather than values: -0.0 is not 0.0, and a NaN equals itself.
  const auto same_bits = [](double x, double y) { return std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y); };
  if (const auto* x = std::get_if<double>(&a)) return same_bits(*x, std::get<double>(b));
  if (const auto* x = std::get_if<std::vector<double>>(&a)) return std::ranges::equal(*x, std::get<std::vector<double>>(b), same_bits);
  return a == b;
}

Attributes::Attributes(std::initializer_list<std::pair<std::string, Attribute>> entries) {
  for (const auto& [name, value] : entries) set(name, value);
}

void Attributes::set(std::string name, Attribute value) {
  auto at = std::lower_bound(entries_.begin(), entries_.end(), name, [](const auto& e, const auto& n) { return e.first < n; });
  if (at != entries_.end() && at->first == name) at->second = std::move(value);
  else entries_.insert(at, {std::move(name), std::move(value)});
}

void Attributes::erase(std::string_view name) {
  std::erase_if(entries_, [&](const auto& e) { return e.first == name; });
}

const Attribute* Attributes::find(std::string_view name) const {
  for (const auto& [n, value] : entries_)
    if (n == name) return &value;
  return nullptr;
}

void Attributes::set_shape(const Shape& shape, std::string_view name) {
  if (shape.ranked()) set(std::string(name), std::vector<std::int64_t>(shape.begin(), shape.end()));
  else erase(name);
}

void Attributes::missing(std::string_view name) { throw InternalError("attribute " + std::string(name) + " is missing or of another kind"); }

bool ir::equal(const Function& a, const Function& b) {
  return a.results == b.results && std::ranges::equal(a.graph.nodes, b.graph.nodes, [](const Node& x, const Node& y) {
           return x.op == y.op && x.operands == y.operands && x.types == y.types && x.attributes == y.attributes;
         });
}

bool operator==(const Attributes& a, const Attributes& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first && equal(x.second, y.second); });
}

std::size_t hash_of(const Attributes& attributes) {
  std::size_t h = 0xcbf29ce484222325ull;
  auto mix = [&](std::string_view bytes) { h = (h ^ std::hash<std::string_view>{}(bytes)) * 0x100000001b3ull; };
  auto mix_raw = [&](const void* p, std::size_t n) { mix({static_cast<const char*>(p), n}); };
  for (const auto& [name, value] : attributes) {
    mix(name);
    if (const auto* i = std::get_if<std::int64_t>(&value)) mix_raw(i, sizeof *i);
    else if (const auto* d = std::get_if<double>(&value)) mix_raw(d, sizeof *d);
    else if (const auto* s = std::get_if<std::string>(&value)) mix(*s);
    else if (const auto* t = std::get_if<DType>(&value)) mix_raw(t, sizeof *t);
    else if (const auto* li = std::get_if<std::vector<std::int64_t>>(&value)) mix_raw(li->data(), li->size() * sizeof(std::int64_t));
    else if (const auto* ld = std::get_if<std::vector<double>>(&value)) mix_raw(ld->data(), ld->size() * sizeof(double));
    else if (const auto* l = std::get_if<std::shared_ptr<const Literal>>(&value)) mix_raw((*l)->bytes.data(), (*l)->bytes.size());
    else if (const auto* f = std::get_if<std::shared_ptr<const ir::Function>>(&value)) {
      const std::size_t size = (*f)->graph.nodes.size();
      mix_raw(&size, sizeof size);
    }
  }
  return h;
}

}  // namespace weft
