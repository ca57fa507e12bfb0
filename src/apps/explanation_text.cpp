#include "apps/explained.h"

#include <cstdio>
#include <iterator>

namespace weft::apps {
namespace {

/// "12.3 MB": three digits and what they count.
std::string quantity(double value, const char* unit) {
  static constexpr const char* prefixes[] = {"", "k", "M", "G", "T"};
  std::size_t i = 0;
  for (; value >= 999.5 && i + 1 < std::size(prefixes); ++i) value /= 1000;
  char text[40];
  std::snprintf(text, sizeof text,
                i == 0        ? "%.0f %s%s"
                : value < 10  ? "%.2f %s%s"
                : value < 100 ? "%.1f %s%s"
                              : "%.0f %s%s",
                value, prefixes[i], unit);
  return text;
}

std::string counted(std::size_t n, const std::string& what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

std::string bytes(std::int64_t n) { return quantity(static_cast<double>(n), "B"); }

std::string right(const std::string& text, std::size_t width) { return std::string(text.size() < width ? width - text.size() : 1, ' ') + text; }

std::string us(double seconds) {
  char text[40];
  std::snprintf(text, sizeof text, "%.1f", seconds * 1e6);
  return text;
}

std::string percent(double part) {
  char text[40];
  std::snprintf(text, sizeof text, "%.0f%%", 100 * part);
  return text;
}

std::string columns(const Explained& e, std::int64_t read, std::int64_t written, std::int64_t unstitched, std::int64_t flops, double floor,
                    double seconds) {
  std::string line = right(bytes(read), 10) + right(bytes(written), 10) + right(bytes(unstitched), 11) +
                     right(quantity(static_cast<double>(flops), ""), 10) + right(us(floor), 10);
  if (!e.seconds.empty()) line += right(us(seconds), 10) + right(seconds > 0 ? percent(floor / seconds) : "", 7);
  return line;
}

}  // namespace

std::string Machine::str() const {
  std::string text = "this machine at best: ";
  for (const auto& s : streams)
    text += quantity(static_cast<double>(s.bytes) / s.seconds, "B/s") + " of " + quantity(static_cast<double>(s.bytes), "B") + ", ";
  return text + quantity(flops, "FLOP/s") + " of f32";
}

std::string text_of(const Explained& e) {
  const Explanation& x = e.explanation;
  const auto& s = e.statistics;
  std::string text = e.title + ": " + counted(x.steps.size(), "step") + ", " + counted(static_cast<std::size_t>(s.kernels), "generated kernel") +
                     " and " + counted(static_cast<std::size_t>(s.library_calls), "library call") + "\n" + e.machine.str() + "\n\n";
  text += "step      read   written unstitched     flops  floor us" + std::string(e.seconds.empty() ? "" : "        us  floor") + "\n";
  double floors = 0, seconds = 0;
  for (std::size_t i = 0; i < x.steps.size(); ++i) {
    const auto& step = x.steps[i];
    const double took = e.seconds.empty() ? 0 : e.seconds[i];
    floors += e.floors[i];
    seconds += took;
    const std::string number = std::to_string(i);
    text += number + std::string(number.size() < 4 ? 4 - number.size() : 0, ' ') +
            columns(e, step.bytes_read, step.bytes_written, step.bytes_unstitched, step.flops, e.floors[i], took) + "  " +
            (step.is_library ? "library " : "") + step.name + "\n";
    if (!step.epilogue.empty()) text += "      epilogue " + step.epilogue + "\n";
    if (step.continues >= 0) text += "      completes step " + std::to_string(step.continues) + "\n";
    else
      for (int id : step.operations) {
        const auto& o = x.operations[static_cast<std::size_t>(id)];
        text += "      " + name_of(x, id) + " : " + o.results[0].str() +
                (o.place == Explanation::Place::readers ? " (computed where it is read)" : "") + "\n";
      }
  }
  text += "all " + columns(e, s.bytes_read, s.bytes_written, e.bytes_unstitched(), s.flops, floors, seconds) + "\n";
  if (e.run_seconds > 0) text += "a whole run takes " + us(e.run_seconds) + " us\n";
  text += "arena " + bytes(s.arena_bytes) + "; feeds, variables and constants " + bytes(s.least_read) + ", results " + bytes(s.least_written) + "\n";
  text += "\nnot stitched\n";
  for (const auto& r : x.refusals)
    text += "  " + name_of(x, r.producer) + (r.consumer < 0 ? " " : " apart from " + name_of(x, r.consumer) + ": ") + r.why + "\n";
  return text;
}

}  // namespace weft::apps
