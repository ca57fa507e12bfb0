// Texts as numbers: the characters that occur, and the sequences that a model is trained on.
#pragma once

#include <weft/ndarray.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weft::apps {

/// The characters of a UTF-8 text. Throws RunError with the place of the first byte that belongs to none.
std::vector<std::string_view> characters_of(std::string_view text);

/// Characters and their numbers, in the order of their bytes.
class Vocabulary {
 public:
  Vocabulary() = default;
  /// Of all characters that occur. Throws RunError for what is not UTF-8.
  explicit Vocabulary(std::string_view text);

  std::int64_t size() const { return std::ssize(characters_); }
  /// Throws RunError for a character that is not among these.
  std::vector<std::int32_t> encode(std::string_view text) const;
  const std::string& character(std::int32_t number) const { return characters_[static_cast<std::size_t>(number)]; }
  /// All of them, from which the vocabulary can be made again.
  std::string text() const;

 private:
  std::vector<std::string> characters_;
  std::map<std::string, std::int32_t, std::less<>> numbers_;
};

/// Training sequences: the text is cut into `batch` streams of equal length, each read on from step to step, `length` characters at a
/// time; what is left over at the end is not used. Every stream is read as a beginning now and then, so that a model learns to begin, too.
class TextBatches {
 public:
  /// Throws RunError when the text is too short for one step.
  TextBatches(std::vector<std::int32_t> text, std::int64_t length, std::int64_t batch);

  struct Batch {
    NDArray characters, next;  ///< i32 [length, batch]
    NDArray keeps;             ///< f32 [batch, 1]: 0 for streams that are read as if nothing had come before, otherwise 1
  };
  /// The batch of any step; step 0 and every steps_per_epoch-th begin anew.
  const Batch& of_step(std::int64_t step);
  std::int64_t steps_per_epoch() const { return (stream_ - 1) / length_; }

 private:
  std::vector<std::int32_t> text_;
  std::int64_t length_, batch_, stream_;
  Batch current_;
};

}  // namespace weft::apps
