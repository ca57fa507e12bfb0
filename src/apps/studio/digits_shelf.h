// The digits that demonstrations train on.
#pragma once

#include "apps/digits_source.h"
#include "apps/studio/routes.h"

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

/// Which of both a demonstration trains on, and the board's words about it.
class DigitsChoice {
 public:
  DigitsChoice(Board& board, const char* topic, DigitsShelf& shelf);

  /// Takes the call's "source", "mnist" or "drawn"; whether that is another one than before. Throws BadRequest for anything else.
  bool take(const Call& call);
  /// Throws RunError when there is no MNIST; the board then says that data are needed.
  const DigitsSource& source();

 private:
  Board& board_;
  const char* topic_;
  DigitsShelf& shelf_;
  bool draws_own_ = false;
};

/// Grey images as bytes, one after the other.
std::string bytes_of(const NDArray& images);

}  // namespace weft::apps::studio
