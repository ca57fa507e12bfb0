#include <weft/weft.h>

#include <algorithm>
#include <array>
#include <cstdio>

using namespace weft;

int main() {
  Graph g;
  Tensor x = g.placeholder({dynamic}, f32, "x");
  Tensor y = relu(x * 2.0f + 1.0f);
  RunResult result = g.run({{x, NDArray::of<float>({3}, {-3, -0.25f, 4})}}, {y});
  if (std::ranges::equal(result[y].elements<float>(), std::array{0.0f, 0.5f, 9.0f})) return 0;
  std::printf("relu(x * 2 + 1) is wrong: %s\n", result[y].str().c_str());
  return 1;
}
