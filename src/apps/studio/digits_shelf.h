// The digits that demonstrations train on.
#pragma once

#include "apps/digits_source.h"

#include <mutex>
#include <optional>
#include <string>

namespace weft::apps::studio {

/// Reads or draws them when they are first wanted, once. Safe to use from several threads.
class DigitsShelf {
 public:
  /// `folder` holds MNIST; empty: where commands look for it.
  explicit DigitsShelf(std::string folder) : folder_(std::move(folder)) {}

  /// Throws RunError when there is no MNIST.
  const DigitsSource& mnist();
  const DigitsSource& drawn();

 private:
  std::string folder_;
  std::mutex mutex_;
  std::optional<DigitsSource> mnist_, drawn_;
};

/// Grey images as bytes, one after the other.
std::string bytes_of(const NDArray& images);

}  // namespace weft::apps::studio
