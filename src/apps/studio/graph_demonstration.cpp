#include "apps/studio/graph_demonstration.h"

#include "apps/studio/expression.h"
#include "apps/studio/playground.h"

#include <weft/error.h>

#include <algorithm>

namespace weft::apps::studio {
namespace {

constexpr const char* topic = "graph";
constexpr std::size_t longest_expression = 500;

struct Titled {
  const char *name, *title;
};
/// The other demonstrations' graphs stand before the rest.
constexpr Titled first[] = {{"train_lenet_f32_b16", "Digits: a training step"},
                            {"train_dcgan_f32_b16", "GAN: a training step of both networks"},
                            {"train_charlstm_f32_b16_t32", "Text: a training step"},
                            {"gen_charlstm_f32_step", "Text: the next character"}};

Json choices() {
  Json list = Json::array();
  for (const auto& [name, title] : first) list.push_back({{"name", name}, {"title", title}});
  for (const Workload& w : workloads())
    if (w.build && !w.is_large && std::ranges::none_of(first, [&](const Titled& t) { return w.name == t.name; }))
      list.push_back({{"name", w.name}, {"title", w.name}});
  return list;
}

}  // namespace

GraphDemonstration::GraphDemonstration(Board& board, Backend backend)
    : board_(board),
      backend_(backend),
      worker_([] { return Worker::idle; },
              [this](const std::string& why) {
                board_.set(topic, {{"error", why}});
              }) {
  board_.set(topic, {{"error", ""}, {"choices", choices()}, {"functions", 0}, {"known", known_functions()}});
}

void GraphDemonstration::add_to(Routes& routes) {
  routes.posts["/api/graph/function"] = [this](const Call& call) { return worker_.ask([&] { return answer(show_function(call)); }); };
  const auto page_answer = [](std::string html) { return Answer{.body = std::move(html), .type = "text/html; charset=utf-8", .is_page = true}; };
  routes.gets["/api/graph/page"] = [this, page_answer](const Call& call) {
    return worker_.ask([&] { return page_answer(page(text(call, "graph", 100, first[0].name), call.arguments.contains("anew"))); });
  };
  routes.gets["/api/graph/function"] = [this, page_answer](const Call&) { return worker_.ask([&] { return page_answer(function_page_); }); };
}

void GraphDemonstration::use(Backend backend) {
  worker_.post([this, backend] { backend_ = backend; });
}

const Machine& GraphDemonstration::machine() {
  auto found = machines_.find(backend_);
  if (found == machines_.end())
    found = machines_.emplace(backend_, Machine::measured(backend_ == Backend::cuda ? Device::cuda() : Device::cpu())).first;
  return found->second;
}

std::string GraphDemonstration::page(const std::string& name, bool anew) {
  if (backend_ == Backend::reference) throw BadRequest("the reference compiles nothing, so there is nothing to show; choose another device");
  // No files by their names: what a page asks for is one of the choices.
  if (const Json all = choices(); std::ranges::none_of(all, [&](const Json& c) { return c["name"] == name; }))
    throw BadRequest("there is no graph \"" + name + "\"");
  std::string& page = pages_[{name, backend_}];
  if (!page.empty() && !anew) return page;
  Setup setup;
  RunOptions options{.backend = backend_};
  const std::string title = prepare(name, {}, setup, options);
  const Executable executable = setup.compile(options);
  page = page_of(explained(title, setup, executable, backend_ == Backend::cuda ? Device::cuda() : Device::cpu(), machine(), true));
  return page;
}

Json GraphDemonstration::show_function(const Call& call) {
  const std::string expression = text(call, "expression", longest_expression, "");
  const double low = number(call, "from", -1e6, 1e6, -5), high = number(call, "to", -1e6, 1e6, 5);
  if (!(low < high)) throw BadRequest("the plot must begin before it ends");
  try {
    Playground p = play(expression, low, high, backend_, backend_ == Backend::reference ? Machine() : machine());
    function_page_ = std::move(p.page);
    p.shown["expression"] = expression, p.shown["from"] = low, p.shown["to"] = high;
    p.shown["page"] = function_page_.empty() ? 0 : ++functions_;
    board_.set(topic, {{"function", p.shown}});
    return p.shown;
  } catch (const ExpressionError& e) { return {{"problem", e.what()}, {"at", e.at}, {"length", e.length}}; }
}

}  // namespace weft::apps::studio
