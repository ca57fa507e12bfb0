// What `weft explain` prints and draws: a compiled graph's steps against what this machine could do.
#pragma once

#include "apps/workloads/workload.h"

#include <weft/explanation.h>

#include <map>
#include <string>
#include <vector>

namespace weft::apps {

/// What this machine can do at best, measured.
struct Machine {
  struct Stream {
    std::int64_t bytes;
    double seconds;  ///< to read half of them and write the other half, again and again
  };
  std::vector<Stream> streams;  ///< from those that fit the innermost cache to those that fit none
  double flops = 0;             ///< f32 operations a second

  static Machine measured(Device device);
  /// Under which no step can be that moves so many bytes and computes so much.
  double floor(std::int64_t bytes, std::int64_t flops) const;
  std::string str() const;
};

struct Explained {
  std::string title;
  Explanation explanation;
  CompileStatistics statistics;
  Machine machine;
  std::vector<double> floors = {};   ///< seconds, by step
  std::vector<double> seconds = {};  ///< the median by step; empty when not measured
  double run_seconds = 0;            ///< the median of whole runs; 0 when not measured

  std::int64_t bytes_unstitched() const;
};

/// Makes ready what `name` says: a file with a graph's text form, whose results that nothing reads are the targets, or a workload
/// by its name or the part of it that tells it apart ("digits", "gelu"). `shapes` are for placeholders of a file, by label or "%3".
/// Gives the full name. Throws RunError for a name that is neither, for unknown placeholders, and for those of unknown size
/// that have no shape.
std::string prepare(const std::string& name, const std::map<std::string, Shape>& shapes, Setup& setup, RunOptions& options);

Explained explained(std::string title, const Setup& setup, const Executable& executable, Device device, Machine machine, bool measures);

/// For terminals.
std::string text_of(const Explained& explained);
/// A page of HTML that needs nothing besides.
std::string page_of(const Explained& explained);

/// "%12 conv "stem"".
std::string name_of(const Explanation& explanation, int operation);

}  // namespace weft::apps
