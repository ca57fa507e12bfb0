#include "graph/text.h"
#include "graph/build.h"

#include <weft/error.h>
#include <weft/graph.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

namespace weft {
namespace {

/// Literals up to this many elements are written out as numbers.
constexpr std::int64_t listed_elements = 16;

template <class T> std::string decimal(T value) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return {buffer, end};
}

std::string hexadecimal(std::uint64_t bits) {
  char buffer[20];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, bits, 16).ptr};
}

/// The shortest text that reads back as the same bits, and never reads as an integer.
template <class T, class Bits> std::string real(T value, Bits bits, Bits quiet_nan) {
  if (std::isnan(value)) return bits == quiet_nan ? "nan" : "nan(0x" + hexadecimal(bits) + ")";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::string s = decimal(value);
  if (s.find_first_of(".e") == std::string::npos) s += ".0";
  return s;
}

std::string text_of(double v) { return real(v, std::bit_cast<std::uint64_t>(v), std::uint64_t{0x7ff8000000000000}); }
std::string text_of(float v) { return real(v, std::bit_cast<std::uint32_t>(v), 0x7fc00000u); }
std::string text_of(float16 v) { return real(static_cast<float>(v), std::uint32_t{v.bits}, 0x7e00u); }
std::string text_of(bfloat16 v) { return real(static_cast<float>(v), std::uint32_t{v.bits}, 0x7fc0u); }
std::string text_of(std::complex<float> v) { return "(" + text_of(v.real()) + "," + text_of(v.imag()) + ")"; }
template <std::integral T> std::string text_of(T v) { return decimal(+v); }

std::string element(DType dtype, const std::byte* at) {
  if (dtype == boolean) {
    // A byte, which may hold more than 0 and 1 if it came from outside.
    const auto byte = std::to_integer<unsigned>(*at);
    return byte == 0 ? "false" : byte == 1 ? "true" : decimal(byte);
  }
  return visit_dtype(dtype, [&](auto value) {
    std::memcpy(static_cast<void*>(&value), at, sizeof value);
    return text_of(value);
  });
}

std::string base64(std::span<const std::byte> bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string s;
  s.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) group = group << 8 | (j < n ? std::to_integer<std::uint32_t>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) s += j <= n ? digits[group >> (18 - 6 * j) & 63] : '=';
  }
  return s;
}

std::string quoted(std::string_view text) {
  std::string s = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') s += '\\', s += c;
    else if (c == '\n') s += "\\n";
    else if (c == '\t') s += "\\t";
    else if (byte < 0x20 || byte == 0x7f) s += "\\x", s += "0123456789abcdef"[byte >> 4], s += "0123456789abcdef"[byte & 15];
    else s += c;
  }
  return s + '"';
}

template <class List, class F> std::string joined(const List& list, std::string_view separator, F&& text) {
  std::string s;
  for (const auto& item : list) {
    if (!s.empty()) s += separator;
    s += text(item);
  }
  return s;
}

std::string attribute_text(const Literal& literal) {
  const std::string type = literal.type.str();
  if (literal.splat) return "splat " + type + " " + element(literal.type.dtype, literal.bytes.data());
  const std::int64_t count = literal.type.shape.element_count();
  if (count > listed_elements) return "base64 " + type + " \"" + base64(literal.bytes) + "\"";
  std::string s;
  for (std::int64_t i = 0; i < count; ++i) {
    if (i) s += ",";
    s += element(literal.type.dtype, literal.bytes.data() + static_cast<std::size_t>(i) * size_of(literal.type.dtype));
  }
  return type + " {" + s + "}";
}

struct AttributeText {
  std::string operator()(std::int64_t v) const { return decimal(v); }
  std::string operator()(double v) const { return text_of(v); }
  std::string operator()(const std::string& v) const { return quoted(v); }
  std::string operator()(DType v) const { return std::string(name_of(v)); }
  std::string operator()(const std::vector<std::int64_t>& v) const {
    return "[" + joined(v, ",", [](auto i) { return decimal(i); }) + "]";
  }
  std::string operator()(const std::vector<double>& v) const {
    return v.empty() ? "[.]" : "[" + joined(v, ",", [](auto d) { return text_of(d); }) + "]";
  }
  std::string operator()(const std::shared_ptr<const Literal>& v) const { return attribute_text(*v); }
  std::string operator()(const std::shared_ptr<const ir::Function>& v) const {
    return "function {\n" + print(v->graph, indent + "  ") + indent + "} (" + joined(v->results, ", ", operand) + ")";
  }

  static std::string reference(ir::NodeId id) { return "%" + decimal(id); }
  static std::string operand(ir::Value v) { return reference(v.node) + (v.output ? "." + decimal(v.output) : ""); }
  static std::string print(const ir::Graph& graph, const std::string& indent);

  std::string indent;
};

std::string AttributeText::print(const ir::Graph& graph, const std::string& indent) {
  auto attribute = [&](const auto& entry) { return entry.first + "=" + std::visit(AttributeText{indent}, entry.second); };
  std::string s;
  for (ir::NodeId id = 0; id < graph.size(); ++id) {
    const ir::Node& node = graph[id];
    s += indent + reference(id);
    if (node.types.size() > 1) s += ":" + decimal(node.types.size());
    s += " = " + std::string(node.op->name) + "(" + joined(node.operands, ", ", operand) + ")";
    if (!node.control.empty()) s += " after " + joined(node.control, ", ", reference);
    if (!node.attributes.empty()) s += " {" + joined(node.attributes, ", ", attribute) + "}";
    if (!node.label.empty()) s += " " + quoted(node.label);
    if (!node.types.empty()) s += " : " + joined(node.types, ", ", [](const TensorType& t) { return t.str(); });
    s += "\n";
  }
  return s;
}

}  // namespace

std::string print(const ir::Graph& graph) { return AttributeText::print(graph, ""); }

std::string Graph::str() const { return (state_->seed ? "seed " + decimal(state_->seed) + "\n" : "") + print(state_->ir); }

Graph Graph::parse(std::string_view text) {
  Graph graph;
  GraphState& state = *graph.state_;
  state.ir = parse_text(text, &state.seed);
  for (ir::NodeId id = 0; id < state.ir.size(); ++id) {
    const ir::Node& node = state.ir[id];
    for (std::size_t i = node.op->kind == Kind::state ? 1 : 0; i < node.operands.size(); ++i)
      if (state.ir[node.operands[i].node].op->name == "variable")
        throw GraphError("%" + decimal(id) + " = " + ir::describe(node) + " takes variable %" + decimal(node.operands[i].node) +
                         ", expects a read of it");
    if (node.op->name == "variable") state.variables.push_back(id);
    if (node.op->name == "read" && node.attributes.flag("implicit")) state.implicit_reads.try_emplace(node.operands[0].node, id);
  }
  return graph;
}

Tensor Graph::find(std::string_view label) const {
  ir::NodeId found = -1;
  for (ir::NodeId id = 0; id < state_->ir.size(); ++id) {
    const ir::Node& node = state_->ir[id];
    if (node.label != label || node.types.empty()) continue;
    if (found >= 0) throw GraphError("find: more than one operation is labelled \"" + std::string(label) + "\"");
    found = id;
  }
  if (found < 0) throw GraphError("find: no operation with a result is labelled \"" + std::string(label) + "\"");
  return Tensor(state_.get(), found, 0);
}

}  // namespace weft
