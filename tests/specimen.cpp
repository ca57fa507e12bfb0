#include "specimen.h"

#include "graph/build.h"
#include "graph/text.h"

#include <weft/error.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <sstream>

namespace weft {
namespace {

std::string printed(ir::Value v) { return "%" + std::to_string(v.node) + (v.output ? "." + std::to_string(v.output) : ""); }

/// "%3.1".
ir::Value parsed_value(const std::string& word) {
  ir::Value v;
  const auto dot = word.find('.');
  v.node = std::stoi(word.substr(1));
  if (dot != std::string::npos) v.output = std::stoi(word.substr(dot + 1));
  return v;
}

/// An array as the text of a graph of one constant.
std::string printed(const NDArray& array) {
  ir::Graph graph;
  ir::Node node;
  node.op = &primitive("constant");
  node.attributes.set("value", Literal::of(array));
  node.types = {array.type()};
  graph.add(std::move(node));
  const std::string text = print(graph);
  return text.substr(0, text.size() - 1);
}

NDArray parsed_array(std::string_view text) { return parse_text(text)[0].attributes.literal("value").array(); }

bool starts_with_comment(const std::string& line, std::string_view word, std::string& rest) {
  const std::string start = "# " + std::string(word) + " ";
  if (!line.starts_with(start)) return false;
  rest = line.substr(start.size());
  return true;
}

}  // namespace

std::string Specimen::str() const {
  std::string s = print(graph);
  for (const auto& [id, array] : values) s += "# value %" + std::to_string(id) + " " + printed(array) + "\n";
  s += "# targets";
  for (auto v : targets) s += " " + printed(v);
  s += "\n";
  if (!updates.empty()) {
    s += "# updates";
    for (auto id : updates) s += " %" + std::to_string(id);
    s += "\n";
  }
  std::ostringstream t;
  t << "# tolerance " << tolerance.ulp << " " << tolerance.scale << "\n";
  return s + t.str();
}

Specimen Specimen::parse(std::string_view text) {
  Specimen s;
  s.graph = parse_text(text);
  std::istringstream lines{std::string(text)};
  for (std::string line, rest; std::getline(lines, line);) {
    if (starts_with_comment(line, "value", rest)) {
      const auto space = rest.find(' ');
      s.values.emplace(parsed_value(rest.substr(0, space)).node, parsed_array(std::string_view(rest).substr(space + 1)));
    } else if (starts_with_comment(line, "targets", rest)) {
      std::istringstream words(rest);
      for (std::string word; words >> word;) s.targets.push_back(parsed_value(word));
    } else if (starts_with_comment(line, "updates", rest)) {
      std::istringstream words(rest);
      for (std::string word; words >> word;) s.updates.push_back(parsed_value(word).node);
    } else if (starts_with_comment(line, "tolerance", rest)) {
      std::istringstream(rest) >> s.tolerance.ulp >> s.tolerance.scale;
    }
  }
  return s;
}

Specimen Specimen::pruned() const {
  std::vector<bool> needed(graph.nodes.size());
  const auto need = [&](ir::NodeId id) { needed[static_cast<std::size_t>(id)] = true; };
  for (auto v : targets) need(v.node);
  for (auto id : updates) need(id);
  for (auto id = graph.size() - 1; id >= 0; --id) {
    if (!needed[static_cast<std::size_t>(id)]) continue;
    for (auto v : graph[id].operands) need(v.node);
    for (auto c : graph[id].control) need(c);
  }
  Specimen s;
  s.tolerance = tolerance;
  std::vector<ir::NodeId> place(graph.nodes.size(), -1);
  const auto placed = [&](ir::NodeId id) { return place[static_cast<std::size_t>(id)]; };
  for (ir::NodeId id = 0; id < graph.size(); ++id) {
    if (!needed[static_cast<std::size_t>(id)]) continue;
    ir::Node node = graph[id];
    for (auto& v : node.operands) v.node = placed(v.node);
    for (auto& c : node.control) c = placed(c);
    place[static_cast<std::size_t>(id)] = s.graph.add(std::move(node));
    if (const auto value = values.find(id); value != values.end()) s.values.emplace(placed(id), value->second);
  }
  for (auto v : targets) s.targets.push_back({placed(v.node), v.output});
  for (auto id : updates) s.updates.push_back(placed(id));
  return s;
}

// Running -----------------------------------------------------------------------------------------------------------------

Trial::Trial(const Specimen& specimen) : specimen_(specimen), graph_(Graph::parse(print(specimen.graph))) {
  GraphState* state = graph_.state();
  for (const auto& [id, array] : specimen.values) {
    const Tensor t(state, id, 0);
    if (state->ir[id].op->name == "variable") variables_.emplace_back(t, array);
    else feeds_.emplace(t, array);
  }
  for (auto v : specimen.targets) targets_.emplace_back(state, v.node, v.output);
  for (auto id : specimen.updates) updates_.emplace_back(state, id);
  expected_ = outcome(reference_run);
}

Outcome Trial::outcome(const RunOptions& options) {
  for (const auto& [variable, value] : variables_) graph_.set_value(variable, value);
  const auto results = graph_.run(feeds_, targets_, updates_, options);
  Outcome outcome{{results.begin(), results.end()}, {}};
  for (const auto& [variable, value] : variables_) outcome.variables.push_back(graph_.value(variable));
  return outcome;
}

std::string Trial::disagreement(const Way& way) {
  const auto compare = [&](const Outcome& expected, const Outcome& got, Tolerance tolerance) -> std::string {
    for (std::size_t i = 0; i < expected.targets.size(); ++i)
      if (const auto result = agree(expected.targets[i], got.targets[i], tolerance); !result)
        return "target " + printed(specimen_.targets[i]) + ": " + result.message();
    for (std::size_t i = 0; i < expected.variables.size(); ++i)
      if (const auto result = agree(expected.variables[i], got.variables[i], tolerance); !result)
        return "variable " + variables_[i].first.name() + ": " + result.message();
    return {};
  };
  try {
    const Outcome got = outcome(way.options);
    if (auto wrong = compare(expected_, got, specimen_.tolerance); !wrong.empty()) return wrong;
    if (auto wrong = compare(got, outcome(way.options), {}); !wrong.empty()) return "the second time " + wrong;
  } catch (const Error& e) { return e.what(); }
  return {};
}

std::map<ir::NodeId, NDArray> Trial::all_values() {
  std::vector<Tensor> all;
  for (ir::NodeId id = 0; id < specimen_.graph.size(); ++id)
    if (specimen_.graph[id].types.size() == 1 && specimen_.graph[id].op->name != "variable") all.emplace_back(graph_.state(), id, 0);
  for (const auto& [variable, value] : variables_) graph_.set_value(variable, value);
  const auto results = graph_.run(feeds_, all, updates_, {.backend = Backend::reference, .simplify = false});
  std::map<ir::NodeId, NDArray> values;
  for (std::size_t i = 0; i < all.size(); ++i) values.emplace(all[i].node(), results[i]);
  return values;
}

// Shrinking ---------------------------------------------------------------------------------------------------------------

namespace {

class Shrinker {
 public:
  Shrinker(Specimen specimen, const std::function<bool(const Specimen&)>& fails, int tries)
      : best_(std::move(specimen)), fails_(fails), left_(tries) {}

