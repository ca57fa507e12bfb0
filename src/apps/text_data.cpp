#include "apps/text_data.h"

#include <weft/error.h>

#include <algorithm>
#include <set>

namespace weft::apps {
namespace {

/// Bytes of the character that begins with this one, 0 when none does.
std::size_t length_of(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  if (first >= 0xf0 && first < 0xf5) return 4;
  return 0;
}

}  // namespace

std::vector<std::string_view> characters_of(std::string_view text) {
  std::vector<std::string_view> list;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t n = length_of(static_cast<unsigned char>(text[i]));
    const std::string_view character = text.substr(i, n);
    const bool goes_on = n > 0 && character.size() == n &&
                         std::all_of(character.begin() + 1, character.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; });
    if (!goes_on) throw RunError("the text is not UTF-8: byte " + std::to_string(i) + " belongs to no character");
    list.push_back(character);
    i += n;
  }
  return list;
}

Vocabulary::Vocabulary(std::string_view text) {
  std::set<std::string_view> found;
  for (auto c : characters_of(text)) found.insert(c);
  for (auto c : found) {
    numbers_.emplace(c, static_cast<std::int32_t>(characters_.size()));
    characters_.emplace_back(c);
  }
}

std::vector<std::int32_t> Vocabulary::encode(std::string_view text) const {
  std::vector<std::int32_t> numbers;
  for (auto c : characters_of(text)) {
    const auto found = numbers_.find(c);
    if (found == numbers_.end()) throw RunError("\"" + std::string(c) + "\" does not occur in the text that the model has learnt from");
    numbers.push_back(found->second);
  }
  return numbers;
}

std::string Vocabulary::text() const {
  std::string all;
  for (const auto& c : characters_) all += c;
  return all;
}

TextBatches::TextBatches(std::vector<std::int32_t> text, std::int64_t length, std::int64_t batch)
    : text_(std::move(text)),
      length_(length),
      batch_(batch),
      stream_(std::ssize(text_) / batch),
      current_{NDArray(i32, {length, batch}), NDArray(i32, {length, batch}), NDArray(f32, {batch, 1})} {
  if (steps_per_epoch() < 1)
    throw RunError("the text has " + std::to_string(text_.size()) + " characters, too few for " + std::to_string(batch) + " sequences of " +
                   std::to_string(length) + " and one more");
}

const TextBatches::Batch& TextBatches::of_step(std::int64_t step) {
  constexpr std::int64_t steps_from_a_beginning = 32;
  const std::int64_t in_epoch = step % steps_per_epoch(), first = in_epoch * length_;
  const auto keeps = current_.keeps.elements<float>();
  for (std::int64_t b = 0; b < batch_; ++b)
    keeps[static_cast<std::size_t>(b)] = in_epoch == 0 || (in_epoch + b) % steps_from_a_beginning == 0 ? 0.0f : 1.0f;
  const auto now = current_.characters.elements<std::int32_t>(), next = current_.next.elements<std::int32_t>();
  for (std::int64_t t = 0; t < length_; ++t)
    for (std::int64_t b = 0; b < batch_; ++b) {
      const std::int64_t from = b * stream_ + first + t;
      const auto to = static_cast<std::size_t>(t * batch_ + b);
      now[to] = text_[static_cast<std::size_t>(from)];
      next[to] = text_[static_cast<std::size_t>(from + 1)];
    }
  return current_;
}

}  // namespace weft::apps
