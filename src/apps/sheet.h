// A sheet of small images with captions.
#pragma once

#include <weft/ndarray.h>

#include <span>
#include <string>

namespace weft::apps {

enum class Verdict { none, right, wrong };

/// What stands below an image: grey, green when right, red when wrong.
struct Caption {
  std::string text;
  Verdict verdict = Verdict::none;
};

struct SheetOptions {
  std::string title = {};
  int columns = 10;
  int magnification = 4;
};

/// Grey images [n, height, width], u8 or floating-point from 0 to 1, in rows of `columns`, each `magnification` times larger
/// and over its caption. Returns u8 [sheet height, sheet width, 3]. Throws RunError when captions are neither none nor n.
NDArray sheet(const NDArray& images, std::span<const Caption> captions, const SheetOptions& options = {});

}  // namespace weft::apps