  Specimen run() {
    keep(best_.pruned());
    while (left_ > 0 && (drop_results() || cut() || pass_by() || reduce_sizes() || simplify_values())) {}
    return best_;
  }

 private:
  bool keep(Specimen smaller) {
    if (left_-- <= 0) return false;
    try {
      if (!fails_(smaller)) return false;
    } catch (const Error&) { return false; }  // it is no graph that runs
    best_ = std::move(smaller);
    return true;
  }

  bool drop_results() {
    bool any = false;
    const auto drop = [&](auto Specimen::*list) {
      for (std::size_t i = 0; i < (best_.*list).size() && best_.targets.size() + best_.updates.size() > 1;) {
        Specimen smaller = best_;
        (smaller.*list).erase((smaller.*list).begin() + static_cast<std::ptrdiff_t>(i));
        if (keep(smaller.pruned())) any = true;
        else ++i;
      }
    };
    drop(&Specimen::targets);
    drop(&Specimen::updates);
    // What a target is computed from is a simpler one.
    for (std::size_t i = 0; i < best_.targets.size(); ++i) {
      const auto operands = best_.graph[best_.targets[i].node].operands;
      for (auto operand : operands) {
        if (best_.graph[operand.node].op->name == "variable") continue;
        Specimen smaller = best_;
        smaller.targets[i] = operand;
        if (keep(smaller.pruned())) {
          any = true;
          break;
        }
      }
    }
    return any;
  }

