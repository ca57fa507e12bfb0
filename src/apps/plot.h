// Line plots as pictures.
#pragma once

#include <weft/ndarray.h>

#include <span>
#include <string>
#include <vector>

namespace weft::apps {

/// A curve through (x[i], y[i]). Points that aren't finite leave a gap.
struct Series {
  std::string name = {};
  std::vector<double> x = {}, y = {};
  bool smooth = true;  ///< whether PlotOptions::smoothing applies to it
};

struct PlotOptions {
  std::string title = {}, x_label = {}, y_label = {};
  int width = 960, height = 600;
  /// From 0, curves as they are, towards 1: bold curves are moving averages in which a point counts this much less with
  /// each step away from it, and the curves as they are stand faintly behind them.
  double smoothing = 0;
};

/// Draws the series over common axes, with numbers at round values and, where series have names, a legend. Returns u8
/// [height, width, 3]. Throws RunError when x and y of a series have different lengths or the picture is smaller than 160 x 120.
NDArray plot(std::span<const Series> series, const PlotOptions& options);

/// The mean of the exponential moving averages of y from both ends, so that it doesn't lag; each starts as if there were no
/// values before. Skips what isn't finite.
std::vector<double> smoothed(std::span<const double> y, double keep);

/// Round numbers from `low` to `high`, at most about `count` of them: multiples of 1, 2 or 5 times a power of ten.
std::vector<double> ticks(double low, double high, int count);

}  // namespace weft::apps
