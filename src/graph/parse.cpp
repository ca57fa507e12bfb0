#include "graph/primitive.h"
#include "graph/text.h"

#include <weft/error.h>

#include <bit>
#include <charconv>
#include <cstring>
#include <exception>
#include <limits>
#include <type_traits>
#include <utility>

namespace weft {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c); }

/// A recursive-descent parser that works on the text in place. Nothing that the text merely claims (a shape, a count)
/// is allocated before the text has shown the elements.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  ir::Graph graph(std::uint64_t* seed) {
    ir::Graph graph;
    for (skip_lines(); at_ < text_.size(); skip_lines()) {
      const std::size_t start = at_;
      if (graph.nodes.empty() && keyword("seed")) {
        const auto value = integer<std::uint64_t>("a seed");
        if (seed) *seed = value;
      } else {
        add_line(graph, start);
      }
      if (!at_line_end()) fail("expected the end of the line");
    }
    return graph;
  }

 private:
  // Characters ----------------------------------------------------------------------------------------------------------

  [[noreturn]] void fail_at(std::size_t at, const std::string& message) const {
    std::size_t line = 1, line_start = 0;
    for (std::size_t i = 0; i < at && i < text_.size(); ++i)
      if (text_[i] == '\n') ++line, line_start = i + 1;
    throw GraphError("line " + std::to_string(line) + ", column " + std::to_string(at - line_start + 1) + ": " + message);
  }
  [[noreturn]] void fail(const std::string& message) const { fail_at(at_, message); }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\n'; }
  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
    if (at_ < text_.size() && text_[at_] == '#')
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
  }
  void skip_lines() {
    for (skip_spaces(); at_ < text_.size() && text_[at_] == '\n'; skip_spaces()) ++at_;
  }
  bool at_line_end() {
    skip_spaces();
    return peek() == '\n';
  }
  bool take(std::string_view symbol) {
    skip_spaces();
    if (!text_.substr(at_).starts_with(symbol)) return false;
    at_ += symbol.size();
    return true;
  }
  void expect(std::string_view symbol) {
    if (!take(symbol)) fail("expected '" + std::string(symbol) + "'");
  }
  std::string_view name() {
    skip_spaces();
    const std::size_t start = at_;
    while (is_name(peek())) ++at_;
    return text_.substr(start, at_ - start);
  }
  bool keyword(std::string_view word) {
    skip_spaces();
    const std::size_t start = at_;
    if (name() == word) return true;
    at_ = start;
    return false;
  }

  // Numbers and strings -------------------------------------------------------------------------------------------------

  template <class T> T integer(std::string_view what) {
    skip_spaces();
    T value{};
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error == std::errc::result_out_of_range) fail("number out of range for " + std::string(what));
    if (error != std::errc()) fail("expected " + std::string(what));
    at_ = static_cast<std::size_t>(end - text_.data());
    return value;
  }

  /// Whether what stands here is written as a real number rather than an integer.
  bool real_ahead() {
    skip_spaces();
    std::size_t i = at_ + (peek() == '-' ? 1 : 0);
    if (text_.substr(i).starts_with("inf") || text_.substr(i).starts_with("nan")) return true;
    while (i < text_.size() && is_digit(text_[i])) ++i;
    return i < text_.size() && (text_[i] == '.' || text_[i] == 'e' || text_[i] == 'E');
  }

  /// A real number of T; of_bits gives the NaN with the bits that follow it in the text.
  template <class T, class Bits, class F> auto real(F&& of_value, Bits quiet_nan, Bits highest) {
    skip_spaces();
    if (take("nan")) {
      Bits bits = quiet_nan;
      if (peek() == '(') {
        expect("(0x");
        const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), bits, 16);
        if (error != std::errc() || bits > highest) fail("expected the bits of a NaN");
        at_ = static_cast<std::size_t>(end - text_.data());
        expect(")");
      }
      return of_value(T{}, bits, true);
    }
    T value{};
    if (take("-inf")) value = -std::numeric_limits<T>::infinity();
    else if (take("inf")) value = std::numeric_limits<T>::infinity();
    else value = finite<T>();
    return of_value(value, Bits{}, false);
  }

  template <class T> T finite() {
    T value{};
    const char after_sign = at_ + 1 < text_.size() ? text_[at_ + 1] : '\n';
    if (!is_digit(peek()) && !(peek() == '-' && is_digit(after_sign))) fail("expected a number");
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) fail("number out of range");
    at_ = static_cast<std::size_t>(end - text_.data());
    return value;
  }

  double real_f64() {
    return real<double>([](double v, std::uint64_t bits, bool nan) { return nan ? std::bit_cast<double>(bits) : v; },
                        std::uint64_t{0x7ff8000000000000}, ~std::uint64_t{0});
  }
  float real_f32() {
    return real<float>([](float v, std::uint32_t bits, bool nan) { return nan ? std::bit_cast<float>(bits) : v; }, 0x7fc00000u, 0xffffffffu);
  }
  /// f16 and bf16 are written as the f32 of the same value.
  template <class T> T real_16(std::uint32_t quiet_nan) {
    return real<float>(
        [](float v, std::uint32_t bits, bool nan) {
          if (!nan) return T(v);
          T t;
          t.bits = static_cast<std::uint16_t>(bits);
          return t;
        },
        quiet_nan, 0xffffu);
  }

  std::string string() {
    expect("\"");
    std::string s;
    for (;;) {
      if (peek() == '\n') fail("expected '\"' before the end of the line");
      char c = text_[at_++];
      if (c == '"') return s;
      if (c == '\\') {
        const char escape = peek();
        ++at_;
        if (escape == 'n') c = '\n';
        else if (escape == 't') c = '\t';
        else if (escape == '"' || escape == '\\') c = escape;
        else if (escape == 'x') c = hexadecimal_byte();
        else fail_at(at_ - 1, "expected one of n t x \" \\ after '\\'");
      }
      s += c;
    }
  }

  char hexadecimal_byte() {
    unsigned value = 0;
    const std::string_view digits = text_.substr(at_, 2);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc() || end != digits.data() + 2) fail("expected two hexadecimal digits");
    at_ += 2;
    return static_cast<char>(value);
  }

  // Types and attributes ------------------------------------------------------------------------------------------------

  DType dtype() {
    const std::size_t start = at_;
    const auto found = dtype_from_name(name());
    if (!found) fail_at(start, "expected an element type");
    return *found;
  }

  Shape shape() {
    expect("[");
    if (take("...")) {
      expect("]");
      return Shape::unranked();
    }
    std::vector<std::int64_t> sizes;
    const std::size_t start = at_;
    for (bool more = !take("]"); more; more = !take("]")) {
      if (!sizes.empty()) expect(",");
      if (sizes.size() == max_rank) fail("at most 16 dimensions are possible");
      sizes.push_back(take("?") ? dynamic : integer<std::int64_t>("a size"));
    }
    return located(start, [&] { return Shape(sizes); });
  }

  TensorType type() {
    skip_spaces();
    const DType t = dtype();
    return {t, shape()};
  }

  template <class T> static void append(std::vector<std::byte>& bytes, T value) {
    std::byte raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    bytes.insert(bytes.end(), raw, raw + sizeof value);
  }

  void element(DType dtype, std::vector<std::byte>& bytes) {
    switch (dtype) {
      case DType::f32: return append(bytes, real_f32());
      case DType::f64: return append(bytes, real_f64());
      case DType::f16: return append(bytes, real_16<float16>(0x7e00));
      case DType::bf16: return append(bytes, real_16<bfloat16>(0x7fc0));
      case DType::boolean:
        return append(bytes, keyword("true") ? std::uint8_t{1} : keyword("false") ? std::uint8_t{0} : integer<std::uint8_t>("a bool"));
      case DType::c64: {
        expect("(");
        append(bytes, real_f32());
        expect(",");
        append(bytes, real_f32());
        return expect(")");
      }
      default:
        visit_dtype(dtype, [&](auto e) {
          using T = decltype(e);
          if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) append(bytes, integer<T>(name_of(dtype)));
        });
    }
  }

  TensorType literal_type() {
    const std::size_t start = at_;
    const TensorType t = type();
    std::int64_t bytes = 0;
    if (!t.shape.is_static()) fail_at(start, "a literal needs a static shape");
    if (__builtin_mul_overflow(t.shape.element_count(), static_cast<std::int64_t>(size_of(t.dtype)), &bytes))
      fail_at(start, "a literal of more than 2^63 - 1 bytes");
    return t;
  }

  Attribute splat() {
    auto literal = std::make_shared<Literal>();
    literal->type = literal_type();
    literal->splat = true;
    element(literal->type.dtype, literal->bytes);
    return std::shared_ptr<const Literal>(literal);
  }

  Attribute listed() {
    auto literal = std::make_shared<Literal>();
    const std::size_t start = at_;
    literal->type = literal_type();
    expect("{");
    for (bool more = !take("}"); more; more = !take("}")) {
      if (!literal->bytes.empty()) expect(",");
      element(literal->type.dtype, literal->bytes);
    }
    check_size(*literal, start);
    return std::shared_ptr<const Literal>(literal);
  }

  Attribute base64() {
    auto literal = std::make_shared<Literal>();
    const std::size_t start = at_;
    literal->type = literal_type();
    expect("\"");
    const std::size_t end = text_.find_first_of("\"\n", at_);
    if (end == std::string_view::npos || text_[end] != '"') fail("expected '\"' before the end of the line");
    decode(text_.substr(at_, end - at_), literal->bytes);
    at_ = end + 1;
    check_size(*literal, start);
    return std::shared_ptr<const Literal>(literal);
  }

  void check_size(const Literal& literal, std::size_t start) const {
    const auto bytes = static_cast<std::int64_t>(literal.bytes.size());
    if (bytes != literal.type.byte_count())
      fail_at(start, "literal " + literal.type.str() + " has " + std::to_string(bytes) + " bytes of elements, expects " +
                         std::to_string(literal.type.byte_count()));
  }

  void decode(std::string_view digits, std::vector<std::byte>& bytes) const {
    if (digits.size() % 4) fail("base64 text of a length that is no multiple of 4");
    for (std::size_t i = 0; i < digits.size(); i += 4) {
      const std::size_t padding = i + 4 < digits.size() ? 0 : digits[i + 3] != '=' ? 0 : digits[i + 2] != '=' ? 1 : 2;
      std::uint32_t group = 0;
      for (std::size_t j = 0; j < 4; ++j) {
        const char c = digits[i + j];
        const bool padded = j >= 4 - padding;
        const int value = padded                 ? 0
                          : c >= 'A' && c <= 'Z' ? c - 'A'
                          : c >= 'a' && c <= 'z' ? c - 'a' + 26
                          : is_digit(c)          ? c - '0' + 52
                          : c == '+'             ? 62
                          : c == '/'             ? 63
                                                 : -1;
        if (value < 0) fail_at(at_ + i + j, "expected a base64 digit");
        group = group << 6 | static_cast<std::uint32_t>(value);
      }
      for (std::size_t j = 0; j < 3 - padding; ++j) bytes.push_back(static_cast<std::byte>(group >> (16 - 8 * j) & 255));
    }
  }

  Attribute list() {
    expect("[");
    if (take(".")) {
      expect("]");
      return std::vector<double>{};
    }
    if (take("]")) return std::vector<std::int64_t>{};
    return real_ahead() ? list_of<double>([&] { return real_f64(); }) : list_of<std::int64_t>([&] { return integer<std::int64_t>("an integer"); });
  }

  template <class T, class F> Attribute list_of(F&& item) {
    std::vector<T> items{item()};
    while (!take("]")) {
      expect(",");
      items.push_back(item());
    }
    return items;
  }

  Attribute attribute() {
    skip_spaces();
    if (peek() == '"') return string();
    if (peek() == '[') return list();
    if (peek() == '-' || is_digit(peek()) || real_ahead()) {
      if (real_ahead()) return real_f64();
      return integer<std::int64_t>("an integer");
    }
    if (keyword("splat")) return splat();
    if (keyword("base64")) return base64();
    if (keyword("function")) return function();
    const std::size_t start = at_;
    const DType t = dtype();
    skip_spaces();
    if (peek() != '[') return t;
    at_ = start;
    return listed();
  }

  Attribute function() {
    auto function = std::make_shared<ir::Function>();
    const std::size_t start = at_;
    expect("{");
    if (++depth_ > deepest) fail("functions inside functions inside functions to a depth of more than " + std::to_string(deepest));
    bool parameters = true;
    for (skip_lines(); !take("}"); skip_lines()) {
      if (at_ >= text_.size()) fail_at(start, "expected '}' before the end of the text");
      const std::size_t line = at_;
      add_line(function->graph, line);
      const ir::Node& added = function->graph.nodes.back();
      const bool is_parameter = added.op->name == "placeholder";
      if (is_parameter && !parameters) fail_at(line, "a function's placeholders come first");
      if (added.op->kind == Kind::state || !added.control.empty()) fail_at(line, "a function can't have " + ir::describe(added) + " in this form");
      parameters = is_parameter;
      if (!at_line_end()) fail("expected the end of the line");
    }
    --depth_;
    expect("(");
    for (bool more = !take(")"); more; more = !take(")")) {
      if (!function->results.empty()) expect(",");
      function->results.push_back(value(function->graph));
    }
    return std::shared_ptr<const ir::Function>(function);
  }

  Attributes attributes() {
    Attributes result;
    for (bool more = !take("}"); more; more = !take("}")) {
      if (!result.empty()) expect(",");
      skip_spaces();
      const std::size_t start = at_;
      const std::string key(name());
      if (key.empty()) fail("expected the name of an attribute");
      if (result.has(key)) fail_at(start, "attribute " + key + " is given twice");
      expect("=");
      result.set(key, attribute());
    }
    return result;
  }

  // Operations ----------------------------------------------------------------------------------------------------------

  /// Adds where it happened to what f throws.
  template <class F> std::invoke_result_t<F> located(std::size_t at, F&& f) {
    try {
      return f();
    } catch (const std::exception& e) {
      // Whatever inference doesn't cope with, such as the lack of an attribute that it needs: the text is at fault.
      fail_at(at, e.what());
    }
  }

  ir::NodeId reference(const ir::Graph& graph) {
    skip_spaces();
    const std::size_t start = at_;
    expect("%");
    const auto id = integer<ir::NodeId>("the number of an operation");
    if (id < 0 || id >= graph.size()) fail_at(start, "%" + std::to_string(id) + " is not an earlier operation");
    return id;
  }

  ir::Value value(const ir::Graph& graph) {
    skip_spaces();
    const std::size_t start = at_;
    const ir::NodeId id = reference(graph);
    ir::Value v{id, 0};
    if (peek() == '.') {
      ++at_;
      v.output = integer<std::int32_t>("the number of a result");
    }
    const auto results = graph[id].types.size();
    if (v.output < 0 || static_cast<std::size_t>(v.output) >= results)
      fail_at(start, "%" + std::to_string(id) + " has " + std::to_string(results) + " results");
    return v;
  }

  ir::Value operand(const ir::Graph& graph, const Primitive& op, bool first) {
    skip_spaces();
    const std::size_t start = at_;
    const ir::Value v = value(graph);
    if (op.kind == Kind::state && first && graph[v.node].op->name != "variable")
      fail_at(start, std::string(op.name) + " takes a variable here, not " + ir::describe(graph[v.node]));
    return v;
  }

  const Primitive& operation() {
    skip_spaces();
    const std::size_t start = at_;
    const std::string_view op = name();
    const Primitive* found = find_primitive(op);
    if (!found) fail_at(start, op.empty() ? "expected the name of an operation" : "no operation is called " + std::string(op));
    return *found;
  }

  void add_line(ir::Graph& graph, std::size_t start) {
    expect("%");
    const auto id = integer<ir::NodeId>("the number of an operation");
    if (id != graph.size()) fail_at(start, "expected operation %" + std::to_string(graph.size()) + ", operations are numbered in order");
    std::size_t results = 1;
    const bool several = take(":");
    if (several) results = integer<std::uint32_t>("the number of results");
    expect("=");
    ir::Node node;
    node.op = &operation();
    operands(graph, node, start);
    if (keyword("after")) {
      do node.control.push_back(reference(graph));
      while (take(","));
    }
    if (take("{")) node.attributes = attributes();
    skip_spaces();
    if (peek() == '"') node.label = string();
    std::vector<TensorType> written;
    if (take(":")) {
      do written.push_back(type());
      while (take(","));
    }
    if (several ? written.size() != results : written.size() > 1)
      fail_at(start, "%" + std::to_string(id) + " is written with " + std::to_string(written.size()) + " types, expects " + std::to_string(results));
    located(start, [&] { infer_types(graph, node); });
    if (node.types != written) fail_at(start, std::string(node.op->name) + ": written " + list(written) + ", inferred " + list(node.types));
    graph.add(std::move(node));
  }

  void operands(const ir::Graph& graph, ir::Node& node, std::size_t start) {
    expect("(");
    for (bool more = !take(")"); more; more = !take(")")) {
      if (!node.operands.empty()) expect(",");
      node.operands.push_back(operand(graph, *node.op, node.operands.empty()));
    }
    const auto count = static_cast<int>(node.operands.size());
    if (count < node.op->min_operands || (node.op->max_operands >= 0 && count > node.op->max_operands))
      fail_at(start, std::string(node.op->name) + " can't have " + std::to_string(count) + " operands");
  }

  static std::string list(const std::vector<TensorType>& types) {
    if (types.empty()) return "no result";
    std::string s;
    for (const auto& t : types) s += (s.empty() ? "" : ", ") + t.str();
    return s;
  }

  static constexpr int deepest = 64;

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

ir::Graph parse_text(std::string_view text, std::uint64_t* seed) { return Parser(text).graph(seed); }

}  // namespace weft