  /// Feeds what an operation gives in place of computing it.
  bool cut() {
    bool any = false;
    for (auto id = best_.graph.size() - 1; id >= 0 && left_ > 0; --id) {
      if (id >= best_.graph.size()) continue;
      const ir::Node& node = best_.graph[id];
      if (node.types.size() != 1 || node.op->kind == Kind::source || node.op->name == "assign" || node.op->name == "variable") continue;
      std::map<ir::NodeId, NDArray> all;
      try {
        all = Trial(best_).all_values();
      } catch (const Error&) { return any; }
      Specimen smaller = best_;
      ir::Node& cut = smaller.graph[id];
      const NDArray& value = all.at(id);
      cut.op = &primitive("placeholder");
      cut.operands.clear();
      cut.control.clear();
      cut.attributes = {{"dtype", value.dtype()}};
      cut.attributes.set_shape(value.shape());
      cut.types = {value.type()};
      cut.label = "cut" + std::to_string(cuts_++);
      smaller.values.emplace(id, value);
      if (keep(smaller.pruned())) any = true;
    }
    return any;
  }

  /// Takes what an operation that only moves elements takes in place of what it gives.
  bool pass_by() {
    bool any = false;
    for (ir::NodeId id = 0; id < best_.graph.size(); ++id) {
      const ir::Node& node = best_.graph[id];
      if (node.op->kind != Kind::movement || best_.graph.type(node.operands[0]) != node.types[0]) continue;
      Specimen smaller = best_;
      const ir::Value from{id, 0}, to = node.operands[0];
      for (auto& other : smaller.graph.nodes) std::ranges::replace(other.operands, from, to);
      std::ranges::replace(smaller.targets, from, to);
      if (keep(smaller.pruned())) any = true;
    }
    return any;
  }

  /// Makes every dimension of one size smaller, wherever the size stands.
  bool reduce_sizes() {
    std::set<std::int64_t> sizes;
    for (const auto& [id, value] : best_.values)
      for (auto s : value.shape()) sizes.insert(s);
    for (auto at = sizes.rbegin(); at != sizes.rend(); ++at)
      for (auto to : {std::int64_t{1}, std::int64_t{2}, *at / 2, *at - 1})
        if (to > 0 && to < *at)
          if (auto smaller = resized(*at, to); smaller && keep(std::move(*smaller))) return true;
    return false;
  }

  std::optional<Specimen> resized(std::int64_t from, std::int64_t to) const {
    Specimen s = best_;
    for (auto& [id, value] : s.values)
      for (int d = 0; d < value.rank(); ++d)
        if (value.shape()[d] == from) value = value.slice(d, 0, to).copy();
    try {
      for (ir::NodeId id = 0; id < s.graph.size(); ++id) {
        ir::Node& node = s.graph[id];
        if (node.op->name == "variable" || node.op->name == "constant") {
          if (std::ranges::find(node.types[0].shape, from) != node.types[0].shape.end()) return std::nullopt;
          continue;
        }
        if (node.attributes.has("shape")) {
          auto list = node.attributes.integers("shape");
          std::ranges::replace(list, from, to);
          node.attributes.set("shape", list);
        }
        node.types.clear();
        infer_types(s.graph, node);
      }
    } catch (const Error&) { return std::nullopt; }
    return s;
  }

  /// Feeds whole numbers, or ones.
  bool simplify_values() {
    bool any = false;
    for (const auto& [id, value] : Specimen(best_).values)
      for (const bool ones : {true, false}) {
        if (!is_floating(value.dtype())) continue;
        NDArray simple = value.cast(f64).copy();
        for (auto& x : simple.elements<double>()) x = ones ? 1 : std::round(x);
        simple = simple.cast(value.dtype());
        if (agree(value, simple)) break;
        Specimen smaller = best_;
        smaller.values[id] = simple;
        if (keep(std::move(smaller))) {
          any = true;
          break;
        }
      }
    return any;
  }

  Specimen best_;
  const std::function<bool(const Specimen&)>& fails_;
  int left_;
  int cuts_ = 0;
};

}  // namespace

Specimen shrunk(Specimen specimen, const std::function<bool(const Specimen&)>& fails, int tries) {
  return Shrinker(std::move(specimen), fails, tries).run();
}

}  // namespace weft
