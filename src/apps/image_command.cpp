// weft image
#include "apps/commands.h"

namespace weft::apps {

void add_image_command(CLI::App& weft) {
  CLI::App* image = weft.add_subcommand("image", "What the image primitives make of a picture");
  add_image_distance_command(*image);
  add_image_lines_command(*image);
  need_subcommand(*image);
}

}  // namespace weft::apps
