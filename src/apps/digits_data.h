// Handwritten digits: MNIST from its files, digits that weft draws itself, and pictures of digits brought to MNIST's form.
#pragma once

#include <weft/ndarray.h>

#include <cstdint>
#include <filesystem>
#include <optional>

namespace weft::apps {

/// Images u8 [n, 28, 28], white on black, and what they show, u8 [n].
struct Digits {
  NDArray images, labels;
  std::int64_t count() const { return images.shape()[0]; }
};

struct DigitsData {
  Digits train, test;
};

/// Reads train-images-idx3-ubyte, train-labels-idx1-ubyte and their t10k- counterparts from a folder, each plain or with
/// ".gz". Throws RunError when one is missing or broken, counts differ, images aren't 28 x 28 or a label isn't 0 to 9.
DigitsData load_mnist(const std::filesystem::path& folder);

/// The first of $WEFT_DATA_DIR, $WEFT_DATA_DIR/mnist and mnist_cache() that holds MNIST's training images.
std::optional<std::filesystem::path> find_mnist();

/// The user's cache: $XDG_CACHE_HOME/weft/mnist, or ~/.cache/weft/mnist. Empty when neither variable nor home is set.
std::optional<std::filesystem::path> mnist_cache();

/// Draws digits by strokes with random form, slant, size and thickness, brought to MNIST's form. Image i depends on the
/// seed and i alone, on any machine.
Digits draw_digits(std::int64_t count, std::uint64_t seed);

/// Brings a picture of one digit, u8 [height, width] or [height, width, 1..4] (grey, grey and alpha, RGB, RGBA), to f32
/// [28, 28] from 0 to 1 as MNIST was made: light ink on black, cut to the ink, fitted into 20 x 20 keeping its proportions,
/// and placed with its centre of mass in the middle. Which of ink and paper is light is told by the picture's border.
/// Throws RunError for other arrays and for a picture with nothing on it.
/// Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998, section III.A.
NDArray to_mnist(const NDArray& picture);

}  // namespace weft::apps
