#include "apps/explained.h"

#include <nlohmann/json.hpp>

namespace weft::apps {
namespace {

constexpr char page[] =
#include "explanation_page.inc"
    ;

constexpr const char* place_names[] = {"source", "step", "readers", "view", "unneeded"};

}  // namespace

std::string page_of(const Explained& e) {
  using json = nlohmann::ordered_json;
  const Explanation& x = e.explanation;
  json data{{"title", e.title},
            {"machine", e.machine.str()},
            {"kernels", e.statistics.kernels},
            {"libraryCalls", e.statistics.library_calls},
            {"arena", e.statistics.arena_bytes},
            {"bytes", e.statistics.bytes_read + e.statistics.bytes_written},
            {"unstitched", e.bytes_unstitched()},
            {"flops", e.statistics.flops},
            {"run", e.run_seconds},
            {"operations", json::array()},
            {"steps", json::array()},
            {"refusals", json::array()}};
  for (const auto& o : x.operations) {
    std::string type;
    for (const auto& t : o.results) type += (type.empty() ? "" : ", ") + t.str();
    data["operations"].push_back({{"name", o.name},
                                  {"label", o.label},
                                  {"type", type},
                                  {"operands", o.operands},
                                  {"place", place_names[static_cast<int>(o.place)]},
                                  {"step", o.step}});
  }
  for (std::size_t i = 0; i < x.steps.size(); ++i) {
    const auto& s = x.steps[i];
    data["steps"].push_back({{"library", s.is_library},
                             {"name", s.name},
                             {"epilogue", s.epilogue},
                             {"operations", s.operations},
                             {"continues", s.continues},
                             {"read", s.bytes_read},
                             {"written", s.bytes_written},
                             {"unstitched", s.bytes_unstitched},
                             {"flops", s.flops},
                             {"floor", e.floors[i]},
                             {"seconds", e.seconds.empty() ? json() : json(e.seconds[i])},
                             {"code", s.code}});
  }
  for (const auto& r : x.refusals) data["refusals"].push_back({{"producer", r.producer}, {"consumer", r.consumer}, {"why", r.why}});
  // Inside a script nothing may look like a tag.
  std::string text = data.dump(-1, ' ', true);
  for (std::size_t at = 0; (at = text.find('<', at)) != std::string::npos;) text.replace(at, 1, "\\u003c");
  std::string html = page;
  static constexpr std::string_view mark = "\"DATA\"";
  return html.replace(html.find(mark), mark.size(), text);
}

}  // namespace weft::apps
