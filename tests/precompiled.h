// What most tests include and nobody changes, compiled once. Tests include what they use all the same.
#pragma once

#include <gtest/gtest.h>

#include "../src/precompiled.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <thread>
