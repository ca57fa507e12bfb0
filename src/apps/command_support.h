// What commands that train have in common.
#pragma once

#include <weft/executable.h>

#include <initializer_list>
#include <string>

namespace weft::apps {

/// The first Ctrl-C from now on asks for an end, a second one ends the program.
void stop_on_interrupt();
/// Whether it has been asked for.
bool was_interrupted();

/// Throws RunError unless files of these names can be written, better before the work than after it. Empty names are none.
void check_writable(std::initializer_list<std::string> paths);

/// Empty when the text is a positive number, otherwise what is wrong.
std::string positive_and_finite(const std::string& text);

const char* name_of(Backend backend);
/// "compiled for the GPU"
const char* how_it_runs(Backend backend);

}  // namespace weft::apps
